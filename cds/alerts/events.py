"""From a notification to the patients it concerns, by reading what the notification points to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from cds.alerts import watching
from cds.alerts.notification import local
from cds.alerts.queue import Queue, Work
from cds.alerts.remote import ReadingClient, Remote
from cds.alerts.sightings import Sighting, Unusable, known_patient, sighting_of, version_of
from cds.clinical.terminology import Drug
from cds.fhir.client import FetchError
from cds.fhir.elements import reference_of

POLL: Final = "poll"
_OVERLAP: Final = timedelta(minutes=2)
_FIRST_LOOK_BACK: Final = timedelta(days=1)
_PAGE: Final = 100
_GONE: Final = "gone"
_CONCERNING: Final = ("Observation/", "DiagnosticReport/")
_MOST_AHEAD: Final = 50

Ahead = Mapping[str, dict[str, Any]]
"""What was read ahead, by reference."""


@dataclass(slots=True)
class Found:
    """What an event led to.

    `apart` are results that cannot be followed up, by reference and version: each becomes an event
    of its own, so that it stands before an operator alone and the others go on. `cursor` is how far
    a search has looked, by the server's clock.
    """

    sightings: list[Sighting] = field(default_factory=list)
    apart: list[tuple[str, str]] = field(default_factory=list)
    cursor: datetime | None = None


def read_ahead(events: Sequence[Work], remote: Remote) -> Ahead:
    """What events are about, in one request; empty where that cannot be had.

    Raises FetchError if the server cannot be asked anything now.
    """
    wanted = [
        reference
        for one in events
        for reference in one.body.get("focus", ())
        if reference.startswith(_CONCERNING)
    ]
    if len(wanted) < 2:
        return {}
    with remote.reading() as client:
        return remote.read_ahead(client, list(dict.fromkeys(wanted))[:_MOST_AHEAD])


def follow(
    work: Work, remote: Remote, queue: Queue, drug: Drug, now: datetime, ahead: Ahead
) -> Found:
    """Read what an event is about, if it was not read ahead.

    Raises FetchError (try again) or Unusable (an operator's).
    """
    body = work.body
    if "hl7" in body:
        return _from_message(body, remote)
    if "gap" in body:
        return _close_gap(body, work, remote, queue, drug, now)
    if "focus" in body:
        return _from_focuses(body["focus"], work, remote, queue, drug, ahead)
    return recent(remote, queue, drug, now)


def recent(remote: Remote, queue: Queue, drug: Drug, now: datetime) -> Found:
    """Search for levels that were filed or changed since the last search."""
    with queue.database.reading() as connection:
        heard = watching.last(connection, remote.server.id, POLL)
    since = (heard.at if heard else now - _FIRST_LOOK_BACK) - _OVERLAP
    codes = ",".join(sorted(f"{code.system}|{code.code}" for code in drug.level_codes))
    query = (
        f"Observation?code={quote(codes, safe=',')}"
        f"&_lastUpdated=ge{quote(since.isoformat(timespec='seconds'), safe='')}"
        f"&_sort=_lastUpdated&_count={_PAGE}"
    )
    found = Found()
    with remote.reading() as client:
        for page in _pages(client, query):
            for resource in _resources(page):
                found.cursor = _later(found.cursor, _last_updated(resource))
                try:
                    found.sightings += _sighted(resource, remote, drug)
                except Unusable:
                    found.apart.append((reference_of(resource), version_of(resource)))
    return found


def _pages(client: ReadingClient, query: str) -> Iterator[dict[str, Any]]:
    """The pages of a search, oldest change first; a very long one is continued the next time."""
    first = client.get(query)
    yield first
    try:
        yield from client.following_pages(first)
    except FetchError as error:
        if error.reason != "too-many-pages":
            raise


def _from_focuses(
    focuses: Sequence[str],
    work: Work,
    remote: Remote,
    queue: Queue,
    drug: Drug,
    ahead: Ahead,
) -> Found:
    found = Found()
    with remote.reading(ahead=ahead) as client:
        for reference in focuses:
            try:
                found.sightings += _from_focus(reference, client, work, remote, queue, drug)
            except Unusable:
                if len(focuses) == 1:
                    raise
                found.apart.append((reference, work.key))
    return found


def _from_focus(
    reference: str, client: ReadingClient, work: Work, remote: Remote, queue: Queue, drug: Drug
) -> Iterator[Sighting]:
    if not reference.startswith(_CONCERNING):
        return  # a topic of the whole chart tells us of visits and orders too
    try:
        resource = client.get(reference)
    except FetchError as error:
        if error.reason != "not-found":
            raise
        yield from _withdrawn(reference, work, queue)
        return
    if reference.startswith("Observation/"):
        yield from _sighted(resource, remote, drug)
        return
    for result in resource.get("result") or []:
        target = result.get("reference") if isinstance(result, dict) else None
        inner = local(target, remote.server.fhir_base) if isinstance(target, str) else None
        if inner and inner.startswith("Observation/"):
            yield from _from_focus(inner, client, work, remote, queue, drug)


def _withdrawn(reference: str, work: Work, queue: Queue) -> Iterator[Sighting]:
    """A result that is no longer there: if we spoke about it, its patient is assessed again."""
    with queue.database.reading() as connection:
        patient = known_patient(connection, queue, work.server, reference)
    if patient is not None:
        yield Sighting(reference, _GONE, patient)


def _close_gap(
    body: Mapping[str, Any], work: Work, remote: Remote, queue: Queue, drug: Drug, now: datetime
) -> Found:
    """Ask for the events we did not hear; a server that cannot say is searched instead."""
    first, last = body["gap"]
    subscription = body["subscription"]
    query = f"{subscription}/$events?eventsSinceNumber={first}&eventsUntilNumber={last}"
    try:
        with remote.reading() as client:
            bundle = client.get(query)
    except FetchError as error:
        if error.reason not in {"not-found", "server-error", "operation-outcome", "not-fhir"}:
            raise
        return recent(remote, queue, drug, now)
    focuses = [
        reference
        for reference in _mentioned(bundle, remote.server.fhir_base)
        if reference.startswith(_CONCERNING)
    ]
    if not focuses:
        return recent(remote, queue, drug, now)
    return _from_focuses(list(dict.fromkeys(focuses)), work, remote, queue, drug, {})


def _from_message(body: Mapping[str, Any], remote: Remote) -> Found:
    """Observations of an HL7 v2 message, once the server knows the patient it names."""
    system = remote.server.patient_identifier_system
    value = f"{system}|{body['patient_number']}" if system else body["patient_number"]
    with remote.reading() as client:
        bundle = client.get(f"Patient?identifier={quote(value, safe='')}")
    patients = {
        resource["id"]: resource
        for resource in _resources(bundle)
        if resource.get("resourceType") == "Patient" and isinstance(resource.get("id"), str)
    }
    if len(patients) != 1:
        # The admission message may be late; a number that two patients share is an operator's.
        known = "not-known" if not patients else "not-unique"
        raise FetchError(f"patient-{known}", "the server does not know the patient of the message")
    ((patient, person),) = patients.items()
    if _differ(body.get("birth_date"), person.get("birthDate")):
        raise Unusable("patient-differs")
    found = Found()
    for held in body["hl7"]:
        resource = dict(held["resource"]) | {"subject": {"reference": f"Patient/{patient}"}}
        reference = f"Observation/{resource['id']}"
        found.sightings.append(Sighting(reference, held["version"], patient, resource))
    return found


def _differ(said: Any, known: Any) -> bool:
    """Whether two dates of birth contradict each other, as far as both are given."""
    if not (isinstance(said, str) and isinstance(known, str)):
        return False
    shared = min(len(said), len(known))
    return said[:shared] != known[:shared]


def _sighted(resource: Mapping[str, Any], remote: Remote, drug: Drug) -> list[Sighting]:
    if resource.get("resourceType") != "Observation":
        return []
    server = remote.server
    sighting = sighting_of(
        resource, drug, server.fhir_base, wait_for_final=server.preliminary == "wait"
    )
    return [] if sighting is None else [replace(sighting, resource=None)]


def _resources(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in bundle.get("entry") or []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _mentioned(value: Any, base: str) -> Iterator[str]:
    """Every reference to a resource of this server inside a Bundle of events."""
    if isinstance(value, dict):
        target = value.get("reference")
        named = local(target, base) if isinstance(target, str) else None
        if named:
            yield named
        for inner in value.values():
            yield from _mentioned(inner, base)
    elif isinstance(value, list):
        for inner in value:
            yield from _mentioned(inner, base)


def _last_updated(resource: Mapping[str, Any]) -> datetime | None:
    meta = resource.get("meta")
    written = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        at = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _later(one: datetime | None, two: datetime | None) -> datetime | None:
    known = [at for at in (one, two) if at is not None]
    return max(known) if known else None

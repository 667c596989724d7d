"""Assess one patient again because of a new level, and work out what is new to say.

The data are read afresh from the FHIR server and go through the same `decide` as every hook; the
ledger keeps the decision before anything is said.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from cds.alerts import inbox
from cds.alerts.inbox import Alert, Change, Place
from cds.alerts.queue import Queue, Work
from cds.alerts.remote import ReadingClient, Remote
from cds.alerts.resources import Message
from cds.alerts.sightings import to_read
from cds.assess import Assessment
from cds.cards import Answer, Outcome
from cds.clinical.finding import Severity
from cds.clinical.setting import Occasion, Setting
from cds.fhir.client import FetchError
from cds.fhir.obtain import obtain
from cds.fhir.prefetch import PrefetchKey, fill, prefetch_keys
from cds.services import Services
from cds.services.decide import EvaluationInput, decide, new_evaluation_id
from cds.services.knowledge import Knowledge
from cds.services.record import ledger_entry

_PATIENT_WAITS: Final = 3
"""How often to come back for data that could not be read, before speaking without them."""
_WILL_NOT_COME: Final = frozenset({"not-found"})
_EXTENSION: Final = "org.imatinib-tdm.evaluation"


class Assessed(Struct, frozen=True):
    """What is new about a patient, and the messages to say it with."""

    evaluation: str
    changes: tuple[Change, ...]
    messages: Mapping[Place, Message]


@dataclass(frozen=True, slots=True)
class Ward:
    """Assesses the patients of the registered servers."""

    services: Services
    queue: Queue
    _deciding: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Reading waits for others and is done side by side; deciding computes, one after the other."""

    @property
    def knowledge(self) -> Knowledge:
        """What decisions are made with now; a reload swaps it."""
        return self.services.knowledge

    def assess(self, work: Work, remote: Remote, now: datetime) -> Assessed:
        """Assess the patient of a row of work. Raises FetchError if data cannot be read now."""
        knowledge = self.knowledge  # what is read and what is decided follow the same revision
        patient = str(work.body["patient"])
        references, held = to_read(self.queue, work.server, work.key)
        keys = prefetch_keys(knowledge.rulebook.drug, knowledge.rulebook.terminology)
        resources, unavailable = self._read(work, remote, patient, keys, references, held)
        given = EvaluationInput(
            evaluation=new_evaluation_id(),
            at=now,
            client=work.server,
            base_url=self.services.settings.public_base_url,
            setting=self._setting(work.server),
            patient_id=patient,
            context={"patientId": patient},
            resources=resources,
            unavailable=unavailable,
            answers=self._answers(work.server, patient),
            report_link=self.services.settings.report_link(work.server),
        )
        with self._deciding:
            decision = decide(given, knowledge)
        before = inbox.read(self.queue.database, work.server, work.key)
        if decision.assessment is None:
            # The drug is mentioned nowhere any more; what was said about it no longer holds.
            return Assessed(given.evaluation, tuple(inbox.changes(before, (), ())), {})
        cause = f"{work.id}.{work.generation}"
        self.services.store.record(ledger_entry(given, decision, decision.response, cause=cause))
        alerts = inbox.alerts_of(decision.cards)
        found = inbox.changes(
            before,
            alerts,
            inbox.settled(decision.cards),
            sure=decision.assessment.verdict.agreed,
        )
        ours = {f"Observation/{resource['id']}" for resource in held}
        messages = {
            alert.place: _message(alert, decision.assessment, remote, patient, ours, now)
            for alert in alerts
        }
        return Assessed(given.evaluation, tuple(found), messages)

    def _read(
        self,
        work: Work,
        remote: Remote,
        patient: str,
        keys: Sequence[PrefetchKey],
        references: list[str],
        held: list[dict[str, Any]],
    ) -> tuple[dict[str, Any], dict[str, str]]:
        context = {"patientId": patient}
        addresses = {key.name: fill(key.template, context) for key in keys}
        with remote.reading() as client:
            ahead = remote.read_ahead(client, [*addresses.values(), *references])
            there = {name: ahead[one] for name, one in addresses.items() if one in ahead}
            obtained = obtain(keys, there, context, client)
            fresh = [
                found
                for one in references
                if (found := ahead.get(one) or _get(client, one)) is not None
            ]
            failures = client.failures - _WILL_NOT_COME
        if obtained.missing:
            raise FetchError("data-missing", "data that no advice can do without are missing")
        if failures and work.attempts < _PATIENT_WAITS:
            raise FetchError(min(failures), "some of the data could not be read yet")
        resources: dict[str, Any] = dict(obtained.resources)
        if fresh:
            resources["new"] = _bundle(fresh)
        unsent = [resource for resource in held if not _is_there(resource, resources.values())]
        if unsent:
            resources["messages"] = _bundle(unsent)
        return resources, dict(obtained.unavailable)

    def _setting(self, client_id: str) -> Setting:
        settings = self.services.settings
        client = next((c for c in settings.clients if c.id == client_id), None)
        return Setting(
            Occasion.NEW_LEVEL,
            (client and client.jurisdiction) or settings.jurisdiction,
            (client and client.time_zone) or settings.time_zone,
            settings.paediatric_doses,
        )

    def _answers(self, client: str, patient: str) -> tuple[Answer, ...]:
        """What clinicians have answered in hooks: the same state is not raised again here."""
        return tuple(
            Answer(
                stored.rule,
                stored.state,
                Outcome(stored.outcome),
                stored.at,
                Severity[stored.severity.upper()],
            )
            for stored in self.services.store.answers(client, patient)
        )


def _get(client: ReadingClient, reference: str) -> dict[str, Any] | None:
    try:
        return client.get(reference)
    except FetchError as error:
        if error.reason == "not-found":
            return None  # deleted since; the search no longer finds it either
        raise


def _bundle(resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": dict(resource)} for resource in resources],
    }


def _resources(bundle: Any) -> Iterator[Mapping[str, Any]]:
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    for entry in entries or []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _is_there(resource: Mapping[str, Any], bundles: Iterable[Any]) -> bool:
    """Whether the server has filed the same result that a message told us of."""
    return any(
        _same_result(other, resource)
        for bundle in bundles
        for other in _resources(bundle)
        if other.get("resourceType") == "Observation"
    )


def _same_result(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return (
        _codes(one) & _codes(two) != set()
        and _instant(one) == _instant(two)
        and _value(one) == _value(two)
    )


def _codes(observation: Mapping[str, Any]) -> set[tuple[Any, Any]]:
    code = observation.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    listed = codings if isinstance(codings, list) else []
    return {(c.get("system"), c.get("code")) for c in listed if isinstance(c, dict)}


def _instant(observation: Mapping[str, Any]) -> datetime | None:
    written = observation.get("effectiveDateTime")
    try:
        return datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None


def _value(observation: Mapping[str, Any]) -> tuple[Any, Any]:
    quantity = observation.get("valueQuantity")
    if not isinstance(quantity, dict):
        return None, None
    return quantity.get("value"), quantity.get("comparator")


def _message(
    alert: Alert,
    assessment: Assessment,
    remote: Remote,
    patient: str,
    ours: set[str],
    now: datetime,
) -> Message:
    extension = alert.card.get("extension", {}).get(_EXTENSION, {})
    current = assessment.exposure.current
    modelled = current is not None and assessment.exposure.state.quantitative
    return Message(
        patient=patient,
        card=alert.card,
        at=now,
        # Results that only a message told us of do not exist at the server.
        observations=[o for o in extension.get("observations", []) if o not in ours],
        orders=list(extension.get("orders", [])),
        owner=remote.server.owner,
        percent_below=current.percent_below
        if current is not None and modelled and alert.place.matter == "exposure"
        else None,
    )

"""An Observation seen at the server: whether it concerns us, whose it is, and which version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, Integer, bindparam, or_, select, update

from cds.alerts.notification import local
from cds.alerts.queue import Kind, Queue
from cds.alerts.tables import insert_into, seen
from cds.clinical.terminology import Drug
from cds.fhir.elements import concept, element, reference_of, text
from cds.fhir.identity import subject_of
from cds.fhir.mentions import mentions
from cds.fhir.problems import ReadError
from cds.store.jsontext import canonical, decode

_WAITING: Final = frozenset({"registered"})
_MOST_FRESH: Final = 20


class Unusable(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """A result about the monitored drug that cannot be followed up; `problem` says why."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Sighting(Struct, frozen=True):
    """One Observation in one version; `resource` when it exists nowhere but here (HL7 v2)."""

    reference: str
    version: str
    patient: str
    resource: Mapping[str, Any] | None = None


def sighting_of(
    observation: Mapping[str, Any], drug: Drug, base: str, *, wait_for_final: bool
) -> Sighting | None:
    """The sighting an Observation is, or None if there is nothing to do about it.

    A result that is named like the drug but coded unknown concerns us: the card will ask.
    Raises Unusable if it concerns us and does not say whose it is.
    """
    try:
        codes = concept(element(observation, "code")).codes
        status = text(observation, "status")
        ours = any(code in drug.level_codes for code in codes) or mentions([observation], drug)
        if not ours or status in _WAITING or (status == "preliminary" and wait_for_final):
            return None
        return Sighting(
            reference_of(observation), version_of(observation), _patient(observation, base)
        )
    except ReadError:
        if mentions([observation], drug):
            raise Unusable("result-malformed") from None
        return None


def version_of(observation: Mapping[str, Any]) -> str:
    """A digest of the server's version and time of change, or of the content where it has none.

    Both, because a server without versioning may call every version the first.
    """
    meta = observation.get("meta")
    known = meta if isinstance(meta, dict) else {}
    named = [known.get("versionId"), known.get("lastUpdated")]
    if not all(isinstance(one, str) and one for one in named):
        named = [{key: value for key, value in observation.items() if key != "meta"}]
    return hashlib.sha256(canonical(named)).hexdigest()


def _patient(observation: Mapping[str, Any], base: str) -> str:
    subject = observation.get("subject")
    target = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(target, str) or not target:
        raise Unusable("subject-missing")
    named = local(target, base)
    if named is None or not named.startswith("Patient/"):
        raise Unusable("subject-elsewhere")
    return subject_of(observation) or named.removeprefix("Patient/")


def admit(
    connection: Connection, queue: Queue, server: str, sighting: Sighting, now: datetime
) -> bool:
    """Have the patient assessed, unless this version already gave cause for it."""
    patient_key = queue.cipher.patient_key(server, sighting.patient)
    name = _key(sighting.reference)
    body: dict[str, Any] = {"reference": sighting.reference, "patient": sighting.patient}
    if sighting.resource is not None:
        body["resource"] = dict(sighting.resource)
    sealed = queue.cipher.seal(canonical(body), f"seen/{server}/{name}")
    values = {
        "server": server,
        "observation": name,
        "version": sighting.version,
        "patient_key": patient_key,
        "generation": 0,
        "fresh": True,
        "held": sighting.resource is not None,
        "body": sealed,
        "at": now,
    }
    if connection.execute(_see(connection.dialect.name), values).first() is None:
        return False
    generation = queue.bump(
        connection, Kind.PATIENT, server, patient_key, {"patient": sighting.patient}, now
    )
    which = {"server_": server, "observation_": name, "generation_": generation}
    connection.execute(_GAVE_CAUSE, which)
    return True


def known_patient(connection: Connection, queue: Queue, server: str, reference: str) -> str | None:
    """Whose an Observation was when we last saw it: the way back from a deleted one."""
    name = _key(reference)
    row = connection.execute(
        select(seen.c.body).where(seen.c.server == server, seen.c.observation == name)
    ).first()
    if row is None:
        return None
    return str(decode(queue.cipher.open(row.body, f"seen/{server}/{name}"))["patient"])


def to_read(queue: Queue, server: str, patient_key: str) -> tuple[list[str], list[dict[str, Any]]]:
    """What a patient's assessment must not miss: fresh references, and resources held by us.

    A search right after a notification may not find the new result yet; reading it by its address
    does.
    """
    references: list[str] = []
    held: list[dict[str, Any]] = []
    with queue.database.reading() as connection:
        which = {"server_": server, "patient_key_": patient_key}
        rows = connection.execute(_TO_READ, which).all()
    for row in rows:
        body = decode(queue.cipher.open(row.body, f"seen/{server}/{row.observation}"))
        if row.held:
            held.append(body["resource"])
        else:
            references.append(body["reference"])
    return references, held


def mark_read(connection: Connection, server: str, patient_key: str, generation: int) -> None:
    """Note that everything up to this generation has been assessed."""
    which = {"server_": server, "patient_key_": patient_key, "generation_": generation}
    connection.execute(_READ, which)


def _key(reference: str) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()


# Statements, made once: building one anew costs several times what running it does.


@cache
def _see(dialect: str) -> Any:
    """Note an observation; its name, or nothing if this version of it is known."""
    statement = insert_into(dialect, seen)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["server", "observation"],
        set_={column.name: new[column.name] for column in seen.c if not column.primary_key},
        where=or_(seen.c.version != new.version, seen.c.patient_key != new.patient_key),
    )
    return statement.returning(seen.c.observation)


_SERVER: Final = seen.c.server == bindparam("server_")
_PATIENT: Final = seen.c.patient_key == bindparam("patient_key_")
_GENERATION: Final = bindparam("generation_", type_=Integer)
_GAVE_CAUSE: Final = (
    update(seen)
    .where(_SERVER, seen.c.observation == bindparam("observation_"))
    .values(generation=_GENERATION)
)
_TO_READ: Final = (
    select(seen)
    .where(_SERVER, _PATIENT, or_(seen.c.fresh, seen.c.held))
    .order_by(seen.c.at.desc())
    .limit(_MOST_FRESH)
)
_READ: Final = (
    update(seen)
    .where(_SERVER, _PATIENT, seen.c.generation <= _GENERATION, seen.c.fresh)
    .values(fresh=False)
)

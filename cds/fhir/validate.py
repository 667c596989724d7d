"""One resource at a time through the FHIR R4B models: repaired where harmless, else refused.

The models (`fhir.resources.R4B`, whose definitions of the types read here equal R4 4.0.1) are the
gate; the readers then read the JSON (see `elements`). Each entry of a Bundle passes alone, so that
one bad resource never takes the others with it, and what is refused becomes a Problem: a dropped
interacting medicine would be a safety failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from msgspec import Struct

from cds.clinical.problem import Impact, Problem
from cds.fhir.elements import Element, copy_of, reference_of
from cds.fhir.form import form, written
from cds.fhir.no_dates import has_placeholder
from cds.fhir.passed import Passed
from cds.fhir.problems import problem
from cds.fhir.repair import MODIFIERS, completed, remove, tidy
from cds.fhir.vocabulary import MEDICATION_TYPES, OLD_MEDICATION_TYPES, READ_TYPES, STATUSES

PASSED: Final = Passed()

# Elements that exist in DSTU2, STU3 or R5 but not in R4, and change the meaning of a dose or of
# being taken at all. Dropping one and reading on could invert it (`taken: n`), so we refuse.
_OTHER_VERSION: Final = frozenset(
    {
        "medication",
        "patient",
        "taken",
        "notTaken",
        "wasNotTaken",
        "wasNotGiven",
        "reasonNotTaken",
        "notGiven",
        "reasonNotGiven",
        "prescriber",
        "dateWritten",
        "dosageInstruction",
        "dosage",
        "adherence",
        "effectiveTiming",
        "dateAsserted",
    }
)

_NAME_OF_ORDER: Final = (
    *("resourceType", "id", "status", "intent", "subject", "authoredOn", "contained"),
    *("medicationCodeableConcept", "medicationReference", "doNotPerform"),
)


class Reading(Struct, frozen=True):
    """A resource that passed the gate, as JSON with harmless repairs; None if it was refused."""

    resource: Element | None
    problems: tuple[Problem, ...] = ()
    known: bool = False
    """Its form passed before, and resources of that form have no date that nobody entered."""


def read_resources(resources: Sequence[Element], passed: Passed = PASSED) -> list[Reading]:
    """Validate the resources of one record, each by itself as `read_resource` does.

    The same resources together, all of which were known, are looked up at once.
    """
    as_written = [written(resource) for resource in resources]
    together = passed.digest_of_all(as_written)
    if together in passed:
        return [Reading(each, known=True) for each in resources]
    sure: set[bytes] = set()  # the same test again and again has one form
    shaped = zip(resources, map(form, as_written), strict=True)
    readings = [_read(resource, shape, passed, sure) for resource, shape in shaped]
    sent = zip(readings, resources, strict=True)
    if all(reading.known and reading.resource is resource for reading, resource in sent):
        passed.add(together)
    return readings


def read_resource(data: Element, passed: Passed = PASSED) -> Reading:
    """Validate one resource; never raises for any JSON object.

    A form that `passed` the models before as it was sent, is not put through them again.

    Repairs: surrounding spaces and NUL in strings, nulls and empty values; elements R4 does not
    know are left out and said. Never repaired: a missing zone, a status, anything in a dosage.
    """
    return _read(data, form(written(data)), passed, set())


def _read(data: Element, shape: bytes, passed: Passed, sure: set[bytes]) -> Reading:
    """Validate one resource of the form `shape`; forms that are `sure` were looked up before."""
    kind = data.get("resourceType")
    if not isinstance(kind, str) or kind not in READ_TYPES:
        return _refused_type(kind, reference_of(data))
    if shape in sure:
        return Reading(data, known=True)
    digest = passed.digest(shape)
    if digest in passed:
        sure.add(shape)
        return Reading(data, known=True)
    reference = reference_of(data)
    modifiers: list[Any] = []
    resource = tidy(data, modifiers)
    if modifiers:
        message = (
            f"{reference} carries a modifier ({_named(modifiers[0])}) that this service does not "
            "know; it may change the meaning of the resource, so it was not used."
        )
        return Reading(None, (problem("modifier-extension", message, reference),))
    if resource != data:
        digest = passed.digest(form(written(resource)))
        if digest in passed:
            return Reading(resource, known=True)
    reading = _through_models(kind, resource, reference)
    if reading.resource is resource and not has_placeholder(resource):
        passed.add(digest)
    return reading


def read_name_only(data: Mapping[str, Any]) -> Reading:
    """An order of an older FHIR version that the gate refused, without its dosage.

    Which medicine is ordered stands in the same elements in STU3 and R4; that it interacts must not
    be lost with a dose that could be misread. Only orders: elements of statements and
    administrations of older versions can say that a medicine was not taken.
    """
    if data.get("resourceType") != "MedicationRequest" or _OTHER_VERSION & data.keys() - {
        "dosageInstruction"
    }:
        return Reading(None)
    if any(data.get(name) for name in MODIFIERS):
        return Reading(None)
    named = {name: data[name] for name in _NAME_OF_ORDER if name in data}
    reading = read_resource(named)
    return Reading(reading.resource)


def warm() -> None:
    """Import and first-use the models, so that a server can pay for it before it forks."""
    for kind in READ_TYPES:
        _model(kind)
    read_resource({"resourceType": "Patient", "id": "warm", "birthDate": "2000-01-01"})


@cache
def _model(kind: str) -> Any:
    # Imported on first use: the models cost a quarter of a second, which `rules lint` must not pay.
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(kind)


def _through_models(kind: str, resource: dict[str, Any], reference: str) -> Reading:
    """What the models make of a resource; without any repair it is the same object."""
    from pydantic import ValidationError

    shadow = resource
    dropped: list[str] = []
    for _ in range(3):  # a repair can uncover a second error, hardly ever a third
        try:
            _model(kind).model_validate(shadow)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
        except (KeyError, TypeError, AttributeError, RecursionError):
            # What the models themselves trip over: an unknown type inside `contained` (KeyError),
            # a resourceType that is no text (TypeError).
            return Reading(None, (_unreadable(reference, "it contains an unknown resource"),))
        else:
            return _accepted(resource, reference, dropped)
        if any(_is_other_version(kind, item) for item in errors):
            return Reading(None, (_other_version(reference),))
        shadow = copy_of(shadow)
        resource = copy_of(resource)
        for item in errors:
            if item["type"] == "extra_forbidden" and remove(shadow, item["loc"]):
                remove(resource, item["loc"])
                dropped.append(".".join(map(str, item["loc"])))
            elif not completed(shadow, item["loc"]):
                return Reading(None, (_unreadable(reference, _where(item)),))
    return Reading(None, (_unreadable(reference, "it has too many errors"),))


def _accepted(resource: Element, reference: str, dropped: Sequence[str]) -> Reading:
    status = resource.get("status")
    statuses = STATUSES.get(str(resource.get("resourceType")))
    if statuses is not None and status not in statuses:
        message = f"{reference} has the status {str(status)[:40]!r}, which FHIR R4 does not define."
        return Reading(None, (problem("status-unknown", message, reference, field="status"),))
    if not dropped:
        return Reading(resource)
    message = f"{reference} was read without elements R4 does not know: {', '.join(dropped)[:200]}."
    return Reading(resource, (problem("resource-repaired", message, reference, field=dropped[0]),))


def _named(modifier: Any) -> str:
    """What to call a modifier we cannot understand."""
    first = modifier[0] if isinstance(modifier, list) else modifier
    return str(first.get("url", "?") if isinstance(first, dict) else first)[:80]


def _is_other_version(kind: str, error: Any) -> bool:
    """Whether an error shows a medicine resource of another FHIR version."""
    if kind not in MEDICATION_TYPES or error["type"] != "extra_forbidden":
        return False
    return any(part in _OTHER_VERSION for part in error["loc"])


def _where(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    return f"element {path} is not valid" if path else "required or exclusive elements are wrong"


def _refused_type(kind: Any, reference: str) -> Reading:
    if isinstance(kind, str) and kind in OLD_MEDICATION_TYPES:
        return Reading(None, (_other_version(reference),))
    message = f"{reference} is of a type this service does not read."
    return Reading(None, (problem("resource-type-unknown", message, reference),))


def _other_version(reference: str) -> Problem:
    message = (
        f"{reference} has the shape of another FHIR version than R4; its dose was not used, "
        "because it could be misread."
    )
    return problem("fhir-version-mismatch", message, reference)


def _unreadable(reference: str, why: str) -> Problem:
    message = f"{reference} is not valid FHIR R4 ({why}) and was not used."
    return problem("resource-unreadable", message, reference, impact=Impact.LIMITS)

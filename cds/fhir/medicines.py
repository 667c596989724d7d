"""Medicines other than the monitored drug, as far as they can interact with it."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Final

from cds.clinical.codes import Concept
from cds.clinical.medication import Medicine, UseState
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.clinical.units import UnitError, convert
from cds.fhir.context import ReadContext
from cds.fhir.dose_units import unit_kind
from cds.fhir.elements import Element, element, elements, flag, number, reference_of, text
from cds.fhir.frequency import find_rates
from cds.fhir.instruction import is_as_needed
from cds.fhir.local_use import reaches_circulation
from cds.fhir.near_names import near_name
from cds.fhir.problems import ReadError, problem
from cds.fhir.products import Product
from cds.fhir.schedule import Schedule
from cds.fhir.strength import named_mg
from cds.fhir.times import moment, span
from cds.fhir.timing import read_timing

_STATES: Final = MappingProxyType(
    {
        "active": UseState.ACTIVE,
        "in-progress": UseState.ACTIVE,
        "draft": UseState.DRAFT,
        "intended": UseState.ACTIVE,  # a statement of what is to be taken soon
        "on-hold": UseState.ON_HOLD,
        "completed": UseState.STOPPED,
        "stopped": UseState.STOPPED,
    }
)
_ENDING: Final = frozenset({"on-hold", "completed", "stopped"})
_NEVER_TAKEN: Final = frozenset(
    {"entered-in-error", "cancelled", "not-taken", "not-done", "declined", "preparation"}
)


def read_medicine(
    resource: Element, product: Product, context: ReadContext, is_draft: bool, selected: bool
) -> tuple[Medicine | None, list[Problem]]:
    """A medicine other than the monitored drug, or None if it was never taken."""
    status = str(text(resource, "status"))
    if status in _NEVER_TAKEN or flag(resource, "doNotPerform"):
        return None, []
    reference = reference_of(resource)
    ingredients = _ingredients(product, context)
    dosages = _dosages(resource)
    started, stopped = _use(resource, dosages, context)
    if is_draft and status in _ENDING:
        # Its end or a hold is being signed: nothing is ordered.
        is_draft, stopped = False, stopped or Moment(context.now)
    state = UseState.DRAFT if is_draft else _state(resource, status, stopped, context)
    problems = []
    if ingredients and status == "unknown":
        message = f"Whether {_display(product, ingredients, context)[:60]} is taken is unknown."
        problems = [problem("medicine-status-unknown", message, reference, field="status")]
    elif not ingredients and state is not UseState.STOPPED:
        problems = _naming_problems(product, reference, context)
    schedule, daily_mg = _daily(dosages, product, context)
    return (
        Medicine(
            ingredients,
            _display(product, ingredients, context),
            state,
            reference,
            started,
            stopped,
            is_draft,
            selected,
            reaches_circulation(dosages, product),
            daily_mg,
            _is_single(dosages, schedule),
            any(is_as_needed(dosage) for dosage in dosages),
            resource["resourceType"] == "MedicationAdministration",
        ),
        problems,
    )


def _ingredients(product: Product, context: ReadContext) -> tuple[str, ...]:
    concepts: tuple[Concept, ...] = (product.concept, *product.ingredients)
    keys = [key for found in concepts for key in context.terminology.ingredients_of(found)]
    return tuple(dict.fromkeys(keys))


def _display(product: Product, ingredients: tuple[str, ...], context: ReadContext) -> str:
    """The words of the record, else the ingredients by name, else what little there is."""
    if product.concept.text is None and ingredients:
        names = context.terminology.ingredient_names
        return " and ".join(names.get(key, key) for key in ingredients)
    return product.display or product.unresolved or "a medicine without a name"


def _naming_problems(product: Product, reference: str, context: ReadContext) -> list[Problem]:
    """Why nobody can know which medicine it is: nothing sent, no words, or a misspelt name."""
    said = " ".join(c.text for c in (product.concept, *product.ingredients) if c.text)
    codes = product.concept.codes
    if said:
        near = near_name(said, context.terminology.medicine_names)
        if near is None:
            return []
        message = (
            f"{said[:60]!r} was not recognised but resembles {near}; its interactions were not "
            "checked."
        )
        return [problem("medication-misspelt", message, reference)]
    if codes:
        message = (
            f"A medicine is named only by a code not known here ({codes[0].code[:30]}); its "
            "interactions are unknown."
        )
        return [problem("medication-code-unknown", message, reference)]
    if product.unresolved is not None:
        message = f"The medicine of {reference} was not sent; interactions with it are unknown."
        return [problem("medication-unresolved", message, reference)]
    message = f"{reference} does not name its medicine; interactions with it are unknown."
    return [problem("medication-unnamed", message, reference)]


def _dosages(resource: Element) -> list[Element]:
    if resource["resourceType"] in {"MedicationRequest", "MedicationDispense"}:
        return elements(resource, "dosageInstruction")
    if resource["resourceType"] == "MedicationStatement":
        return elements(resource, "dosage")
    given = element(resource, "dosage")  # an administration has one, of another shape
    return [given] if given is not None else []


def _use(
    resource: Element, dosages: list[Element], context: ReadContext
) -> tuple[Moment | None, Moment | None]:
    """From when until when the medicine is used, as far as the resource says."""
    zone = context.zone
    kind = resource["resourceType"]
    if kind == "MedicationDispense":
        handed_over = moment(resource, "whenHandedOver", zone)
        return handed_over, _supply_end(resource, handed_over)
    if kind == "MedicationRequest":
        starts, ends = _bounds(dosages, context)
        return starts or moment(resource, "authoredOn", zone), ends
    during = span(resource, "effectivePeriod", zone)
    if during is not None:
        return during.start, during.end
    at = moment(resource, "effectiveDateTime", zone)
    return at, at if kind == "MedicationAdministration" else None


def _bounds(dosages: list[Element], context: ReadContext) -> tuple[Moment | None, Moment | None]:
    starts: list[Moment] = []
    ends: list[Moment | None] = []
    for dosage in dosages:
        repeat = element(element(dosage, "timing") or {}, "repeat") or {}
        bounds = span(repeat, "boundsPeriod", context.zone)
        if bounds is not None and bounds.start is not None:
            starts.append(bounds.start)
        ends.append(bounds.end if bounds is not None else None)
    known = [end for end in ends if end is not None]
    closed = bool(ends) and len(known) == len(ends)  # one open dosage keeps the order open
    return (
        min(starts, key=lambda m: m.at, default=None),
        max(known, key=lambda m: m.at, default=None) if closed else None,
    )


def _supply_end(resource: Element, handed_over: Moment | None) -> Moment | None:
    supply = element(resource, "daysSupply") or {}
    days = number(supply, "value")
    if handed_over is None or days is None or days <= 0 or days > 3660:
        return None
    return Moment(
        handed_over.at + timedelta(days=float(days)),
        handed_over.precision,
        handed_over.zone_assumed,
    )


def _state(
    resource: Element, status: str, stopped: Moment | None, context: ReadContext
) -> UseState:
    kind = resource["resourceType"]
    if kind == "MedicationRequest" and text(resource, "intent") in {"proposal", "option"}:
        return UseState.UNKNOWN
    if kind in {"MedicationDispense", "MedicationAdministration"} and status == "completed":
        # What was handed over or given once tells of use, not of when it ended.
        if kind == "MedicationDispense" and stopped is not None:
            return UseState.ACTIVE if stopped.at > context.now else UseState.STOPPED
        return UseState.UNKNOWN
    state = _STATES.get(status, UseState.UNKNOWN)
    if state is UseState.ACTIVE and stopped is not None and stopped.at <= context.now:
        return UseState.STOPPED
    return state


def _is_single(dosages: list[Element], schedule: Schedule | None) -> bool:
    """Whether every dosage is one dose and no more, by its structure or else by its words."""
    if schedule is not None:
        return schedule.single or schedule.count == 1
    return bool(dosages) and all(_says_once(dosage) for dosage in dosages)


def _says_once(dosage: Element) -> bool:
    repeat = element(element(dosage, "timing") or {}, "repeat") or {}
    if number(repeat, "count") == 1 and number(repeat, "countMax") in {None, 1}:
        return True
    rates, _ = find_rates((text(dosage, "text") or "").lower())
    return [rate.single for rate in rates] == [True]


def _daily(
    dosages: list[Element], product: Product, context: ReadContext
) -> tuple[Schedule | None, float | None]:
    """The schedule and mean mg per day of a plain dosage, in mg or in tablets of named mg."""
    if len(dosages) != 1:
        return None, None
    timing = element(dosages[0], "timing")
    try:
        known = context.terminology.frequencies
        schedule = read_timing(timing, context.zone, known) if timing is not None else None
        entries = elements(dosages[0], "doseAndRate")
        quantity = element(entries[0], "doseQuantity") if len(entries) == 1 else None
        if schedule is None or quantity is None or schedule.single:
            return schedule, None
        value, (kind, unit) = number(quantity, "value"), unit_kind(quantity)
        each = named_mg(product.concept.text) if kind == "count" else None
        if value is None or value <= 0 or (kind != "mass" and each is None):
            return schedule, None
        mg = float(value) * each if each is not None else convert(value, unit, "mg")
    except (ReadError, UnitError):
        return None, None  # the dose of another medicine only refines an interaction
    return schedule, mg * len(schedule.offsets_h) * 24.0 / schedule.cycle_h

"""What was given, not taken and handed over: administrations, denials and dispenses of the drug."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cds.clinical.moment import Moment, Precision
from cds.clinical.regimen import Supply, TakenDose
from cds.clinical.units import UnitError, convert
from cds.fhir.context import ReadContext
from cds.fhir.dose import DoseContext, quantity_dose
from cds.fhir.elements import Element, element, number, reference_of, text
from cds.fhir.findings import MedicationFindings
from cds.fhir.problems import ReadError, problem
from cds.fhir.products import Product
from cds.fhir.times import Span, moment, span


def read_administration(
    resource: Element, product: Product, context: ReadContext, found: MedicationFindings
) -> None:
    """Add a documented administration of the drug, done or not done."""
    reference = reference_of(resource)
    status = text(resource, "status")
    if status not in {"completed", "not-done"}:
        message = f"An administration with status {status} does not count as a dose taken."
        found.problems.append(problem("administration-not-usable", message, reference))
        return
    during = span(resource, "effectivePeriod", context.zone)
    at = moment(resource, "effectiveDateTime", context.zone) or (during.start if during else None)
    if at is None:
        message = "A documented administration has no time."
        found.problems.append(problem("administration-time-unknown", message, reference))
        return
    amount: float | None = None
    if status == "completed":
        try:
            quantity = element(element(resource, "dosage") or {}, "dose")
            amount = quantity_dose(quantity or {}, _dose_context(product, context)).mg
        except ReadError as error:
            found.problems.append(
                problem(
                    "administration-dose-unknown", error.message, reference, field="dosage.dose"
                )
            )
    found.taken.append(TakenDose(at, amount, status == "completed", reference, "administration"))


def read_dispense(
    resource: Element, product: Product, context: ReadContext, found: MedicationFindings
) -> None:
    """Add a supply of the drug that was handed over."""
    reference = reference_of(resource)
    handed_over = moment(resource, "whenHandedOver", context.zone)
    status = text(resource, "status")
    if status != "completed" or handed_over is None:
        message = f"A dispense with status {status} does not say when it was handed over."
        if handed_over is not None:
            message = f"A dispense with status {status} does not count as handed over."
        found.problems.append(problem("supply-not-handed-over", message, reference))
        return
    quantity = element(resource, "quantity") or {}
    days = _days(element(resource, "daysSupply"))
    if days is None:
        message = "A dispense does not say for how many days it suffices."
        found.problems.append(
            problem("supply-days-unknown", message, reference, field="daysSupply")
        )
    count = number(quantity, "value")
    found.supplies.append(
        Supply(
            handed_over,
            days,
            float(count) if count is not None else None,
            reference,
            _handed_over_mg(quantity, _dose_context(product, context)),
        )
    )


def _dose_context(product: Product, context: ReadContext) -> DoseContext:
    return DoseContext(context.drug, product, strengths=context.strengths)


def _handed_over_mg(quantity: Element, context: DoseContext) -> float | None:
    try:
        return quantity_dose(quantity, context).mg
    except ReadError:
        return None  # without a strength the days stated are all that is known


def read_not_taken(
    reference: str, at: Moment | None, during: Span, context: ReadContext, found: MedicationFindings
) -> None:
    """Add the doses of a statement that says they were not taken: one, or those of a period."""
    if at is not None:
        found.taken.append(TakenDose(at, None, False, reference, "statement"))
        return
    first, last = (
        end.at.astimezone(context.zone).date().isoformat() if end else "an unknown date"
        for end in (during.start, during.end)
    )
    message = f"{context.drug.name.capitalize()} was not taken from {first} to before {last}."
    found.problems.append(problem("not-taken-period", message, reference, field="status"))
    missed = _days_of(during, context.now)
    found.taken += (TakenDose(day, None, False, reference, "statement") for day in missed)


def _days_of(during: Span, now: datetime) -> Iterator[Moment]:
    """A moment on each day of a period, of the last year of it if it is longer."""
    end = min(during.end.at, now) if during.end else now
    first = during.start.at if during.start else end - timedelta(days=1)
    day = max(first, end - timedelta(days=366))
    while day < end:
        yield Moment(day, Precision.DAY)
        day += timedelta(days=1)


LONGEST_SUPPLY_D = 3660
"""Ten years: nobody is handed more, and a date so many days on must still exist."""


def _days(supply: Element | None) -> float | None:
    if supply is None:
        return None
    value = number(supply, "value")
    unit = text(supply, "code") or text(supply, "unit") or "d"
    try:
        days = convert(value, unit, "d") if value is not None and value > 0 else None
    except UnitError:
        return None  # said by the caller: the days are unknown
    return days if days is not None and days <= LONGEST_SUPPLY_D else None

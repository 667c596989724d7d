"""Orders and statements of the drug -> what is ordered and what is said to be taken."""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from cds.clinical.moment import Moment
from cds.clinical.problem import Impact, Problem
from cds.clinical.regimen import DrugOrder, OrderStatus, Regimen, TakenDose
from cds.fhir.context import ReadContext
from cds.fhir.dosage import read_dosages
from cds.fhir.dose import DoseContext, quantity_dose
from cds.fhir.doses_taken import read_administration, read_dispense, read_not_taken
from cds.fhir.elements import (
    Element,
    element,
    elements,
    flag,
    local_reference,
    reference_of,
    referred,
    text,
)
from cds.fhir.findings import STOP_UNDATED, MedicationFindings
from cds.fhir.medicines import read_medicine
from cds.fhir.no_dates import without_dates_before_drug
from cds.fhir.problems import ReadError, problem
from cds.fhir.products import Product, is_drug, product_of
from cds.fhir.reasons import reason_references_of, reasons_of
from cds.fhir.times import Span, moment, span
from cds.fhir.vocabulary import AUTHORISED_INTENTS, INTENTS

_STATEMENT_STATUS: Final = {
    "active": OrderStatus.ACTIVE,
    "completed": OrderStatus.COMPLETED,
    "stopped": OrderStatus.STOPPED,
    "on-hold": OrderStatus.ON_HOLD,
}
_ENDING: Final = frozenset(
    {OrderStatus.STOPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.ON_HOLD}
)
"""What an order being signed may be besides a new one: the end or a hold of an earlier one."""
_CURRENT: Final = frozenset({OrderStatus.ACTIVE, OrderStatus.DRAFT})


def read_medication(
    resource: Element,
    context: ReadContext,
    found: MedicationFindings,
    *,
    is_draft: bool = False,
    selected: bool = False,
) -> None:
    """Add what one medication resource says to `found`.

    Raises ReadError only for malformed elements that were met before the medicine was known.
    """
    reference = reference_of(resource)
    product = product_of(resource, context.resolve)
    try:
        ours = is_drug(product, context.drug, context.terminology)
    except ReadError as error:
        order = unread_order(
            resource, is_draft=is_draft, selected=selected, display=product.display
        )
        found.orders.append(order)
        found.problems.append(error.as_problem(reference))
        return
    if not ours:
        medicine, problems = read_medicine(resource, product, context, is_draft, selected)
        found.problems.extend(problems)
        if medicine is not None:
            found.medicines.append(medicine)
        return
    resource, undated = without_dates_before_drug(resource, context.drug)
    found.problems.extend(undated)
    if resource.get("status") == "entered-in-error":
        message = f"{reference} was withdrawn as entered in error and is ignored."
        found.problems.append(problem("entered-in-error", message, reference))
    elif resource["resourceType"] == "MedicationRequest":
        _read_request(resource, product, context, found, is_draft=is_draft, selected=selected)
    elif resource["resourceType"] == "MedicationStatement":
        _read_statement(resource, product, context, found)
    elif resource["resourceType"] == "MedicationAdministration":
        read_administration(resource, product, context, found)
    else:
        read_dispense(resource, product, context, found)


def unread_order(
    resource: Element,
    *,
    is_draft: bool = False,
    selected: bool = False,
    display: str | None = None,
) -> DrugOrder:
    """What is left of a resource that names the drug but could not be read; a Problem says why.

    Without regimens it claims no dose, but the record knows that the drug was mentioned.
    """
    is_order = resource.get("resourceType") == "MedicationRequest"
    followed = is_order and resource.get("status") == "active" and not resource.get("doNotPerform")
    status = OrderStatus.ACTIVE if followed else OrderStatus.UNKNOWN
    return DrugOrder(
        reference_of(resource),
        OrderStatus.DRAFT if is_draft else status,
        is_draft=is_draft,
        selected=selected,
        display=display,
        reported=not is_order,
    )


def _read_request(
    resource: Element,
    product: Product,
    context: ReadContext,
    found: MedicationFindings,
    *,
    is_draft: bool,
    selected: bool,
) -> None:
    reference = reference_of(resource)
    status = OrderStatus(str(text(resource, "status")))
    if is_draft and status not in _ENDING:
        status = OrderStatus.DRAFT
    doses = _dose_context(product, context)
    order = partial(
        DrugOrder,
        reference,
        is_draft=is_draft,
        selected=selected,
        strength_mg=_tablet_mg(doses),
        display=product.display,
        replaces=_prior(resource),
        group=text(element(resource, "groupIdentifier") or {}, "value"),
        reasons=reasons_of(resource, context),
        reason_references=reason_references_of(resource),
        is_solution=_is_solution(doses),
    )
    authored, reported = None, False
    try:
        authored = moment(resource, "authoredOn", context.zone)
        reported = _is_reported(resource)
        _check_authority(resource, context, is_draft=is_draft)
        dosages = elements(resource, "dosageInstruction")
        regimens = read_dosages(dosages, doses, context.zone, authored)
    except ReadError as error:
        if not (is_draft and status in _ENDING and error.code == "dose-missing"):
            found.problems.append(error.as_problem(reference, _impact(error, status)))
        if error.code in {"order-not-authorised", "do-not-perform"}:
            status = OrderStatus.UNKNOWN
        found.orders.append(order(status, authored=authored, reported=reported))
        return
    if reported:
        regimens = _said(regimens, "The order is reported, not prescribed here.")
    stopped = _stopped(status, regimens, context)
    read = order(status, regimens, authored=authored, stopped=stopped, reported=reported)
    found.orders.append(read)
    if not is_draft:
        found.problems.extend(_status_notes(read, context))


def _check_authority(resource: Element, context: ReadContext, *, is_draft: bool) -> None:
    """Refuse what is not an authorised order to take the drug."""
    name = context.drug.name
    if flag(resource, "doNotPerform"):
        raise ReadError(
            "do-not-perform", f"An order says that {name} must not be given.", "doNotPerform"
        )
    intent = text(resource, "intent")
    if intent not in INTENTS:
        shown = str(intent)[:30]
        message = f"The order has the intent {shown!r}, which FHIR R4 does not define."
        raise ReadError("order-not-authorised", message, "intent")
    # A draft in the hook is what the prescriber is about to authorise, whatever its intent.
    if not is_draft and intent not in AUTHORISED_INTENTS:
        message = f"The {name} entry is a {intent}, not an authorised order; it does not count."
        raise ReadError("order-not-authorised", message, "intent")


def _status_notes(order: DrugOrder, context: ReadContext) -> list[Problem]:
    name = context.drug.name
    if order.status is OrderStatus.ON_HOLD:
        message = f"The {name} order is on hold; it does not count as current therapy."
        return [problem("order-on-hold", message, order.reference, field="status")]
    if order.status is OrderStatus.UNKNOWN:
        message = f"The status of an order of {name} is unknown; it does not count as therapy."
        return [problem("order-status-unknown", message, order.reference, field="status")]
    if order.status is OrderStatus.STOPPED and order.stopped is None:
        message = f"The {name} order was stopped, but the record does not say when."
        return [problem(STOP_UNDATED, message, order.reference, field="status")]
    return []


def _stopped(
    status: OrderStatus, regimens: tuple[Regimen, ...], context: ReadContext
) -> Moment | None:
    """When an ended order ended, as far as its bounds say."""
    if status not in {OrderStatus.STOPPED, OrderStatus.COMPLETED}:
        return None
    end = regimens[-1].ends
    return end if end is not None and end.at <= context.now else None


def _read_statement(
    resource: Element, product: Product, context: ReadContext, found: MedicationFindings
) -> None:
    reference = reference_of(resource)
    status = text(resource, "status")
    at = moment(resource, "effectiveDateTime", context.zone)
    during = span(resource, "effectivePeriod", context.zone) or Span(None, None)
    if status == "not-taken":
        read_not_taken(reference, at, during, context, found)
        return
    doses = _dose_context(product, context)
    order = DrugOrder(
        reference,
        _STATEMENT_STATUS.get(status or "", OrderStatus.UNKNOWN),
        authored=moment(resource, "dateAsserted", context.zone) or at or during.start,
        strength_mg=_tablet_mg(doses),
        display=product.display,
        reported=True,
        reasons=reasons_of(resource, context),
        reason_references=reason_references_of(resource),
    )
    dosages = elements(resource, "dosage")
    try:
        if at is not None and at.has_clock_time and not any("timing" in d for d in dosages):
            amount = _statement_amount(dosages, doses)
            taken = status in {"active", "completed"}
            if taken:
                found.taken.append(TakenDose(at, amount, True, reference, "statement"))
                return
        regimens = read_dosages(dosages, doses, context.zone, at or during.start)
    except ReadError as error:
        found.problems.append(error.as_problem(reference, Impact.LIMITS))
        found.orders.append(order)
        return
    last = regimens[-1]
    if last.ends is None and during.end is not None:
        regimens = (*regimens[:-1], replace(last, ends=during.end))
    regimens = _said(regimens, "The regimen is reported by a medication statement.")
    stopped = _stopped(order.status, regimens, context)
    found.orders.append(replace(order, regimens=regimens, stopped=stopped))


def _statement_amount(dosages: list[Element], doses: DoseContext) -> float | None:
    entries = [entry for dosage in dosages for entry in elements(dosage, "doseAndRate")]
    quantity = element(entries[0], "doseQuantity") if len(entries) == 1 else None
    return quantity_dose(quantity, doses).mg if quantity else None


def _tablet_mg(doses: DoseContext) -> float | None:
    try:
        return doses.product_strength.per_unit_mg
    except ReadError:
        return None  # becomes a question only if the dose depends on it


def _is_solution(doses: DoseContext) -> bool:
    try:
        return doses.product_strength.per_ml_mg is not None
    except ReadError:
        return False


def _dose_context(product: Product, context: ReadContext) -> DoseContext:
    return DoseContext(
        context.drug,
        product,
        context.body_surface_m2,
        context.weight_kg,
        context.terminology.frequencies,
        context.strengths,
    )


def _is_reported(resource: Element) -> bool:
    return bool(flag(resource, "reportedBoolean")) or "reportedReference" in resource


def _prior(resource: Element) -> str | None:
    target = referred(element(resource, "priorPrescription"))
    return local_reference(target) if target else None


def _said(regimens: tuple[Regimen, ...], assumption: str) -> tuple[Regimen, ...]:
    return tuple(replace(r, assumptions=(*r.assumptions, assumption)) for r in regimens)


def _impact(error: ReadError, status: OrderStatus) -> Impact | None:
    """Not knowing the current dose prevents advice; a dose no longer followed only limits it."""
    if error.code == "order-not-authorised":
        return None
    return Impact.PREVENTS if status in _CURRENT else Impact.LIMITS

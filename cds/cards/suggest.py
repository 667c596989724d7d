"""What can be done with one click: whole resources, the conservative way always among them.

A suggestion is marked as recommended only when the dose comes from a reliable fit to this
patient's own levels and nothing speaks against the doses having been taken: otherwise a person
chooses among equals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from cds.assess.assessment import Assessment, DoseOption, ExposureState
from cds.assess.tablets import tablets_for
from cds.cards import dose_offer, words
from cds.cards.dose_table import regimen_words, tablet_words
from cds.cards.references import draft_medicines, drafts_of_drug
from cds.cards.state import suggestion_uuid
from cds.cards.wire import RELATIVE_REFERENCE, Action, Suggestion
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.medication import Medicine
from cds.clinical.problem import Impact
from cds.clinical.regimen import DrugOrder, OrderStatus
from cds.clinical.terminology import Drug
from cds.fhir import write

Resources = Mapping[str, dict[str, Any]]
_DAY_H = 24.0


class _Case(Struct, frozen=True):
    """What suggestions are made from."""

    findings: Sequence[Finding]
    assessment: Assessment
    resources: Resources
    drug: Drug
    card: str

    def suggestion(
        self, label: str, *actions: Action | None, recommended: bool = False
    ) -> Suggestion:
        """Return a suggestion with a uuid that stays the same while the offer does."""
        return Suggestion(
            label=label,
            uuid=suggestion_uuid(self.card, label),
            is_recommended=True if recommended else None,
            actions=tuple(action for action in actions if action is not None),
        )


def suggestions_for(
    findings: Sequence[Finding], assessment: Assessment, resources: Resources, drug: Drug, card: str
) -> tuple[Suggestion, ...]:
    """Return the suggestions that the findings of one card ask for, without repetition."""
    case = _Case(findings, assessment, resources, drug, card)
    asked = {name for finding in findings for name in finding.suggest}
    lead = findings[0]
    if lead.matter is Matter.INTERACTION and lead.severity is Severity.CRITICAL:
        asked.add("cancel-order")  # not starting is always a way out of a critical combination
    made = [made for name, build in _BUILDERS.items() if name in asked for made in build(case)]
    by_label: dict[str, Suggestion] = {}
    for suggestion in made:
        by_label.setdefault(suggestion.label, suggestion)
    return tuple(by_label.values())


def _raise_dose(case: _Case) -> list[Suggestion]:
    """A higher dose as an order, and keeping the dose with another level."""
    return _offer(case, dose_offer.higher(case.assessment))


def _lower_dose(case: _Case) -> list[Suggestion]:
    """A lower dose as an order, and keeping the dose with another level."""
    return _offer(case, dose_offer.lower(case.assessment))


def _milder_dose(case: _Case) -> list[Suggestion]:
    """A dose between the present and the ordered one, and keeping the dose with another level."""
    return _offer(case, dose_offer.milder(case.assessment))


def _offer(case: _Case, option: DoseOption | None) -> list[Suggestion]:
    """Return the order of a dose; nothing while another card asks to hold the drug."""
    if any("hold-drug" in found.suggest for found in case.assessment.verdict.findings):
        return []
    drafts = _our_drafts(case)
    if option is None or not all(_deletable(o) for o in drafts[1:]):
        return _order_level(case)
    label = f"Order {regimen_words(option)} ({tablet_words(option)} each time)"
    if option.is_current:
        label = f"Keep {regimen_words(option)} ({tablet_words(option)} each time)"
    elif option.why_not is not None and not option.is_best:
        label += ", the closest to the target within the limits"
    best = case.assessment.exposure.best
    recommended = option is best and option.why_not is None and _is_recommended(case)
    offer = case.suggestion(label, *_dose_actions(case, option), recommended=recommended)
    return [offer, *_keep_and_measure(case)]


def _replace_dose(case: _Case) -> list[Suggestion]:
    """The label's usual dose in place of the ordered one: arithmetic, not a model's advice."""
    made = []
    for order in drafts_of_drug(case.assessment):
        facts = [
            f
            for f in case.assessment.facts
            if f.kind == "order" and f.values.get("reference") == order.reference
        ]
        usual = facts[0].values.get("suggested_mg") if facts else None
        interval = facts[0].values.get("interval_h") if facts else None
        draft = case.resources.get(order.reference)
        if not isinstance(usual, float) or not isinstance(interval, float) or draft is None:
            continue
        amount = usual * interval / _DAY_H
        label = f"Change the order to {words.dose(amount)} mg {words.interval(interval)}"
        resource = write.with_dose(
            draft,
            amount_mg=amount,
            interval_h=interval,
            drug=case.drug,
            tablets=tablets_for(amount, case.assessment.policy.limits.strengths_mg),
        )
        made.append(case.suggestion(label, _update(resource, label)))
    return made


def _hold_drug(case: _Case) -> list[Suggestion]:
    """Withdraw the orders being written, and put the current order on hold."""
    name = case.drug.name
    current = case.assessment.course.current_order
    drafts = [o for o in _our_drafts(case) if _deletable(o) and o.reference != current]
    actions = [_delete(o.reference, f"Do not order {name} now") for o in drafts]
    ending = any(
        o.is_draft and o.status is not OrderStatus.DRAFT
        for o in case.assessment.record.orders
        if o.reference == current
    )
    resource = None if ending else case.resources.get(current or "")
    if resource is not None and not case.assessment.course.on_hold:
        held = write.on_hold(resource, reason=case.findings[0].summary)
        actions.append(_update(held, f"Put the current {name} order on hold"))
    return [case.suggestion(f"Hold {name}", *actions)]


def _cancel_order(case: _Case) -> list[Suggestion]:
    """Withdraw what is being ordered: the other medicine on its card, else the drug's own order."""
    medicines = draft_medicines(case.findings, case.assessment)
    about_another = any(finding.subject for finding in case.findings)
    if medicines or about_another:
        return [
            case.suggestion(
                f"Cancel the order of {words.one_line(medicine.display)[:80]}",
                _delete(medicine.reference, "Cancel the order"),
            )
            for medicine in medicines
            if medicine.reference in case.resources and _deletable(medicine)
        ]
    return [
        case.suggestion("Cancel this order", _delete(order.reference, "Cancel the order"))
        for order in _our_drafts(case)
        # A draft with the id of the current order changes it: to delete it would end treatment.
        if _deletable(order) and order.reference != case.assessment.course.current_order
    ]


def _missing_level(case: _Case) -> list[Suggestion]:
    """A level, unless one that can be judged is on record already."""
    levels = next((f.values for f in case.assessment.facts if f.kind == "levels"), {})
    return [] if levels.get("usable_now") else _order_level(case)


def _order_level(case: _Case) -> list[Suggestion]:
    """A level, unless one is under way that answers: it cannot know of a medicine ordered now."""
    if case.assessment.under_way and case.findings[0].matter is not Matter.INTERACTION:
        return []
    label = f"Order {_article(case.drug.name)} {case.drug.name} trough level"
    return [case.suggestion(label, _level_action(case, label))]


def _keep_and_measure(case: _Case) -> list[Suggestion]:
    """The conservative way; it is not offered where the card is critical."""
    if case.findings[0].severity is Severity.CRITICAL:
        return []
    if case.assessment.under_way:
        return [case.suggestion("Keep the present dose until the level under way has its result")]
    label = "Keep the present dose and repeat the trough level"
    return [case.suggestion(label, _level_action(case, label))]


_BUILDERS: Mapping[str, Callable[[_Case], list[Suggestion]]] = {
    "hold-drug": _hold_drug,
    "cancel-order": _cancel_order,
    "replace-dose": _replace_dose,
    "raise-dose": _raise_dose,
    "lower-dose": _lower_dose,
    "milder-dose": _milder_dose,
    "order-level": _order_level,
    "missing-level": _missing_level,
}


def _is_recommended(case: _Case) -> bool:
    """Whether one dose may stand out: a reliable fit, doses taken, and nothing that prevents."""
    assessment = case.assessment
    view = assessment.exposure.adherence
    doubted = any(
        finding.matter is Matter.ADHERENCE and finding.severity > Severity.INFO
        for finding in assessment.verdict.findings
    ) or (view is not None and view.percent_missed_some > view.percent_all_taken)
    prevented = any(problem.impact is Impact.PREVENTS for problem in assessment.problems)
    return assessment.exposure.state is ExposureState.FITTED and not doubted and not prevented


def _dose_actions(case: _Case, best: DoseOption) -> list[Action]:
    """One order of the best dose in place of whatever is being ordered now.

    With several drafts the first carries the whole dose and the others go, in one suggestion, so
    that accepting it never leaves two orders that add up.
    """
    drafts = _our_drafts(case)
    description = f"Order {regimen_words(best)}"
    if not drafts:
        assessment = case.assessment
        resource = write.new_order(
            patient_id=assessment.record.person.id,
            drug=case.drug,
            amount_mg=best.amount_mg,
            interval_h=best.interval_h,
            tablets=best.tablets,
            replaces=assessment.course.current_order,
            authored=assessment.now,
        )
        return [Action(type="create", description=description, resource=resource)]
    first, *others = drafts
    changed = write.with_dose(
        case.resources[first.reference],
        drug=case.drug,
        amount_mg=best.amount_mg,
        interval_h=best.interval_h,
        tablets=best.tablets,
    )
    withdrawn = [_delete(o.reference, "Its part of the dose is in the other order") for o in others]
    return [_update(changed, description), *withdrawn]


def _our_drafts(case: _Case) -> list[DrugOrder]:
    return [o for o in drafts_of_drug(case.assessment) if o.reference in case.resources]


def _level_action(case: _Case, description: str) -> Action:
    assessment = case.assessment
    resource = write.level_order(
        patient_id=assessment.record.person.id, drug=case.drug, authored=assessment.now
    )
    return Action(type="create", description=description, resource=resource)


def _update(resource: dict[str, Any], description: str) -> Action:
    return Action(type="update", description=description, resource=resource)


def _deletable(order: DrugOrder | Medicine) -> bool:
    """Whether CDS Hooks can name the order: some EHRs have ids that FHIR does not allow."""
    return re.fullmatch(RELATIVE_REFERENCE, order.reference) is not None


def _delete(reference: str, description: str) -> Action:
    return Action(type="delete", description=description, resource_id=reference)


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"

"""The computed parts a rule may ask for with `show`: level, dose table, adherence, exposure, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cds.assess.assessment import AdherenceView, Assessment, DoseOption
from cds.cards import words
from cds.cards.dose_table import basis, dose_table, measured_lines, regimen_words
from cds.cards.level_line import level_lines
from cds.rulebook import Fact


def shown_parts(assessment: Assessment, asked: Sequence[str]) -> list[str]:
    """Return the Markdown blocks of the parts that are asked for, in the order of a case report."""
    wanted = set(asked)
    if "dose-table" in wanted:
        wanted.discard("exposure")  # the table says the same and more
    return [
        block for part, build in _PARTS.items() if part in wanted for block in build(assessment)
    ]


def adherence_lines(assessment: Assessment) -> list[str]:
    """Return what supply and level say about missed doses, as one short paragraph."""
    said: list[str] = []
    supply = _supply(assessment.facts)
    if supply:
        said.append(supply)
    view = assessment.exposure.adherence
    if view is not None:
        said.append(_level_says(view))
        trough = words.number(view.trough_if_all_taken_ng_ml)
        said.append(f"with every dose taken the trough would be about {trough} ng/mL")
    if not said:
        said.append("no dispensing record and no usable level speak for or against missed doses")
    return [f"**Adherence:** {words.sentence('; '.join(said))}"]


def _level_says(view: AdherenceView) -> str:
    """The chance that doses were taken, beside what it was before the level was known."""
    before = ""
    if view.prior_percent_all_taken is not None:
        before = f" ({words.percent(view.prior_percent_all_taken)} % before the level was known)"
    return (
        f"given the latest level, all of the last {view.recent_doses} doses were taken with "
        f"{words.percent(view.percent_all_taken)} % probability{before}, at least one was missed "
        f"with {words.percent(view.percent_missed_some)} %"
    )


def exposure_lines(assessment: Assessment) -> list[str]:
    """Return what the model expects of the dose taken now and of the dose being ordered."""
    exposure = assessment.exposure
    if not exposure.state.quantitative:
        return dose_table(assessment)
    outlooks = [("Current dose", exposure.current)]
    outlooks += [("Ordered dose", option) for option in exposure.ordered.values()]
    lines = [_outlook(name, option, assessment) for name, option in outlooks if option is not None]
    return [*lines, *measured_lines(assessment), *basis(assessment)] if lines else []


def _outlook(name: str, option: DoseOption, assessment: Assessment) -> str:
    target = assessment.policy.target
    trough = words.number(option.trough_ng_ml)
    low, high = words.number(option.trough_low_ng_ml), words.number(option.trough_high_ng_ml)
    return (
        f"**{name}** {regimen_words(option)}: expected trough {trough} ng/mL "
        f"(90 % interval {low} to {high}); "
        f"below {words.number(target.low_ng_ml)}: {words.percent(option.percent_below)} %, "
        f"above {words.number(target.high_ng_ml)}: {words.percent(option.percent_above)} %."
    )


def interaction_lines(assessment: Assessment) -> list[str]:
    """Return a table of the interacting medicines that are taken or being ordered."""
    names = {
        fact.values["ingredient"]: str(fact.values["name"])
        for fact in assessment.facts
        if fact.kind == "medicine" and fact.values.get("current")
    }
    rows = [
        f"| {words.plain(names[ingredient])} | {words.plain(str(fact.values['effect']))}, "
        f"{words.plain(str(fact.values['strength']))} | {_exposure_with(fact)} |"
        for fact in assessment.facts
        if fact.kind == "interaction" and (ingredient := fact.values.get("ingredient")) in names
    ]
    if not rows:
        return []
    head = ["| Medicine | Effect | Exposure with it, % of without |", "| --- | --- | ---: |"]
    return ["\n".join([*head, *rows])]


def _supply(facts: Sequence[Fact]) -> str | None:
    """What the dispensing record says."""
    values = next((fact.values for fact in facts if fact.kind == "adherence"), {})
    covered, window = values.get("pdc_percent"), values.get("pdc_window_days")
    late = values.get("refill_late_days")
    said = None
    if isinstance(covered, int | float):
        over = (
            f" of the last {words.number(window)} days" if isinstance(window, int | float) else ""
        )
        said = f"dispensed supply covers {words.number(covered)} %{over or ' of the days'}"
        if isinstance(late, int | float) and late > 0:
            said += f" and ran out {words.number(late)} days ago"
    return said


def _exposure_with(fact: Fact) -> str:
    value = fact.values.get("exposure_percent")
    return words.number(value) if isinstance(value, int | float) else "not known"


_PARTS: dict[str, Callable[[Assessment], list[str]]] = {
    "level": level_lines,
    "interaction-table": interaction_lines,
    "exposure": exposure_lines,
    "dose-table": dose_table,
    "adherence": adherence_lines,
}

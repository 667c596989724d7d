"""What could not be read or decided, said on the card it could have changed.

Every problem that limits or prevents advice reaches a reader: on each card whose matter depends on
the missing datum, or, when there is no such card, on one data card of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cds.assess.assessment import Assessment
from cds.cards import words
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.problem import Impact, Problem

DATA_RULE = "data.problems"
DISAGREEMENT_RULE = "engine.disagreement"
_MOST_ALIKE = 8
"""Problems of one code that a card shows."""

_EVERYTHING = frozenset(Matter)
_DOSE_MATTERS = frozenset({Matter.EXPOSURE, Matter.SAMPLE, Matter.DOSE, Matter.ADHERENCE})
_BEARS_ON = {
    "level": _DOSE_MATTERS,
    "dose": _DOSE_MATTERS | {Matter.TOXICITY},
    "medicine": frozenset({Matter.INTERACTION, Matter.EXPOSURE, Matter.DOSE}),
    "lab": _EVERYTHING - {Matter.INTERACTION, Matter.SAMPLE, Matter.GENOTYPE},
}
"""What a problem concerns (`problem.about` of the fact catalogue) -> matters it could change."""


Bearing = tuple[Problem, frozenset[Matter]]
"""A problem, and the matters on which it could change a card."""


def limiting(assessment: Assessment) -> tuple[Bearing, ...]:
    """Return the problems a reader must know of, the graver first, each once."""
    serious = dict.fromkeys(p for p in assessment.problems if p.impact is not Impact.NOTICE)
    if not serious:
        return ()
    about = {
        (fact.values.get("code"), fact.values.get("reference")): str(fact.values.get("about"))
        for fact in assessment.facts
        if fact.kind == "problem"
    }
    return tuple(
        (problem, _BEARS_ON.get(about.get((problem.code, problem.reference), ""), _EVERYTHING))
        for problem in sorted(serious, key=lambda p: p.impact is not Impact.PREVENTS)
    )


def bearing_on(matters: Iterable[Matter], limits: Iterable[Bearing]) -> tuple[Problem, ...]:
    """Return the problems that could change a card on these matters."""
    asked = set(matters)
    return tuple(problem for problem, on in limits if Matter.DATA in asked or asked & on)


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Return the problems as one Markdown block; nothing when there are none.

    Of many of one kind, as when a whole list is another patient's, some are shown and the rest are
    counted: all stand in the report.
    """
    if not problems:
        return []
    alike = Counter(problem.code for problem in problems)
    lines, shown = ["**What limits this advice:**"], Counter[str]()
    for problem in problems:
        shown[problem.code] += 1
        more = alike[problem.code] - _MOST_ALIKE
        if shown[problem.code] <= _MOST_ALIKE or more == 1:
            lines.append(f"- {words.sentence(words.plain(problem.message))}{_whence(problem)}")
        elif shown[problem.code] == _MOST_ALIKE + 1:
            lines.append(f"- And {more} more of this kind.")
    return ["\n".join(lines)]


def data_finding(problems: Sequence[Problem]) -> Finding | None:
    """Return the finding behind the data card, for problems that no other card shows."""
    if not problems:
        return None
    prevented = any(problem.impact is Impact.PREVENTS for problem in problems)
    message = words.one_line(problems[0].message)
    first = message.rstrip(".") or message
    more = len(problems) - 1
    return Finding(
        rule_id=DATA_RULE,
        revision=1,
        matter=Matter.DATA,
        severity=Severity.WARNING if prevented else Severity.INFO,
        summary=f"{first} (and {more} more)" if more else first,
        detail=(
            "No dose advice can be given until this is resolved."
            if prevented
            else "The assessment was made without the following data."
        ),
        references=tuple(p.reference for p in problems if p.reference),
    )


def withheld_finding(disagreement: str | None, *, ordering: bool) -> Finding:
    """Return the finding that says advice was withheld because the two rule evaluators disagreed.

    On an order it is critical: what is withheld might have been a reason not to sign.
    """
    return Finding(
        rule_id=DISAGREEMENT_RULE,
        revision=1,
        matter=Matter.SAFETY,
        severity=Severity.CRITICAL if ordering else Severity.WARNING,
        summary="Advice withheld: the two rule evaluators disagree. Decide without this service.",
        detail=(
            "Every decision is made twice, by two independent evaluators. This time they did not "
            "reach the same result, so no advice is shown: neither that something is wrong nor "
            "that all is well. Please check interactions, counts and levels yourself and report "
            f"this card.\n\nTechnical detail: {words.plain(disagreement or 'not stated')}"
        ),
    )


def _whence(problem: Problem) -> str:
    place = ", ".join(words.plain(part) for part in (problem.reference, problem.field) if part)
    return f" ({place})" if place else ""

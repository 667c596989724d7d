"""Results a card rests on that are not what they look like: preliminary, a bound, nothing found.

They count as they stand - a count of `<0.1` is low, a preliminary one may be all there is - but the
reader must know it before acting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cds.assess.assessment import Assessment
from cds.cards import words
from cds.clinical.finding import Finding, Matter
from cds.clinical.labs import Lab
from cds.clinical.level import ResultStatus

_RESPONSE = "bcr_abl_is"


def result_lines(findings: Sequence[Finding], assessment: Assessment) -> list[str]:
    """Return one Markdown block with a sentence for each such result."""
    unlike = [lab for lab in _rested_on(findings, assessment) if _is_unlike_others(lab)]
    if not unlike:
        return []
    known = {fact.values["key"]: fact.values for fact in assessment.facts if fact.kind == "lab"}
    said = []
    for lab in unlike:
        about = known.get(lab.key, {})
        name = words.plain(str(about.get("name", lab.key)))
        day = f"{lab.at.at:%Y-%m-%d}"
        if lab.status is ResultStatus.PRELIMINARY:
            said.append(
                f"**Preliminary:** {name} of {day} is not final and may still change: "
                "confirm it with the laboratory."
            )
        if _found_nothing(lab):
            said.append(
                f"**Not detected:** {name} ({day}); the sensitivity is not stated, so the result "
                "counts as major molecular response, not as a deeper one."
            )
        if lab.comparator is not None and lab.value is not None:
            unit = str(about.get("unit", lab.unit)).replace("10*9", "×10⁹").removeprefix("1")
            shown = f"{lab.comparator}{lab.value:.4g} {unit}".rstrip()
            said.append(
                f"**Reported as a bound:** {name} {words.plain(shown)} ({day}); "
                "the card counts with the bound itself."
            )
    return ["  \n".join(said)] if said else []


def _is_unlike_others(lab: Lab) -> bool:
    unsure = lab.status is ResultStatus.PRELIMINARY or lab.comparator is not None
    return unsure or _found_nothing(lab)


def _found_nothing(lab: Lab) -> bool:
    return lab.key == _RESPONSE and (lab.coded is not None or lab.value == 0.0)


def _rested_on(findings: Sequence[Finding], assessment: Assessment) -> Iterator[Lab]:
    """The results the findings cite; what is said about response rests on the latest transcript."""
    cited = {reference for finding in findings for reference in finding.references}
    if any(finding.matter is Matter.RESPONSE for finding in findings):
        latest = assessment.record.latest_lab(_RESPONSE)
        cited |= {latest.reference} if latest else set()
    return (lab for lab in assessment.record.labs if lab.reference in cited)

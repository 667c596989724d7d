"""Summaries that fit on a card, and answers that do not silence for too long."""

from __future__ import annotations

from cds.clinical.finding import SNOOZE_DAYS, Severity
from cds.rulebook.cases import firing_texts
from cds.rulebook.remarks import Level, Remarks
from cds.rulebook.rule import Rule, Slot
from cds.rulebook.rulebook import Rulebook

MAX_SUMMARY = 139
"""Characters; CDS Hooks asks for fewer than 140."""
_SLOT = 4
"""Characters counted for a value when no test shows how long it is."""


def check_texts(rulebook: Rulebook, rule: Rule, remarks: Remarks, level: Level | None) -> None:
    """Note a summary that is too long, in a test's words or by its own words alone."""
    if rule.then.silent:
        return
    summary = rule.then.summary
    shortest = sum(_SLOT if isinstance(part, Slot) else len(part) for part in summary.parts)
    if shortest > MAX_SUMMARY:
        text = f"the summary has at least {shortest} characters"
        cure = f"at most {MAX_SUMMARY}; move words into the detail"
        remarks.add("RB402", summary.place, text, cure, level=level)
        return
    for name, text in firing_texts(rulebook, rule):
        if len(text) > MAX_SUMMARY:
            said = f"in test '{name}' the summary has {len(text)} characters"
            cure = f"at most {MAX_SUMMARY}; move words into the detail"
            remarks.add("RB402", summary.place, said, cure, level=level)


def check_snooze(rule: Rule, remarks: Remarks, level: Level | None) -> None:
    """Note an answer that would silence a rule for longer than its severity allows.

    Speaking more often than usual needs no reason; speaking less often does, and the reason stands
    on the page that a clinician signs. A critical card is never quiet for longer than a warning.
    """
    snooze, severity = rule.then.snooze, rule.then.severity
    if snooze is None or snooze.days <= SNOOZE_DAYS[severity]:
        return
    usual = f"at most {SNOOZE_DAYS[severity]} days"
    said = f"an answer keeps a {severity.indicator} card quiet for {snooze.days} days"
    longest = SNOOZE_DAYS[Severity.WARNING]
    if severity is Severity.CRITICAL and snooze.days > longest:
        cure = f"{usual}; {longest} with a reason in why:; or lower the severity"
        remarks.add("RB407", snooze.place, said, cure, level=level)
    elif not snooze.why:
        cure = f"{usual}, or say the clinical reason in why:"
        remarks.add("RB407", snooze.place, f"{said} and no reason is given", cure, level=level)

"""Summaries that fit on a card."""

from __future__ import annotations

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

"""Render a rule, and the list of all rules, as Markdown pages for the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from cds.clinical.finding import SNOOZE_DAYS
from cds.rulebook.rule import Conclusion, Outcome, Rule
from cds.rulebook.rulebook import Rulebook
from cds.rulebook.words import condition_lines, param_words

_EVIDENCE = {
    "A": "A - randomised trials or label",
    "B": "B - cohort studies",
    "C": "C - expert opinion or derived",
    "P": "P - proposal of this product",
}


def rule_page(rulebook: Rulebook, rule: Rule) -> str:
    """One rule as a page that a clinician can read and sign."""
    return "\n".join(_page(rulebook, rule)).rstrip() + "\n"


def index_page(rulebook: Rulebook) -> str:
    """All rules by group, with links to their pages (`<id>.md`)."""
    lines = [f"# Rules of {rulebook.name}", "", f"Version {rulebook.version}.", ""]
    groups: dict[str, list[Rule]] = {}
    for rule in rulebook.rules:
        groups.setdefault(rule.group, []).append(rule)
    for group, rules in groups.items():
        lines += [f"## {group}", "", "| Rule | Status | Urgency | Title |", "|---|---|---|---|"]
        lines += [
            _row(f"[{rule.id}]({rule.id}.md)", rule.status, _urgency(rule), rule.title)
            for rule in rules
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _page(rulebook: Rulebook, rule: Rule) -> Iterator[str]:
    yield f"# {rule.title}"
    yield ""
    yield f"`{rule.id}`, revision {rule.revision}, {rule.status}"
    yield ""
    yield from _facts(rule)
    yield "## When"
    yield ""
    yield "All of:"
    yield ""
    for depth, words in condition_lines(rule):
        yield f"{'  ' * depth}- {words}"
    yield ""
    yield from _conclusion(rule)
    if rule.params:
        yield from ["## Numbers", "", "| Name | Value | From |", "|---|---|---|"]
        for param in rule.params.values():
            origin = f"`{param.table}`" if param.table else str(param.source)
            yield f"| {param.name} | {_cell(param_words(param))} | {origin} |"
        yield ""
    yield from ["## Sources", ""]
    for key in rule.sources:
        source = rulebook.content.sources[key]
        link = f" <{source.link}>" if source.link else ""
        verified = "verified" if source.verified else "**not verified at the source**"
        yield f"- {source.citation}{link} ({source.kind}, {verified})"
    yield ""
    if rule.tests:
        yield from ["## Tests", "", "| Case | Expected |", "|---|---|"]
        for test in rule.tests:
            yield f"| {_cell(test.name)} | {_expected(test.expect, test.text)} |"


def _facts(rule: Rule) -> Iterator[str]:
    signed = ", ".join(f"{a.name} ({a.role}, {a.on})" for a in rule.approvals)
    rows = {
        "Speaks on": ", ".join(rule.occasions),
        "Jurisdictions": ", ".join(where.upper() for where in rule.jurisdictions),
        "Owner": rule.owner,
        "Effective from": f"{rule.effective_from}, review by {rule.review_by}",
        "Evidence": f"{_EVIDENCE[rule.evidence_level]}. {rule.evidence_note}",
        "Approved by": signed or "nobody yet: no clinician has signed this rule",
    }
    if rule.row:
        rows["Catalogue row"] = rule.row
    yield from ["| | |", "|---|---|"]
    for name, value in rows.items():
        yield f"| {name} | {_cell(value)} |"
    yield ""


def _conclusion(rule: Rule) -> Iterator[str]:
    then = rule.then
    yield from ["## Then", ""]
    if then.silent:
        yield f"Nothing is said ({then.matter}). {then.summary.words}"
        yield ""
        return
    yield f"**{then.severity.indicator.capitalize()}** about {then.matter}:"
    yield ""
    yield f"> {then.summary.words}"
    yield ">"
    for line in then.detail.words.splitlines():
        yield f"> {line}".rstrip()
    yield ""
    parts = {
        "Shows": then.show,
        "Suggests": then.suggest,
        "Reasons to override": then.override_reasons,
    }
    for name, words in parts.items():
        if words:
            yield f"- {name}: {', '.join(words)}"
    yield f"- After an answer: {quiet_words(then)}"
    yield ""


def quiet_words(then: Conclusion) -> str:
    """For how long an answer silences it, and why when the rule has its own days."""
    if not then.quiet_days:
        words = "speaks again at once"
    else:
        words = f"quiet for {then.quiet_days} days in the same clinical state"
    if then.snooze is None:
        return words
    usual = SNOOZE_DAYS[then.severity]
    why = f": {then.snooze.why}" if then.snooze.why else ""
    return f"{words} (a {then.severity.indicator} card usually {usual}){why}"


def _urgency(rule: Rule) -> str:
    return "silent" if rule.then.silent else rule.then.severity.indicator


def _expected(outcome: Outcome, text: str | None) -> str:
    word = "fires" if outcome is Outcome.FIRED else outcome.value
    return f"{word}: {_cell(text)}" if text else word


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

"""What changed between two rulebooks, in words, and what it does to patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import unified_diff
from typing import Any, TypeVar

from msgspec import Struct

from cds.clinical.finding import Finding
from cds.rulebook.rule import Rule
from cds.rulebook.rulebook import Rulebook
from cds.rulebook.source import Node
from cds.rulebook.words import condition_lines, param_words

Patient = TypeVar("Patient")


class Change(Struct, frozen=True):
    """One difference: what it is about, and in words what it was and is."""

    about: str
    words: str

    def __str__(self) -> str:
        return f"{self.about}: {self.words}"


class PatientChange(Struct, frozen=True):
    """What becomes different for one patient, as summaries."""

    patient: str
    appears: tuple[str, ...]
    vanishes: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    """Same rule and subject, other words: (before, after)."""


def compare(old: Rulebook, new: Rulebook) -> tuple[Change, ...]:
    """Every difference in rules, tables, codes and sources."""
    return (
        *_rules(old, new),
        *_values("table ", _tables(old), _tables(new)),
        *_values("", _codes(old), _codes(new)),
        *_values("", _cited(old), _cited(new)),
    )


def compare_patients(
    old: Rulebook,
    new: Rulebook,
    patients: Mapping[str, Patient],
    assess: Callable[[Rulebook, Patient], Iterable[Finding]],
) -> tuple[PatientChange, ...]:
    """The patients for whom something appears, vanishes or reads differently."""
    changed = []
    for name, patient in patients.items():
        before = {(f.rule_id, f.subject): f for f in assess(old, patient)}
        after = {(f.rule_id, f.subject): f for f in assess(new, patient)}
        appears = tuple(_line(after[key]) for key in after if key not in before)
        vanishes = tuple(_line(before[key]) for key in before if key not in after)
        changes = tuple(
            _pair(before[key], after[key])
            for key in before
            if key in after and _shown(before[key]) != _shown(after[key])
        )
        if appears or vanishes or changes:
            changed.append(PatientChange(name, appears, vanishes, changes))
    return tuple(changed)


def _line(finding: Finding) -> str:
    return f"{finding.rule_id} ({finding.severity.indicator}): {finding.summary}"


def _pair(was: Finding, now: Finding) -> tuple[str, str]:
    """Both summaries; where they are the same, what else differs."""
    if _line(was) != _line(now):
        return _line(was), _line(now)
    parts = [
        name
        for name, before, after in (
            ("detail", was.detail, now.detail),
            ("what it shows", was.show, now.show),
            ("what it suggests", was.suggest, now.suggest),
        )
        if before != after
    ]
    return _line(was), f"the same words, another {' and '.join(parts)}"


def _shown(finding: Finding) -> tuple[object, ...]:
    return finding.severity, finding.summary, finding.detail, finding.show, finding.suggest


def _rules(old: Rulebook, new: Rulebook) -> Iterator[Change]:
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    for identity in sorted(before.keys() | after.keys()):
        about = f"rule {identity}"
        if identity not in before:
            yield Change(about, f"new ({after[identity].status}): {after[identity].title}")
        elif identity not in after:
            yield Change(about, f"removed: {before[identity].title}")
        elif before[identity] != after[identity]:
            for words in _rule_changes(before[identity], after[identity]):
                yield Change(about, words)


def _rule_changes(old: Rule, new: Rule) -> Iterator[str]:
    for name, read in _FIELDS.items():
        was, now = read(old), read(new)
        if was != now:
            yield from _told(name, was, now)
    for name in sorted(old.params.keys() | new.params.keys()):
        was, now = (
            param_words(rule.params[name]) if name in rule.params else "none" for rule in (old, new)
        )
        if was != now:
            yield f"param {name}: {was} -> {now}"
    if old.when != new.when:  # a number alone was told above
        yield from _asked(old, new)
    old_tests = {test.name: test for test in old.tests}
    new_tests = {test.name: test for test in new.tests}
    both = sorted(old_tests.keys() & new_tests.keys())
    for word, names in (
        ("removed", sorted(old_tests.keys() - new_tests.keys())),
        ("added", sorted(new_tests.keys() - old_tests.keys())),
        ("changed", [name for name in both if old_tests[name] != new_tests[name]]),
    ):
        if names:
            listed = ", ".join(f"'{name}'" for name in names)
            yield f"{'test' if len(names) == 1 else f'{len(names)} tests'} {word}: {listed}"
    if old.revision == new.revision and (old.params, old.when, old.then) != (
        new.params, new.when, new.then,
    ):  # fmt: skip
        yield f"revision is still {new.revision}: raise it, cards and figures name it"


def _told(name: str, was: object, now: object) -> Iterator[str]:
    """A changed field: of a list what came and went, of a long text the lines that differ."""
    if isinstance(was, tuple) and isinstance(now, tuple):
        gone = [f"no longer {word}" for word in was if word not in now]
        come = [f"now {word}" for word in now if word not in was]
        yield f"{name}: {'; '.join([*gone, *come]) or 'in another order'}"
    elif "\n" in f"{was}{now}":
        lines = unified_diff(str(was).splitlines(), str(now).splitlines(), lineterm="", n=0)
        told = [line for line in lines if not line.startswith(("---", "+++", "@@")) and line[1:]]
        yield "\n".join([f"{name}:", *(f"    {line[0]} {line[1:]}" for line in told)])
    else:
        yield f"{name}: {was or 'none'} -> {now or 'none'}"


def _asked(old: Rule, new: Rule) -> Iterator[str]:
    before = [words for _, words in condition_lines(old)]
    after = [words for _, words in condition_lines(new)]
    yield from (f"no longer asks: {line}" for line in before if line not in after)
    yield from (f"now asks: {line}" for line in after if line not in before)


_FIELDS: dict[str, Callable[[Rule], object]] = {
    "revision": lambda rule: str(rule.revision),
    "status": lambda rule: rule.status.value,
    "title": lambda rule: rule.title,
    "owner": lambda rule: rule.owner,
    "effective from": lambda rule: str(rule.effective_from),
    "review by": lambda rule: str(rule.review_by),
    "evidence": lambda rule: f"{rule.evidence_level}, {rule.evidence_note}",
    "sources": lambda rule: rule.sources,
    "occasions": lambda rule: rule.occasions,
    "jurisdictions": lambda rule: rule.jurisdictions,
    "approvals": lambda rule: tuple(f"{a.name}, {a.role}, {a.on}" for a in rule.approvals),
    "matter": lambda rule: rule.then.matter.value,
    "severity": lambda rule: rule.then.severity.indicator,
    "silence": lambda rule: "deliberate" if rule.then.silent else "no",
    "subject": lambda rule: rule.then.subject.words if rule.then.subject else "",
    "summary": lambda rule: rule.then.summary.words,
    "detail": lambda rule: rule.then.detail.words,
    "show": lambda rule: rule.then.show,
    "suggest": lambda rule: rule.then.suggest,
    "override reasons": lambda rule: rule.then.override_reasons,
    "quiet after an answer": lambda rule: (
        f"{rule.then.quiet_days} days"
        + (f" ({rule.then.snooze.why})" if rule.then.snooze and rule.then.snooze.why else "")
    ),
}


def _values(prefix: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield Change(f"{prefix}{path}", f"removed (was {before[path]})")
        elif path not in before:
            yield Change(f"{prefix}{path}", f"new: {after[path]}")
        elif before[path] != after[path]:
            yield Change(f"{prefix}{path}", f"{before[path]} -> {after[path]}")


def _tables(rulebook: Rulebook) -> dict[str, Any]:
    return {
        path: value
        for name, root in rulebook.content.tables.roots.items()
        for path, value in _leaves(name, root)
    }


def _codes(rulebook: Rulebook) -> dict[str, Any]:
    return {
        path: value
        for file, node in rulebook.content.nodes.items()
        if file.startswith("terminology/") or file == "drug.yaml"
        for path, value in _leaves(file.removesuffix(".yaml"), node)
    }


def _cited(rulebook: Rulebook) -> dict[str, Any]:
    return {
        f"source {key}": f"{source.citation} ({'verified' if source.verified else 'not verified'})"
        for key, source in rulebook.content.sources.items()
    }


def _leaves(path: str, node: Node) -> Iterator[tuple[str, Any]]:
    """Every single value by its path; rows of a list by `id` or by code where they have one."""
    if node.mapping is not None:
        for key, child in node.mapping.items():
            yield from _leaves(f"{path}.{key}", child)
        return
    if node.items is None:
        yield path, node.scalar
        return
    for number, item in enumerate(node.items):
        entries = item.mapping or {}
        name = next((str(entries[k].scalar) for k in ("id", "code") if k in entries), None)
        if item.is_scalar:
            yield f"{path}.{item.scalar}", "listed"
        else:
            yield from _leaves(f"{path}.{name or number}", item)

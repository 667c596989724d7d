"""Rules that can never fire, that repeat another, or that another makes pointless."""

from __future__ import annotations

from itertools import combinations

from cds.rulebook.conditions import Conjunction, conjunctions
from cds.rulebook.facts import catalogue
from cds.rulebook.limits import contained, impossible
from cds.rulebook.remarks import Level, Remarks
from cds.rulebook.rule import Rule, Status


def check_logic(
    rules: tuple[Rule, ...],
    jurisdictions: tuple[str, ...],
    remarks: Remarks,
    changed: frozenset[str] | None = None,
) -> None:
    """Note impossible, duplicate and shadowed rules, in every jurisdiction.

    With `changed`, only pairs in which one of these rules takes part are compared.
    """
    for jurisdiction in jurisdictions:
        alternatives: dict[str, tuple[Conjunction, ...]] = {}
        for rule in rules:
            found = conjunctions(rule, jurisdiction, catalogue())
            if found is None:
                continue
            unchanged = changed is not None and rule.id not in changed
            if unchanged or _check_possible(rule, found, remarks):
                alternatives[rule.id] = found
        live = [r for r in rules if r.id in alternatives and r.status is not Status.RETIRED]
        for first, second in combinations(live, 2):
            if changed is not None and not {first.id, second.id} & changed:
                continue
            if first.then.matter is second.then.matter and _meet(first, second):
                _compare(first, second, alternatives, remarks)


def _check_possible(rule: Rule, found: tuple[Conjunction, ...], remarks: Remarks) -> bool:
    reasons = [impossible(conjunction) for conjunction in found]
    dead = [reason for reason in reasons if reason is not None]
    if dead:
        every = len(dead) == len(found)
        which = "the rule" if every else f"{len(dead)} of {len(found)} alternatives"
        place = rule.places.get("when", rule.place)
        text = f"{which} can never hold: {dead[0]}"
        level = None if every else Level.WARNING
        remarks.add("RB503", place, text, "mend or remove the condition", level=level)
    return not dead


def _meet(first: Rule, second: Rule) -> bool:
    return bool(set(first.occasions) & set(second.occasions))


def _compare(
    first: Rule,
    second: Rule,
    alternatives: dict[str, tuple[Conjunction, ...]],
    remarks: Remarks,
) -> None:
    forward = _covers(alternatives[second.id], alternatives[first.id])
    backward = _covers(alternatives[first.id], alternatives[second.id])
    if forward and backward:
        text = f"the same conditions as {first.id} ({first.place})"
        remarks.add("RB501", second.place, text, "keep one, or make the conditions differ")
    elif forward:
        _shadow(first, second, remarks)
    elif backward:
        _shadow(second, first, remarks)


def _covers(outer: tuple[Conjunction, ...], inner: tuple[Conjunction, ...]) -> bool:
    return all(any(contained(i, o) for o in outer) for i in inner)


def _shadow(narrow: Rule, wide: Rule, remarks: Remarks) -> None:
    """The wider rule fires whenever the narrow one does: is the narrow one still of use?"""
    if not set(narrow.occasions) <= set(wide.occasions):
        return
    if narrow.then.silent and not wide.then.silent:
        text = f"wants silence where {wide.id} speaks ({wide.place})"
        cure = f"exclude this case in {wide.id}"
    elif wide.then.silent or narrow.then.severity > wide.then.severity:
        return
    else:
        text = f"{wide.id} ({wide.place}) fires whenever this rule does, and is no less urgent"
        cure = "exclude this case there, raise the severity here, or remove the rule"
    remarks.add("RB502", narrow.place, text, cure)

"""Say for each rule why it fired, stayed silent or could not decide: a tree of its conditions.

The tree shows for every alternative each pattern, and for each pattern the facts that came closest
with the comparisons that held, failed, or lacked an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from cds.clinical.setting import Setting
from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.evaluate import judge
from cds.rulebook.facts import Fact, Value
from cds.rulebook.reference import Scene, compare_atom
from cds.rulebook.render import show_number
from cds.rulebook.rule import Outcome, Rule, Status
from cds.rulebook.rulebook import Rulebook

_SHOWN_FACTS = 3
"""Facts named for a pattern that nothing satisfies; the closest first."""


class Branch(Struct, frozen=True):
    """One line of the tree: `holds` is None where an attribute is unknown."""

    words: str
    holds: bool | None
    below: tuple[Branch, ...] = ()


class Explanation(Struct, frozen=True):
    """What became of one rule, and why."""

    rule_id: str
    title: str
    outcome: Outcome
    missing: tuple[str, ...]
    why: tuple[Branch, ...]
    """One branch for each alternative that matters: those that hold, or else all."""


def explain(
    rulebook: Rulebook, facts: Sequence[Fact], setting: Setting, rule_id: str | None = None
) -> tuple[Explanation, ...]:
    """Explain every rule, or one."""
    rules = rulebook.rules if rule_id is None else (rulebook.rule(rule_id),)
    return tuple(_explain(rulebook, rule, facts, setting) for rule in rules)


def _explain(
    rulebook: Rulebook, rule: Rule, facts: Sequence[Fact], setting: Setting
) -> Explanation:
    prepared = rulebook.prepared(rule, setting.jurisdiction)
    if rule.status is Status.RETIRED:
        return _not_asked(rule, "the rule is retired")
    if setting.occasion not in rule.occasions:
        return _not_asked(rule, f"the rule does not speak on {setting.occasion}")
    if prepared is None:
        return _not_asked(rule, f"the rule does not exist in {setting.jurisdiction}")
    result = judge(prepared, Scene(facts))
    branches = [
        _alternative(number, conjunction, facts)
        for number, conjunction in enumerate(prepared.conjunctions)
    ]
    wanted = {Outcome.FIRED: True, Outcome.UNDECIDED: None}.get(result.outcome, False)
    kept = tuple(branch for branch in branches if branch.holds is wanted) or tuple(branches)
    return Explanation(rule.id, rule.title, result.outcome, result.missing, kept)


def _not_asked(rule: Rule, why: str) -> Explanation:
    return Explanation(rule.id, rule.title, Outcome.NOT_APPLICABLE, (), (Branch(why, False),))


def _alternative(number: int, conjunction: Conjunction, facts: Sequence[Fact]) -> Branch:
    """The tree of one conjunction, following the first combination that holds as far as it goes."""
    chosen: list[Fact] = []
    branches: list[Branch] = []
    for pattern in conjunction.positive:
        branch, fact = _positive(pattern, facts, chosen)
        branches.append(branch)
        if fact is None:
            break
        chosen.append(fact)
    else:
        branches.extend(_negative(pattern, facts, chosen) for pattern in conjunction.negative)
    states = [branch.holds for branch in branches]
    holds = False if False in states else None if None in states else True
    return Branch(f"alternative {number + 1}", holds, tuple(branches))


def _positive(
    pattern: FlatPattern, facts: Sequence[Fact], chosen: list[Fact]
) -> tuple[Branch, Fact | None]:
    tried = [
        (fact, [_atom(atom, fact, chosen) for atom in pattern.atoms])
        for fact in facts
        if fact.kind == pattern.kind and not any(fact is other for other in chosen)
    ]
    tried.sort(key=lambda pair: sum(b.holds is False for b in pair[1]) * 100
               + sum(b.holds is None for b in pair[1]))  # fmt: skip
    words = f"{pattern.binding}: {pattern}"
    if not tried:
        return Branch(words, False, (Branch(f"no {pattern.kind} on record", False),)), None
    fact, atoms = tried[0]
    states = [atom.holds for atom in atoms]
    if False not in states:
        below = (Branch(_name(fact), None if None in states else True, tuple(atoms)),)
        return Branch(words, below[0].holds, below), fact
    closest = tuple(Branch(_name(f), False, tuple(a)) for f, a in tried[:_SHOWN_FACTS])
    return Branch(words, False, closest), None


def _negative(pattern: FlatPattern, facts: Sequence[Fact], chosen: list[Fact]) -> Branch:
    words = f"none: {pattern}"
    for fact in facts:
        if fact.kind == pattern.kind:
            atoms = tuple(_atom(atom, fact, chosen) for atom in pattern.atoms)
            if all(atom.holds for atom in atoms):
                return Branch(words, False, (Branch(f"there is {_name(fact)}", True, atoms),))
    return Branch(words, True)


def _atom(atom: Atom, fact: Fact, chosen: list[Fact]) -> Branch:
    value = fact.values.get(atom.attribute)
    if isinstance(atom.value, Join):
        other = chosen[atom.value.position].values[atom.value.attribute]
        return Branch(f"{atom.attribute} {value}, wanted {other}", value == other)
    holds = compare_atom(atom, value)
    found = "unknown" if value is None else _shown(value)
    return Branch(f"{atom} (is {found})", holds)


def _name(fact: Fact) -> str:
    identity = [
        str(fact.values[name])
        for name in ("key", "ingredient", "code", "gate", "reference")
        if name in fact.values
    ]
    return " ".join([fact.kind, *identity])


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else show_number(value)


_SIGNS = {True: "+", False: "-", None: "?"}


def as_text(explanation: Explanation) -> Iterator[str]:
    """The explanation as indented lines: + holds, - does not, ? unknown."""
    missing = f" for want of {', '.join(explanation.missing)}" if explanation.missing else ""
    yield f"{explanation.rule_id}: {explanation.outcome}{missing} - {explanation.title}"
    branches = explanation.why
    if len(branches) == 1:
        branches = branches[0].below or branches  # one alternative needs no line of its own
    for branch in branches:
        yield from _lines(branch, 1)


def _lines(branch: Branch, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{_SIGNS[branch.holds]} {branch.words}"
    for below in branch.below:
        yield from _lines(below, depth + 1)

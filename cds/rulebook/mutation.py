"""Which conditions no test would miss: change each one a little and see whether a test notices.

A mutant that every test of the rule still passes stands for a condition that is not tested: it
could be wrong, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from msgspec import Struct

from cds.rulebook.cases import against, jurisdiction_of, scene_of
from cds.rulebook.evaluate import judge
from cds.rulebook.facts import Fact, catalogue
from cds.rulebook.reference import Scene
from cds.rulebook.remarks import Place
from cds.rulebook.rule import (
    Alternatives,
    Choice,
    Comparison,
    Condition,
    JoinRef,
    ParamRef,
    Pattern,
    Rule,
    RuleTest,
    Word,
)
from cds.rulebook.rulebook import Rulebook

_SHORT_LIST = 4
"""Of a one_of up to this long every member wants a test; of a longer one, that it is asked."""
_TURNED = {
    Word.BELOW: Word.AT_MOST, Word.AT_MOST: Word.BELOW, Word.ABOVE: Word.AT_LEAST,
    Word.AT_LEAST: Word.ABOVE, Word.ONE_OF: Word.NOT_ONE_OF, Word.NOT_ONE_OF: Word.ONE_OF,
    Word.NOT: Word.IS, Word.IS: Word.NOT,
}  # fmt: skip


class Mutant(Struct, frozen=True):
    """One small change of one rule, and whether a test noticed."""

    rule_id: str
    place: Place
    change: str
    killed: bool


def mutate(rulebook: Rulebook, rules: Iterable[Rule] | None = None) -> tuple[Mutant, ...]:
    """Every mutant of the given rules (default: all), judged by the rule's own tests."""
    chosen = rulebook.rules if rules is None else tuple(rules)
    return tuple(mutant for rule in chosen for mutant in _mutants(rulebook, rule))


def kill_ratio(mutants: Iterable[Mutant]) -> float:
    """Share of mutants that some test noticed; 1 when there is nothing to change."""
    found = [mutant.killed for mutant in mutants]
    return sum(found) / len(found) if found else 1.0


def _mutants(rulebook: Rulebook, rule: Rule) -> Iterator[Mutant]:
    scenes: list[_Scene] = []
    for test in rule.tests:
        jurisdiction = jurisdiction_of(rulebook, rule, test)
        facts = scene_of(test, jurisdiction, test.occasion or rule.occasions[0], catalogue())
        if not isinstance(facts, str):
            scenes.append(_Scene(test, jurisdiction, facts, Scene(facts)))
    # A test that fails anyway would seem to notice everything.
    scenes = [scene for scene in scenes if not _noticed(rulebook, rule, [scene])]
    for when, place, change in _changes(rule):
        killed = _noticed(rulebook, replace(rule, when=when), scenes)
        yield Mutant(rule.id, place, change, killed)


class _Scene(Struct, frozen=True):
    """A test with its facts, ready to be judged many times."""

    test: RuleTest
    jurisdiction: str
    facts: list[Fact]
    indexed: Scene


def _noticed(rulebook: Rulebook, mutant: Rule, scenes: list[_Scene]) -> bool:
    places = {scene.jurisdiction for scene in scenes}
    ready = {where: rulebook.prepared(mutant, where) for where in places}
    for scene in scenes:
        prepared = ready[scene.jurisdiction]
        if prepared is not None:
            got = judge(prepared, scene.indexed)
            if against(scene.test, prepared, got, scene.facts, rulebook) is not None:
                return True
    return False


def _changes(rule: Rule) -> Iterator[tuple[tuple[Condition, ...], Place, str]]:
    """Every changed `when`, with the place and the change in words."""
    for number, condition in enumerate(rule.when):
        before, after = rule.when[:number], rule.when[number + 1 :]
        if isinstance(condition, Pattern):
            for pattern, place, change in _pattern_changes(condition):
                middle = () if pattern is None else (pattern,)
                yield (*before, *middle, *after), place, change
            continue
        for at, option in enumerate(condition.options):
            rest = condition.options[:at] + condition.options[at + 1 :]
            smaller = rest[0] if len(rest) == 1 else (replace(condition, options=rest),)
            place = option[0].place if option else condition.place
            yield (*before, *smaller, *after), place, f"without alternative {at + 1}"
            for which, inner in enumerate(option):
                for pattern, place, change in _pattern_changes(inner):
                    middle = () if pattern is None else (pattern,)
                    changed = (*option[:which], *middle, *option[which + 1 :])
                    options = (*condition.options[:at], changed, *condition.options[at + 1 :])
                    yield (*before, Alternatives(options, condition.place), *after), place, change


def _pattern_changes(pattern: Pattern) -> Iterator[tuple[Pattern | None, Place, str]]:
    name = pattern.binding or "none"
    if pattern.negated:
        yield None, pattern.place, f"without 'none: {pattern.kind}'"
    for number, condition in enumerate(pattern.conditions):
        before, after = pattern.conditions[:number], pattern.conditions[number + 1 :]
        if isinstance(condition, Comparison):
            yield (
                replace(pattern, conditions=(*before, *after)),
                condition.place,
                f"without {name}.{condition.attribute}",
            )
            for changed, change in _comparison_changes(condition):
                kept = replace(pattern, conditions=(*before, changed, *after))
                yield kept, condition.place, f"{name}.{condition.attribute} {change}"
            continue
        for at, alternative in enumerate(condition.alternatives):
            rest = condition.alternatives[:at] + condition.alternatives[at + 1 :]
            smaller = rest[0] if len(rest) == 1 else (Choice(rest, condition.place),)
            place = alternative[0].place if alternative else condition.place
            change = f"without alternative {at + 1} of any_of in {name}"
            yield replace(pattern, conditions=(*before, *smaller, *after)), place, change


def _comparison_changes(comparison: Comparison) -> Iterator[tuple[Comparison, str]]:
    word, operand = comparison.word, comparison.operand
    if word is Word.KNOWN:
        yield replace(comparison, operand=not operand), "known turned round"
    elif isinstance(operand, bool):
        yield replace(comparison, operand=not operand), "turned round"
    elif word in _TURNED and not isinstance(operand, JoinRef):
        turned = _TURNED[word]
        shown = f"${operand.name}" if isinstance(operand, ParamRef) else ""
        yield replace(comparison, word=turned), f"{turned} instead of {word} {shown}".strip()
    if isinstance(operand, tuple) and 1 < len(operand) <= _SHORT_LIST:
        for member in operand:
            rest = tuple(other for other in operand if other != member)
            yield replace(comparison, operand=rest), f"{word} without {member}"

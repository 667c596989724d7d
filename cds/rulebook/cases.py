"""Run the tests that stand inside rule files, on both evaluators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cds.rulebook.evaluate import Deck, Judgement, Prepared, conclude, judge
from cds.rulebook.facts import Catalogue, Fact, catalogue
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.reference import Scene
from cds.rulebook.remarks import Place, Remark
from cds.rulebook.rule import Outcome, Rule, RuleTest
from cds.rulebook.rulebook import Rulebook


class TestResult(Struct, frozen=True):
    """What one test of one rule gave."""

    rule_id: str
    name: str
    place: Place
    failure: str | None
    """None: passed."""

    __test__ = False  # not a pytest class

    def remark(self) -> Remark | None:
        """The failure as a remark of the linter."""
        if self.failure is None:
            return None
        return Remark(self.place, "RB705", f"{self.rule_id}, '{self.name}': {self.failure}")


def run_tests(rulebook: Rulebook, rules: Iterable[Rule] | None = None) -> tuple[TestResult, ...]:
    """Every test of the given rules (default: all), each on both evaluators."""
    if rulebook.content.with_tests is False:
        raise ValueError("this rulebook was loaded without its tests")
    chosen = rulebook.rules if rules is None else tuple(rules)
    return tuple(result for rule in chosen for result in _run_rule(rulebook, rule))


def firing_texts(rulebook: Rulebook, rule: Rule) -> Iterator[tuple[str, str]]:
    """The summaries that a rule's tests make it say, by test name (reference evaluator only)."""
    for test in rule.tests:
        jurisdiction = jurisdiction_of(rulebook, rule, test)
        prepared = rulebook.prepared(rule, jurisdiction)
        facts = scene_of(test, jurisdiction, test.occasion or rule.occasions[0], catalogue())
        if prepared is not None and not isinstance(facts, str):
            for match in judge(prepared, Scene(facts)).matches:
                bound = {binding: facts[number] for binding, number in match}
                yield test.name, conclude(prepared, bound, rulebook.renderer).summary


def _run_rule(rulebook: Rulebook, rule: Rule) -> list[TestResult]:
    decks: dict[str, tuple[Prepared, Deck] | None] = {}
    results = []
    try:
        for test in rule.tests:
            jurisdiction = jurisdiction_of(rulebook, rule, test)
            if jurisdiction not in decks:
                prepared = rulebook.prepared(rule, jurisdiction)
                ready = None
                if prepared is not None:
                    deck = Deck([prepared], [], rulebook.renderer, rulebook.revision)
                    ready = (prepared, deck)
                decks[jurisdiction] = ready
            failure = _failure(rulebook, test, jurisdiction, decks[jurisdiction])
            results.append(TestResult(rule.id, test.name, test.place, failure))
    finally:
        for ready in decks.values():
            if ready is not None:
                ready[1].close()
    return results


def _failure(
    rulebook: Rulebook, test: RuleTest, jurisdiction: str, ready: tuple[Prepared, Deck] | None
) -> str | None:
    if ready is None:
        if test.expect is Outcome.SILENT:
            return None
        return f"the rule does not exist in {jurisdiction}"
    prepared, deck = ready
    occasion = test.occasion or prepared.rule.occasions[0]
    facts = scene_of(test, jurisdiction, occasion, catalogue())
    if isinstance(facts, str):
        return facts
    verdict = deck.evaluate(facts)
    if not verdict.agreed:
        return f"the evaluators disagree: {verdict.disagreement}"
    return against(test, prepared, judge(prepared, Scene(facts)), facts, rulebook)


def against(
    test: RuleTest, prepared: Prepared, got: Judgement, facts: list[Fact], rulebook: Rulebook
) -> str | None:
    """What differs between a test's expectation and a judgement, in words."""
    if got.outcome is not test.expect:
        said = {Outcome.UNDECIDED: f" for want of {', '.join(got.missing)}"}.get(got.outcome, "")
        why = f" ({'; '.join(got.because)})" if got.because else ""
        return f"expected {_verb(test.expect)}, got {_verb(got.outcome)}{said}{why}"
    if test.text is None:
        return None
    if test.expect is Outcome.UNDECIDED:
        if test.text in got.missing:
            return None
        return f"undecided for want of {', '.join(got.missing)}, not of {test.text}"
    summaries = [
        conclude(prepared, {b: facts[n] for b, n in match}, rulebook.renderer).summary
        for match in got.matches
    ]
    if test.text in summaries:
        return None
    return f"the text is '{' | '.join(summaries)}', expected '{test.text}'"


def jurisdiction_of(rulebook: Rulebook, rule: Rule, test: RuleTest) -> str:
    """Where a test plays: as it says, or the default, or the rule's first."""
    if test.jurisdiction is not None:
        return test.jurisdiction
    default = rulebook.default_jurisdiction
    return default if default in rule.jurisdictions else rule.jurisdictions[0]


def scene_of(
    test: RuleTest, jurisdiction: str, occasion: str, known: Catalogue
) -> list[Fact] | str:
    """The facts of a test, completed with neutral ones; a text says why they cannot be made."""
    facts: list[Fact] = []
    for given in test.given:
        kind = known.kinds[given.kind]
        if kind.one and any(fact.kind == kind.name for fact in facts):
            return f"two facts of kind {kind.name}, of which there is one"
        values = dict(given.values)
        if kind.name == "setting":
            values = {"jurisdiction": jurisdiction, "occasion": occasion, **values}
        facts.append(with_neutral_values(kind, values))
    present = {fact.kind for fact in facts}
    for kind in known:
        if kind.one and kind.name not in present:
            values = {"jurisdiction": jurisdiction, "occasion": occasion}
            facts.append(with_neutral_values(kind, values if kind.name == "setting" else {}))
    return facts


def _verb(outcome: Outcome) -> str:
    return "fires" if outcome is Outcome.FIRED else outcome.value

"""Both evaluators on random rulebooks and patients, with freed memory filled with rubbish."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cds.rulebook.evaluate import Deck, Prepared, prepare
from cds.rulebook.facts import Fact, catalogue
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Outcome, Rule
from tests.rulebook.random_rules import Generator

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> dict[str, float]:
    """Run a soak in a process of its own: a memory fault ends that process, not this one."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.rulebook.soak", *arguments],
        cwd=ROOT, env={**os.environ, "MALLOC_PERTURB_": "85"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_twenty_thousand_random_evaluations_agree() -> None:
    tally = run("--count", "20000", "--seed", "1")
    assert tally["mismatches"] == 0
    assert tally["evaluations"] >= 20_000
    assert tally["fired"] > 500
    assert tally["undecided"] > 300


def test_hundreds_of_rules_over_the_same_facts_agree() -> None:
    tally = run("--count", "800", "--seed", "2", "--rules", "400", "--scenes", "2")
    assert tally["mismatches"] == 0


def test_reloading_does_not_grow_in_memory() -> None:
    tally = run("--reloads", "300", "--rules", "30")
    assert tally["reloads"] == 300
    assert tally["grown_mb"] < 8


def deck(*rules: Rule) -> Deck:
    found = [prepare(rule, "us", catalogue(), {}) for rule in rules]
    return Deck([p for p in found if isinstance(p, Prepared)], [], Renderer(catalogue(), {}), "r")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_facts_changes_nothing(seed: int) -> None:
    generator = Generator(1000 + seed)
    compiled = deck(*generator.rules(30))
    facts = generator.scene(20)
    outcomes = []
    for _ in range(4):
        generator.random.shuffle(facts)
        verdict = compiled.evaluate(facts)
        assert verdict.agreed, verdict.disagreement
        outcomes.append(tuple((trace.outcome, len(trace.matches)) for trace in verdict.trace))
    assert len(set(outcomes)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_learning_more_never_changes_what_was_decided(seed: int) -> None:
    """Unknown means unknown: only undecided rules may change when an attribute becomes known."""
    generator = Generator(2000 + seed)
    rules = [rule for rule in generator.rules(40) if not _asks_whether_known(rule)]
    compiled = deck(*rules)
    facts = generator.scene(15)
    before = compiled.evaluate(facts)
    after = compiled.evaluate([_completed(fact, generator) for fact in facts])
    for old, new in zip(before.trace, after.trace, strict=True):
        if old.outcome is not Outcome.UNDECIDED:
            assert new.outcome is old.outcome, old.rule_id


def _asks_whether_known(rule: Rule) -> bool:
    return any(c.word == "known" for pattern in rule.patterns() for c in pattern.comparisons())


def _completed(fact: Fact, generator: Generator) -> Fact:
    kind = catalogue().kinds[fact.kind]
    values = dict(fact.values)
    for name, attribute in kind.attributes.items():
        values.setdefault(name, generator.value(attribute))
    return Fact(fact.kind, values)

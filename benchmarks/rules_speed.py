"""How long an evaluation takes: the real rulebook, and 100, 300, 1,000 synthetic rules.

    python -m benchmarks.rules_speed [--rules DIRECTORY] [--repeat 300]

Prints both evaluators together (as every assessment runs) beside the reference evaluator alone, and
how the processor time grows with the number of rules. The synthetic rules are the real ones again:
`wider`, about other medicines, results and conditions, and `finer`, about the same with other
numbers.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from cds.clinical.setting import Occasion
from cds.rulebook import Fact, Outcome, Rulebook, catalogue, load
from cds.rulebook.evaluate import Deck
from cds.rulebook.facts import Attribute, Value
from cds.rulebook.panel import Panel
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.reference import Scene
from cds.rulebook.rule import Comparison, Pattern, Rule, Status

FACTS = 60
SIZES = (100, 300, 1000)


def patient(rulebook: Rulebook, seed: int) -> list[Fact]:
    """One adult with sixty facts, of whom several rules speak.

    Chronic-phase CML for thirteen months, a low trough, a poor response, low neutrophils, and
    rifampicin among six medicines; the other results are ordinary or not there, as in a chart.
    """
    source = random.Random(seed)
    keys = {part: sorted(words) for part, words in rulebook.content.vocabulary.keys.items()}
    kinds = catalogue().kinds
    one: dict[str, dict[str, Value]] = {
        "setting": {"jurisdiction": "us", "occasion": "patient-view"},
        "patient": {"age_years": 54, "population": "adult", "sex": "female", "weight_kg": 68},
        "course": {
            "disease": "cml", "indication": "cml-cp", "active": True, "in_use": True,
            "daily_mg": 400, "amount_mg": 400, "interval_h": 24, "start_daily_mg": 400,
            "started_days_ago": 400, "months_on_drug": 13, "level_since_change": True,
        },
        "levels": {"count": 2, "usable_count": 2, "latest_age_days": 3},
        "adherence": {"pdc_percent": 96, "pdc_window_days": 90, "refill_late_days": 0},
        "response": {
            "bcr_abl_percent": 0.4, "bcr_abl_age_days": 20, "bcr_abl_month": 12.5,
            "milestone": "warning", "milestone_window": "12-months", "on_track": False,
        },
    }  # fmt: skip
    facts = [with_neutral_values(k, dict(one.get(k.name, {}))) for k in catalogue() if k.one]
    facts += [
        with_neutral_values(kinds["level"], {
            "is_latest": latest, "gate": "trough", "trough_ng_ml": 820 + 90 * latest,
            "trough_low_ng_ml": 820 + 90 * latest, "trough_high_ng_ml": 820 + 90 * latest,
            "age_days": 3 if latest else 120, "value_ng_ml": 910, "hours_post_dose": 24,
        })
        for latest in (True, False)
    ]  # fmt: skip
    for medicine in ("rifampicin", *source.sample(keys["medicines"], 5)):
        facts.append(with_neutral_values(kinds["medicine"], {
            "ingredient": medicine, "name": medicine, "current": True, "systemic": True,
        }))  # fmt: skip
        inducer = {"effect": "inducer", "strength": "strong"} if medicine == "rifampicin" else {}
        facts.append(with_neutral_values(
            kinds["interaction"], {"ingredient": medicine, **inducer}
        ))  # fmt: skip
    facts += [
        with_neutral_values(kinds["condition"], {"key": key, "active": True})
        for key in source.sample(keys["conditions"], 4)
    ]
    labs = ["anc", *(key for key in keys["labs"] if key != "anc")]
    for number in range(FACTS - len(facts)):
        values: dict[str, Value] = {"key": labs[number % len(labs)]}
        if number % 2 == 0:
            measured = round(source.uniform(0.5, 1.5), 2)
            values |= {
                "value": 0.8 if number == 0 else 40 * measured, "multiple_of_uln": measured,
                "recent": True, "age_days": 4,
            }  # fmt: skip
        facts.append(with_neutral_values(kinds["lab"], values))
    return facts


@dataclass(frozen=True)
class Timing:
    """Milliseconds: median and 99th percentile on the clock, median of processor time."""

    p50: float
    p99: float
    cpu: float


def measure(work: Callable[[], object], repeat: int) -> Timing:
    """Time one call again and again; processor time does not suffer from a busy machine."""
    work()
    clock, cpu = [], []
    for _ in range(repeat):
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        work()
        cpu.append((time.thread_time() - begun_cpu) * 1000)
        clock.append((time.perf_counter() - begun) * 1000)
    return Timing(
        statistics.median(clock), sorted(clock)[int(repeat * 0.99)], statistics.median(cpu)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=Path, default=Path(__file__).parents[1] / "rules")
    parser.add_argument("--repeat", type=int, default=300)
    options = parser.parse_args()
    print(
        f"{'':24}{'rules':>6} {'fired':>6} {'facts':>6} {'p50':>7} {'p99':>7} {'cpu':>7} "
        f"{'reference cpu':>14} {'ratio':>6} {'compile':>8}   (ms)"
    )
    rulebook = load(options.rules)
    real(rulebook, options.repeat)
    for grown in (wider, finer):
        spent = {count: synthetic(rulebook, count, options.repeat, grown) for count in SIZES}
        for small, large in pairwise(SIZES):
            growth = spent[large] / spent[small]
            print(f"  {large / small:.1f} times the rules: {growth:.1f} times the time")


def real(rulebook: Rulebook, repeat: int) -> None:
    """The rulebook of the product on one patient, by occasion."""
    facts = patient(rulebook, 1)
    for occasion in (Occasion.PATIENT_VIEW, Occasion.ORDER_SIGN):
        asked = _asked(rulebook, occasion)
        _row(rulebook, f"real, {occasion}", asked, facts, repeat)


def synthetic(rulebook: Rulebook, count: int, repeat: int, grown: Grown) -> float:
    """So many rules made from the real ones; processor time of one evaluation in ms."""
    asked = _asked(rulebook, Occasion.PATIENT_VIEW)
    random.Random(1).shuffle(asked)
    made = [
        grown(asked[number % len(asked)], number // len(asked), number, rulebook)
        for number in range(count)
    ]
    return _row(rulebook, f"synthetic, {grown.__name__}", made, patient(rulebook, 1), repeat)


def _asked(rulebook: Rulebook, occasion: Occasion) -> list[Rule]:
    return [
        rule
        for rule in rulebook.rules
        if occasion in rule.occasions
        and rule.status is not Status.RETIRED
        and rulebook.prepared(rule, "us") is not None
    ]


def _row(
    rulebook: Rulebook, name: str, rules: Sequence[Rule], facts: list[Fact], repeat: int
) -> float:
    """Measure rules on facts and print a line."""
    found = [rulebook.prepared(rule, "us") for rule in rules]
    prepared = [rule for rule in found if rule is not None]
    begun = time.thread_time()
    deck = Deck(prepared, [], rulebook.renderer, name)
    compiled = (time.thread_time() - begun) * 1000
    verdict = deck.evaluate(facts)
    if not verdict.agreed:
        raise SystemExit(f"{name}: {verdict.disagreement}")
    fired = sum(trace.outcome is Outcome.FIRED for trace in verdict.trace)
    panel = Panel([rule.matchers for rule in prepared], lambda rule, _: rule)
    both = measure(partial(deck.evaluate, facts), repeat)
    alone = measure(lambda: panel.judge(Scene(facts)), repeat)
    deck.close()
    print(
        f"{name:24}{len(prepared):>6} {fired:>6} {len(facts):>6} {both.p50:>7.2f} {both.p99:>7.2f} "
        f"{both.cpu:>7.2f} {alone.cpu:>14.2f} {both.cpu / alone.cpu:>6.1f} {compiled:>8.1f}"
    )
    return both.cpu


Grown = Callable[[Rule, int, int, Rulebook], Rule]
"""Makes another rule of a real one: how often it was used already, and a running number."""


def wider(rule: Rule, times: int, number: int, rulebook: Rulebook) -> Rule:
    """The rule about another medicine, result, condition or gene, with other numbers.

    So a rulebook grows: by new matters. What a patient has of them does not grow with it. A rule
    that names none of these is about the same matter again.
    """

    def other(attribute: Attribute, key: str) -> str:
        keys = sorted(rulebook.content.vocabulary.keys.get(attribute.terms or "", ()))
        if attribute.values or key not in keys:
            return key
        return keys[(keys.index(key) + 7 * times) % len(keys)]

    def moved(comparison: Comparison, kind: str) -> Comparison:
        attribute = catalogue().attribute(kind, comparison.attribute)
        operand = comparison.operand
        if isinstance(operand, str):
            return replace(comparison, operand=other(attribute, operand))
        if isinstance(operand, tuple):
            return replace(comparison, operand=tuple(other(attribute, key) for key in operand))
        return comparison

    def pattern(found: Pattern) -> Pattern:
        conditions = tuple(
            moved(part, found.kind)
            if isinstance(part, Comparison)
            else replace(part, alternatives=tuple(
                tuple(moved(c, found.kind) for c in way) for way in part.alternatives
            ))
            for part in found.conditions
        )  # fmt: skip
        return replace(found, conditions=conditions)

    when = tuple(
        pattern(part)
        if isinstance(part, Pattern)
        else replace(part, options=tuple(tuple(pattern(p) for p in way) for way in part.options))
        for part in rule.when
    )
    return finer(replace(rule, when=when), times, number, rulebook)


def finer(rule: Rule, times: int, number: int, rulebook: Rulebook) -> Rule:
    """The rule again with its numbers moved by a percent for each time.

    The worst case: all rules are about what this patient has, and as many more fire.
    """
    params = {
        name: replace(param, values={
            where: value * (1 + times / 100) if isinstance(value, float) else value
            for where, value in param.values.items()
        })
        for name, param in rule.params.items()
    }  # fmt: skip
    return replace(rule, id=f"{rule.id}-{number:04d}", params=params)


if __name__ == "__main__":
    main()

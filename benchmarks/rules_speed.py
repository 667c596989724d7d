"""How long an evaluation takes: the real rulebook, and 100, 300, 1,000 synthetic rules.

    python -m benchmarks.rules_speed [--rules DIRECTORY] [--repeat 300]

Prints both evaluators together (as every assessment runs) beside the reference evaluator alone, and
how the processor time grows with the number of rules.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Fact, Outcome, Rulebook, catalogue, load
from cds.rulebook.evaluate import Deck, Prepared, judge
from cds.rulebook.facts import Value
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.reference import Scene
from cds.rulebook.rule import Rule

FACTS = 60


def patient(rulebook: Rulebook, seed: int) -> list[Fact]:
    """One adult with sixty facts: every single kind, results, medicines, interactions, history."""
    source = random.Random(seed)
    keys = {part: sorted(words) for part, words in rulebook.content.vocabulary.keys.items()}
    kinds = catalogue().kinds
    one: dict[str, dict[str, Value]] = {
        "setting": {"jurisdiction": "us", "occasion": "patient-view"},
        "patient": {"age_years": 54, "population": "adult", "sex": "female", "weight_kg": 68},
        "course": {
            "disease": "cml", "indication": "cml-cp", "active": True, "daily_mg": 400,
            "started_days_ago": 400, "months_on_drug": 13, "level_since_change": True,
        },
        "levels": {"count": 2, "usable_count": 2, "latest_age_days": 3},
        "adherence": {"pdc_percent": 96, "pdc_window_days": 90, "refill_late_days": 0},
        "response": {"bcr_abl_percent": 0.4, "bcr_abl_month": 12, "on_track": False},
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
    for medicine in source.sample(keys["medicines"], 6):
        facts.append(with_neutral_values(kinds["medicine"], {
            "ingredient": medicine, "name": medicine, "current": True, "systemic": True,
        }))  # fmt: skip
        facts.append(with_neutral_values(kinds["interaction"], {"ingredient": medicine}))
    facts += [
        with_neutral_values(kinds["condition"], {"key": key, "active": True})
        for key in source.sample(keys["conditions"], 4)
    ]
    for number in range(FACTS - len(facts)):
        values: dict[str, Value] = {
            "key": keys["labs"][number % len(keys["labs"])], "recent": True, "age_days": 4,
            "value": round(source.uniform(0.5, 200), 2),
            "multiple_of_uln": round(source.uniform(0.1, 2), 2),
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
        f"{'':24}{'rules':>6} {'facts':>6} {'p50':>7} {'p99':>7} {'cpu':>7} "
        f"{'reference cpu':>14} {'ratio':>6} {'compile':>8}   (ms)"
    )
    rulebook = load(options.rules)
    real(rulebook, options.repeat)
    medians = {count: synthetic(rulebook, count, options.repeat) for count in (100, 300, 1000)}
    for small, large in ((100, 300), (300, 1000)):
        growth = medians[large] / medians[small]
        print(f"{large / small:.1f} times the rules: {growth:.1f} times the time")


def real(rulebook: Rulebook, repeat: int) -> None:
    """The rulebook of the product on one patient, by occasion."""
    facts = patient(rulebook, 1)
    for occasion in (Occasion.PATIENT_VIEW, Occasion.ORDER_SIGN):
        setting = Setting(occasion, Jurisdiction.US)
        begun = time.perf_counter()
        verdict = rulebook.evaluate(facts, setting)
        compiled = (time.perf_counter() - begun) * 1000
        asked = {t.rule_id for t in verdict.trace if t.outcome is not Outcome.NOT_APPLICABLE}
        prepared = [
            found
            for rule in rulebook.rules
            if rule.id in asked and (found := rulebook.prepared(rule, "us")) is not None
        ]
        both = measure(partial(rulebook.evaluate, facts, setting), repeat)
        alone = measure(partial(reference, prepared, facts), repeat)
        line(f"real, {occasion}", len(asked), len(facts), both, alone, compiled)


def synthetic(rulebook: Rulebook, count: int, repeat: int) -> float:
    """So many rules made from the real ones by shifting their numbers; processor time."""
    setting = Setting(Occasion.PATIENT_VIEW, Jurisdiction.US)
    asked = [rule for rule in rulebook.rules if setting.occasion in rule.occasions]
    prepared = []
    for copy in range(2 * count):
        shifted = _shifted(asked[copy % len(asked)], copy // len(asked), copy)
        found = rulebook.prepared(shifted, "us")
        if found is not None:
            prepared.append(found)
        if len(prepared) == count:
            break
    begun = time.perf_counter()
    deck = Deck(prepared, [], rulebook.renderer, "synthetic")
    compiled = (time.perf_counter() - begun) * 1000
    facts = patient(rulebook, 1)
    both = measure(lambda: deck.evaluate(facts), repeat)
    alone = measure(lambda: reference(prepared, facts), repeat)
    line("synthetic", len(prepared), len(facts), both, alone, compiled)
    deck.close()
    return both.cpu


def _shifted(rule: Rule, times: int, number: int) -> Rule:
    """A copy with a name of its own, its numbers moved by a percent for each time."""
    params = {
        name: replace(param, values={
            where: value * (1 + times / 100) if isinstance(value, float) else value
            for where, value in param.values.items()
        })
        for name, param in rule.params.items()
    }  # fmt: skip
    return replace(rule, id=f"{rule.id}-{number:04d}", params=params)


def reference(prepared: Sequence[Prepared], facts: Sequence[Fact]) -> None:
    """The reference evaluator alone."""
    scene = Scene(facts)
    for rule in prepared:
        judge(rule, scene)


def line(name: str, rules: int, facts: int, both: Timing, alone: Timing, compiled: float) -> None:
    """One row of the table."""
    print(
        f"{name:24}{rules:>6} {facts:>6} {both.p50:>7.2f} {both.p99:>7.2f} {both.cpu:>7.2f} "
        f"{alone.cpu:>14.2f} {both.cpu / alone.cpu:>6.1f} {compiled:>8.1f}"
    )


if __name__ == "__main__":
    main()

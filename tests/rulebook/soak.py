"""Long runs of the engine, in a process of their own because a fault in C would end it.

    MALLOC_PERTURB_=85 python -m tests.rulebook.soak --count 1000000
    python -m tests.rulebook.soak --reloads 300 --rules 200

The first compares durable-rules with the reference evaluator on random rulebooks and patients (one
count is one rule evaluated on one patient) and ends at the first mismatch. The second loads and
drops revisions of a rulebook and measures the memory that stays. The last line is
JSON; the exit code is 1 when the evaluators differ.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cds.rulebook.evaluate import Deck, Prepared, prepare
from cds.rulebook.facts import catalogue
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Outcome, Rule
from tests.rulebook.random_rules import Generator

WARM = 20
"""Revisions before the memory is measured: allocators keep what they once had."""


@dataclass
class Tally:
    """What was compared."""

    evaluations: int = 0
    fired: int = 0
    undecided: int = 0
    mismatches: int = 0
    first: str = ""
    seconds: float = 0.0


def deck_of(rules: list[Rule]) -> tuple[Deck, int]:
    """Rules, compiled."""
    prepared = [
        found
        for rule in rules
        if isinstance(found := prepare(rule, "us", catalogue(), {}), Prepared)
    ]
    return Deck(prepared, [], Renderer(catalogue(), {}), "random"), len(prepared)


def compare(count: int, seed: int, rules: int, scenes: int) -> Tally:
    """Evaluate until `count` rule evaluations were compared."""
    tally, begun = Tally(), time.perf_counter()
    while tally.evaluations < count and not tally.mismatches:
        generator = Generator(seed)
        deck, compiled = deck_of(generator.rules(rules))
        for _ in range(scenes):
            verdict = deck.evaluate(generator.scene(generator.random.randint(0, 30)))
            tally.evaluations += compiled
            tally.fired += sum(t.outcome is Outcome.FIRED for t in verdict.trace)
            tally.undecided += sum(t.outcome is Outcome.UNDECIDED for t in verdict.trace)
            if not verdict.agreed:
                tally.mismatches += 1
                tally.first = f"seed {seed}: {verdict.disagreement}"
        deck.close()
        seed += 1
    tally.seconds = round(time.perf_counter() - begun, 1)
    return tally


def reload(reloads: int, rules: int) -> dict[str, float]:
    """Compile, use and drop revisions; how much memory stays."""
    settled, generator = 0.0, Generator(7)
    revision, facts = generator.rules(rules), generator.scene(20)
    for number in range(WARM + reloads):
        if number == WARM:
            settled = resident_mb()
        deck, _ = deck_of(revision)
        deck.evaluate(facts)
    return {"reloads": reloads, "rss_mb": resident_mb(), "grown_mb": resident_mb() - settled}


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * 4096 / 1e6, 1)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=int, default=60)
    parser.add_argument("--scenes", type=int, default=15)
    parser.add_argument("--reloads", type=int, default=0)
    options = parser.parse_args()
    if options.reloads:
        sys.stdout.write(json.dumps(reload(options.reloads, options.rules)) + "\n")
        return
    tally = compare(options.count, options.seed, options.rules, options.scenes)
    sys.stdout.write(json.dumps(asdict(tally)) + "\n")
    sys.exit(1 if tally.mismatches else 0)


if __name__ == "__main__":
    main()

"""Compare durable-rules with the reference evaluator on random rulebooks and patients.

    MALLOC_PERTURB_=85 python -m tests.rulebook.soak --count 1000000

One count is one rule evaluated on one patient. Exit code 1 on the first mismatch.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from cds.rulebook.evaluate import Deck, Prepared, prepare
from cds.rulebook.facts import catalogue
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Outcome
from tests.rulebook.random_rules import Generator


@dataclass
class Tally:
    """What was compared."""

    evaluations: int = 0
    fired: int = 0
    undecided: int = 0
    mismatches: int = 0
    first: str = ""


def soak(count: int, seed: int, *, rules: int = 60, scenes: int = 15) -> Tally:
    """Evaluate until `count` rule evaluations were compared."""
    tally = Tally()
    while tally.evaluations < count:
        generator = Generator(seed)
        prepared = [
            found
            for rule in generator.rules(rules)
            if isinstance(found := prepare(rule, "us", catalogue(), {}), Prepared)
        ]
        deck = Deck(prepared, [], Renderer(catalogue(), {}), "random")
        for _ in range(scenes):
            facts = generator.scene(generator.random.randint(0, 30))
            verdict = deck.evaluate(facts)
            tally.evaluations += len(prepared)
            tally.fired += sum(t.outcome is Outcome.FIRED for t in verdict.trace)
            tally.undecided += sum(t.outcome is Outcome.UNDECIDED for t in verdict.trace)
            if not verdict.agreed:
                tally.mismatches += 1
                tally.first = f"seed {seed}: {verdict.disagreement}"
                return tally
        deck.close()
        seed += 1
    return tally


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    tally = soak(options.count, options.seed)
    sys.stdout.write(f"{tally} in {time.perf_counter() - begun:.1f} s\n")
    sys.exit(1 if tally.mismatches else 0)


if __name__ == "__main__":
    main()

"""What follows from a rulebook alone is worked out once, and goes with it."""

from __future__ import annotations

import gc

from cds import content
from cds.rulebook import Rulebook, load, once_per_rulebook


def test_it_is_worked_out_once_for_each_rulebook_and_argument() -> None:
    asked: list[tuple[str, int]] = []

    @once_per_rulebook
    def name_times(rulebook: Rulebook, times: int) -> str:
        asked.append((rulebook.name, times))
        return rulebook.name * times

    one, other = load(content.rules_dir()), load(content.rules_dir())
    for rulebook in (one, other, one, other):
        assert name_times(rulebook, 2) == rulebook.name * 2
    assert name_times(one, 3) == one.name * 3
    assert asked == [(one.name, 2), (other.name, 2), (one.name, 3)]


def test_it_is_let_go_with_the_rulebook() -> None:
    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    @once_per_rulebook
    def big(rulebook: Rulebook) -> Big:
        return Big()

    rulebook = load(content.rules_dir())
    big(rulebook)
    assert Big.alive == 1
    del rulebook
    gc.collect()
    assert Big.alive == 0

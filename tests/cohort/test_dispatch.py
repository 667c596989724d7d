"""Parts of a cohort: in order, all of them, also when processes are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.cohort.dispatch import dispatch
from tests.cohort.build import doubling


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_task_gives_its_result_in_order(processes: int, count: int) -> None:
    job = doubling(frozenset())
    done = list(dispatch(range(count), job, processes, part=3))
    assert done == [str(2 * number) for number in range(count)]


def test_a_process_that_is_killed_once_changes_nothing(tmp_path: Path) -> None:
    job = doubling(frozenset({5}), tmp_path / "died")
    done = list(dispatch(range(12), job, 2, part=3))
    assert (tmp_path / "died").exists()
    assert done == [str(2 * number) for number in range(12)]


def test_a_task_that_always_ends_its_process_is_lost_alone() -> None:
    done = list(dispatch(range(8), doubling(frozenset({5})), 2, part=4))
    assert done == ["0", "2", "4", "6", "8", "lost 5", "12", "14"]

"""Parts of a cohort, worked off by this process or by several; the results come in order.

A process that is killed costs the parts it had in hand, which are done again, each alone. A patient
who ends the process even then is reported as lost; nobody else is.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from msgspec import Struct

Task = TypeVar("Task")
Result = TypeVar("Result")

_PART = 25
"""Patients at once: half a second of work, against a millisecond to hand it over."""


class Job(Struct, Generic[Task, Result], frozen=True):
    """What each process does: `enter` once, then `work` for every part.

    All of it must be importable by name, because processes start afresh. `lost` gives the result of
    a task that ended its process.
    """

    enter: Callable[[], None]
    work: Callable[[Sequence[Task]], list[Result]]
    lost: Callable[[Task], Result]


def dispatch(
    tasks: Sequence[Task], job: Job[Task, Result], processes: int, part: int = _PART
) -> Iterator[Result]:
    """Yield the result of every task, in the order of the tasks."""
    parts = deque(tasks[first : first + part] for first in range(0, len(tasks), part))
    if processes == 1:
        job.enter()
        for one in parts:
            yield from job.work(one)
        return
    while parts:
        in_hand: deque[tuple[Sequence[Task], Future[list[Result]]]] = deque()
        with _pool(job, min(processes, len(parts))) as pool:
            try:
                while parts or in_hand:
                    while parts and len(in_hand) < 2 * processes:
                        in_hand.append((parts[0], pool.submit(job.work, parts[0])))
                        parts.popleft()
                    done = in_hand[0][1].result()
                    in_hand.popleft()
                    yield from done
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
        for one, _ in in_hand:
            yield from _alone(one, job)


def _alone(part: Sequence[Task], job: Job[Task, Result]) -> Iterator[Result]:
    """Do a part in a process of its own; halve it until what ends the process stands alone."""
    with _pool(job, 1) as pool:
        try:
            done = pool.submit(job.work, part).result()
        except BrokenProcessPool:
            done = None
    if done is not None:
        yield from done
    elif len(part) == 1:
        yield job.lost(part[0])
    else:
        half = len(part) // 2
        yield from _alone(part[:half], job)
        yield from _alone(part[half:], job)


def _pool(job: Job[Task, Result], processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=job.enter)

"""The durable queue, on SQLite and on PostgreSQL: nothing lost, nothing done by two at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cds.alerts.operator import find_work
from cds.alerts.patience import Patience
from cds.alerts.queue import Kind, LeaseLost, Queue, Work
from cds.alerts.tables import create_tables, drop_tables, open_database
from cds.store import Cipher
from tests.alerts.build import NOW, FakeClock

MINUTE = timedelta(minutes=1)


@pytest.fixture(
    params=[
        "sqlite",
        # One server for one process of pytest-xdist.
        pytest.param("postgresql", marks=pytest.mark.xdist_group("alerts-postgresql")),
    ]
)
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'alerts.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    database = open_database(url)
    drop_tables(database)  # another test may have worked in the same PostgreSQL before
    create_tables(database)
    patience = Patience(lease=MINUTE, settle=timedelta())
    yield Queue(database, Cipher(bytes(range(32))), patience, random.Random(7))
    drop_tables(database)
    database.close()


def add(queue: Queue, key: str = "a", kind: Kind = Kind.EVENT) -> bool:
    with queue.database.writing() as connection:
        return queue.add_once(connection, kind, "north", key, {"key": key}, NOW)


def bump(queue: Queue, clock: FakeClock, key: str = "a") -> int:
    with queue.database.writing() as connection:
        return queue.bump(connection, Kind.PATIENT, "north", key, {"key": key}, clock.now())


def finish(queue: Queue, work: Work) -> None:
    with queue.database.writing() as connection:
        queue.finish(connection, work, NOW)


def claimed(queue: Queue, clock: FakeClock) -> Work:
    (work,) = queue.claim(clock.now())
    return work


def take(queue: Queue, clock: FakeClock, *keys: str) -> list[Work]:
    with queue.database.writing() as connection:
        return queue.take(connection, Kind.EVENT, "north", keys, clock.now())


def test_work_is_added_once(queue: Queue) -> None:
    assert [add(queue), add(queue)] == [True, False]


def test_creating_the_tables_again_keeps_what_is_in_them(queue: Queue) -> None:
    add(queue)
    create_tables(queue.database)
    assert len(find_work(queue)) == 1


def test_claimed_work_is_in_one_pair_of_hands(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    assert claimed(queue, clock).body == {"key": "a"}
    assert not queue.claim(clock.now())


def test_work_that_was_just_added_is_taken_in_order(queue: Queue, clock: FakeClock) -> None:
    assert all(add(queue, key) for key in "abc")
    assert [work.key for work in take(queue, clock, "c", "a")] == ["c", "a"]
    assert claimed(queue, clock).key == "b"
    assert not queue.claim(clock.now())


def test_what_another_has_in_hand_or_what_failed_is_not_taken(
    queue: Queue, clock: FakeClock
) -> None:
    add(queue, "in-hand")
    claimed(queue, clock)
    add(queue, "failed")
    queue.fail(claimed(queue, clock), "status-503", clock.now())
    clock.advance(seconds=30)
    assert take(queue, clock, "in-hand", "failed", "unknown") == []
    assert take(queue, clock) == []


def test_taken_work_of_a_dead_worker_is_taken_over(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    (lost,) = take(queue, clock, "a")
    clock.advance(seconds=61)
    taken = claimed(queue, clock)
    finish(queue, taken)
    with pytest.raises(LeaseLost):
        finish(queue, lost)


def test_work_that_is_put_back_is_there_for_others_at_once(queue: Queue, clock: FakeClock) -> None:
    assert all(add(queue, key) for key in "ab")
    first, second = take(queue, clock, "a", "b")
    queue.put_back([second])
    assert claimed(queue, clock).key == "b"
    assert not queue.claim(clock.now())
    queue.put_back([second])  # it is another's now
    assert not queue.claim(clock.now())
    finish(queue, first)


def test_finished_work_is_not_done_again(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    finish(queue, claimed(queue, clock))
    clock.advance(days=30)
    assert not queue.claim(clock.now())


def test_work_of_a_dead_worker_is_taken_over(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    claimed(queue, clock)
    clock.advance(seconds=61)
    assert claimed(queue, clock).key == "a"


def test_a_worker_that_was_overtaken_changes_nothing(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    slow = claimed(queue, clock)
    clock.advance(seconds=61)
    fast = claimed(queue, clock)
    with pytest.raises(LeaseLost):
        finish(queue, slow)
    assert queue.fail(slow, "late", clock.now(), permanent=True) is False
    finish(queue, fast)
    assert [line.state for line in find_work(queue)] == ["done"]


def test_reasons_before_a_run_are_one_run(queue: Queue, clock: FakeClock) -> None:
    assert [bump(queue, clock), bump(queue, clock)] == [1, 2]
    finish(queue, claimed(queue, clock))
    assert not queue.claim(clock.now())


def test_a_reason_during_a_run_is_one_more_run(queue: Queue, clock: FakeClock) -> None:
    bump(queue, clock)
    first = claimed(queue, clock)
    bump(queue, clock)
    assert not queue.claim(clock.now())
    finish(queue, first)
    assert claimed(queue, clock).generation == 2


def test_a_burst_settles_but_never_waits_for_long(queue: Queue, clock: FakeClock) -> None:
    patience = Patience(settle=timedelta(seconds=1))
    patient = Queue(queue.database, queue.cipher, patience, queue.rng)
    waited = 0.0
    while not patient.claim(clock.now()):
        bump(patient, clock)
        clock.advance(seconds=0.5)
        waited += 0.5
        assert waited < 10
    assert 1.0 <= waited <= 6.0


def test_failed_work_waits_longer_each_time_up_to_an_hour(queue: Queue) -> None:
    day, wait_after = timedelta(days=1), queue.patience.wait_after
    waits = [wait_after(attempt, day, queue.rng).total_seconds() for attempt in range(1, 60)]
    assert waits[0] <= 1.0
    assert max(waits) <= 3600
    assert min(waits[14:]) >= 2700


def test_work_is_tried_for_three_days_and_then_given_up(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    given_up = False
    while not given_up:
        for work in queue.claim(clock.now()):
            given_up = queue.fail(work, "unreachable", clock.now())
        clock.advance(minutes=20)
    assert timedelta(hours=72) <= clock.now() - NOW <= timedelta(hours=74)
    (line,) = find_work(queue, state="dead")
    assert line.problem == "unreachable"


def test_work_that_was_given_up_can_be_retried(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    work = claimed(queue, clock)
    assert queue.fail(work, "refused-400", clock.now(), permanent=True)
    assert not queue.claim(clock.now() + timedelta(days=9))
    assert queue.retry(work.id, clock.now())
    finish(queue, claimed(queue, clock))


def test_done_work_is_not_retried(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    work = claimed(queue, clock)
    finish(queue, work)
    assert queue.retry(work.id, clock.now()) is False


def test_a_new_reason_opens_work_that_was_given_up(queue: Queue, clock: FakeClock) -> None:
    bump(queue, clock)
    queue.fail(claimed(queue, clock), "refused-400", clock.now(), permanent=True)
    bump(queue, clock)
    work = claimed(queue, clock)
    assert (work.generation, work.attempts) == (2, 0)


def test_work_that_kills_its_workers_is_put_aside(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    for _ in range(12):
        claimed(queue, clock)
        clock.advance(seconds=61)
    assert not queue.claim(clock.now())
    assert [line.problem for line in find_work(queue, state="dead")] == ["worker-died"]


def test_failing_work_does_not_hold_up_the_rest(queue: Queue, clock: FakeClock) -> None:
    add(queue, "poison")
    queue.fail(claimed(queue, clock), "unreachable", clock.now())
    add(queue, "fine")
    assert claimed(queue, clock).key == "fine"


@pytest.mark.parametrize("days", [-1.0, -400.0, 1.0, 400.0])
def test_a_clock_that_is_stepped_holds_nothing_up(
    queue: Queue, clock: FakeClock, days: float
) -> None:
    add(queue, "claimed")
    add(queue, "waiting")
    claimed(queue, clock)
    queue.fail(claimed(queue, clock), "unreachable", clock.now())
    clock.set(days=days)
    queue.mend(clock.now())
    clock.advance(minutes=1)
    assert {claimed(queue, clock).key, claimed(queue, clock).key} == {"claimed", "waiting"}


def test_many_new_reasons_while_nothing_works_do_not_make_the_last_one_wait(
    queue: Queue, clock: FakeClock
) -> None:
    for _ in range(30):
        bump(queue, clock)
        queue.fail(claimed(queue, clock), "unreachable", clock.now())
        clock.advance(seconds=0.1)
    clock.advance(seconds=3)
    assert claimed(queue, clock).generation == 30


def test_new_reasons_are_not_put_off_by_a_clock_that_was_ahead(
    queue: Queue, clock: FakeClock
) -> None:
    patient = Queue(queue.database, queue.cipher, Patience(settle=timedelta(seconds=1)), queue.rng)
    bump(patient, clock)
    clock.set(hours=-5)
    bump(patient, clock)
    assert claimed(patient, clock).generation == 2


def test_what_is_in_hand_stays_there_while_leases_cannot_be_believed(
    queue: Queue, clock: FakeClock
) -> None:
    add(queue)
    claimed(queue, clock)
    clock.set(hours=5)
    add(queue, "b")
    (free,) = queue.claim(clock.now(), take_over=False)
    assert free.key == "b"
    assert not queue.claim(clock.now(), take_over=False)
    assert claimed(queue, clock).key == "a"


def test_a_clock_set_forward_gives_nothing_up(queue: Queue, clock: FakeClock) -> None:
    add(queue)
    queue.fail(claimed(queue, clock), "unreachable", clock.now())
    clock.advance(days=30)
    assert queue.fail(claimed(queue, clock), "unreachable", clock.now()) is False


@pytest.mark.parametrize("together", [(), ("north",)])
def test_many_workers_do_each_piece_once(
    queue: Queue, clock: FakeClock, together: tuple[str, ...]
) -> None:
    for number in range(60):
        add(queue, str(number))
    done: list[str] = []

    def labour() -> None:
        while found := queue.claim(clock.now(), together=together):
            for work in found:
                finish(queue, work)
                done.append(work.key)

    threads = [threading.Thread(target=labour) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(str(number) for number in range(60))


def test_events_of_a_server_that_takes_batches_are_taken_together(
    queue: Queue, clock: FakeClock
) -> None:
    for number in range(20):
        add(queue, f"{number:02}")
        clock.advance(milliseconds=1)
    taken = queue.claim(clock.now(), together={"north"})
    assert [work.key for work in taken] == [f"{number:02}" for number in range(8)]
    assert len(queue.claim(clock.now(), together={"south"})) == 1
    for work in taken:
        finish(queue, work)
    assert len(queue.claim(clock.now(), together={"north"})) == 8


def test_only_events_of_one_server_are_taken_together(queue: Queue, clock: FakeClock) -> None:
    add(queue, "a")
    bump(queue, clock, "patient")
    with queue.database.writing() as connection:
        queue.add_once(connection, Kind.EVENT, "south", "b", {}, clock.now())
    add(queue, "c")
    both = {"north", "south"}
    found = [[work.key for work in queue.claim(clock.now(), together=both)] for _ in range(4)]
    assert found == [["a", "c"], ["patient"], ["b"], []]


def test_an_event_that_was_tried_before_is_taken_alone(queue: Queue, clock: FakeClock) -> None:
    """Were it taken with others, they would be given up with it when it kills its workers."""
    for key in "abc":
        add(queue, key)
    assert len(queue.claim(clock.now(), together={"north"})) == 3
    clock.advance(minutes=2)  # the worker died over one of them
    found = [[work.key for work in queue.claim(clock.now(), together={"north"})] for _ in range(3)]
    assert found == [["a"], ["b"], ["c"]]


def test_events_that_are_taken_together_leave_one_out_that_was_tried_before(
    queue: Queue, clock: FakeClock
) -> None:
    for key in "abc":
        add(queue, key)
    first, _ = claimed(queue, clock), claimed(queue, clock)
    queue.put_back([first])  # the worker dies over the second
    clock.advance(minutes=2)
    found = [[work.key for work in queue.claim(clock.now(), together={"north"})] for _ in range(3)]
    assert found == [["a", "c"], ["b"], []]


def test_events_that_failed_together_are_tried_again_one_by_one(
    queue: Queue, clock: FakeClock
) -> None:
    for key in "ab":
        add(queue, key)
    for work in queue.claim(clock.now(), together={"north"}):
        queue.fail(work, "unreachable", clock.now())
    clock.advance(minutes=1)
    found = [len(queue.claim(clock.now(), together={"north"})) for _ in range(3)]
    assert found == [1, 1, 0]


def test_bodies_are_not_kept_in_the_clear(queue: Queue) -> None:
    from sqlalchemy import select

    from cds.alerts.tables import work

    with queue.database.writing() as connection:
        queue.add_once(connection, Kind.EVENT, "north", "k", {"name": "canary-4711"}, NOW)
    with queue.database.reading() as connection:
        row = connection.execute(select(work)).one()
    assert b"canary-4711" not in repr(tuple(row)).encode()

"""A hundred rounds of kills and a few of the rest; `python -m tests.alerts.chaos` runs more."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cds.alerts.tables import drop_tables, open_database
from tests.alerts.chaos import Plan, run
from tests.alerts.chaos_site import Outcome

DATABASES = pytest.mark.parametrize(
    "database",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.xdist_group("alerts-postgresql")),
    ],
)


def befell(plan: Plan, request: pytest.FixtureRequest) -> Outcome:
    """What came of a plan; nothing may be lost, done twice or left over."""
    shared = plan.database == "postgresql" and plan.trouble != "disk"
    url = request.getfixturevalue("postgresql_url") if shared else None
    if url is not None:  # another test may have worked in the same PostgreSQL before
        database = open_database(url)
        drop_tables(database)
        database.close()
    # Not in a directory of pytest: it closes those to the user of PostgreSQL when it starts again.
    with tempfile.TemporaryDirectory() as directory:
        outcome = run(plan, Path(directory), url)
    assert outcome.clean, outcome
    assert outcome.filed >= plan.rounds
    return outcome


@DATABASES
def test_killed_processes_lose_nothing_and_repeat_nothing(
    database: str, request: pytest.FixtureRequest
) -> None:
    outcome = befell(Plan("kill", database, rounds=100, seed=4711), request)
    assert outcome.troubles["worker killed"] + outcome.troubles["receiver killed"] >= 100


@DATABASES
def test_a_full_disk_is_answered_with_503_and_nothing_is_lost(
    database: str, request: pytest.FixtureRequest
) -> None:
    outcome = befell(Plan("disk", database, rounds=2, seed=4711), request)
    assert outcome.refused[503] > 0
    assert outcome.ended == 0, "receiver and worker go on by themselves"


def test_writes_that_fail_otherwise_are_answered_like_a_full_disk(
    request: pytest.FixtureRequest,
) -> None:
    plan = Plan("disk", "sqlite", rounds=2, seed=4711, mount=False)
    outcome = befell(plan, request)
    assert outcome.refused[503] > 0
    assert outcome.ended == 0


@DATABASES
def test_a_clock_that_is_set_loses_nothing_and_repeats_nothing(
    database: str, request: pytest.FixtureRequest
) -> None:
    outcome = befell(Plan("clock", database, rounds=4, seed=4711), request)
    assert outcome.troubles["clock set"] >= 4
    assert outcome.ended == 0

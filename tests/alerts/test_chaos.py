"""A few rounds of chaos; `python -m tests.alerts.chaos` runs as many as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.chaos import run


@pytest.mark.parametrize(
    "database",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.xdist_group("alerts-postgresql")),
    ],
)
def test_killed_processes_lose_nothing_and_repeat_nothing(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_url") if database == "postgresql" else None
    outcome = run(4, 4711, tmp_path, url, conditional=database == "postgresql")
    assert outcome.clean, outcome
    assert sum(outcome.kills.values()) >= 4
    assert outcome.filed >= 4

"""The shipped rulebook and models: assessments are tested with the content they will run with."""

from __future__ import annotations

from pathlib import Path

import pytest

import pk
from cds.assess.policy import Tables
from cds.assess.tables import tables_for
from cds.clinical.setting import Jurisdiction
from cds.rulebook import Rulebook, load


@pytest.fixture(scope="session")
def rulebook() -> Rulebook:
    return load(Path(__file__).parents[2] / "rules")


@pytest.fixture(scope="session")
def models() -> dict[str, pk.PopulationModel]:
    return {name: pk.load_model(name) for name in pk.list_models()}


@pytest.fixture(scope="session")
def tables(rulebook: Rulebook) -> Tables:
    return tables_for(rulebook, Jurisdiction.US)

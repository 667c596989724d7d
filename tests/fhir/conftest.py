"""Fixtures of the FHIR tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.record import PatientRecord
from cds.fhir.gather import gather
from tests.fhir.factories import DRUG, NOW, PATIENT, TERMINOLOGY, ZONE


@pytest.fixture
def read() -> Callable[..., PatientRecord]:
    """Gather resources of the patient `p`."""

    def _read(*resources: Any, **options: Any) -> PatientRecord:
        settings: dict[str, Any] = {
            "drug": DRUG,
            "terminology": TERMINOLOGY,
            "zone": ZONE,
            "now": NOW,
        }
        return gather(PATIENT, resources, **(settings | options))

    return _read

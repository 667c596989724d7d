"""The input of a decision is kept so that the very same can be decided again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cds.clinical.setting import Occasion, Setting
from cds.services.decide import EvaluationInput
from cds.services.record import is_input
from cds.store.jsontext import canonical, decode, encode


def given(**changes: object) -> EvaluationInput:
    values: dict = {
        "evaluation": "e",
        "at": datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        "client": "north",
        "base_url": "",
        "setting": Setting(Occasion.ORDER_SIGN),
        "patient_id": "p",
        "context": {"dose": Decimal("1.10")},
        "resources": {"patient": {"resourceType": "Patient"}, "levels": None, "labs": None},
        "unavailable": {"genetics": "the server is away"},
    }
    return EvaluationInput(**values | changes)


def test_what_was_decided_on_is_read_again_as_it_was():
    assert EvaluationInput.from_json(decode(encode(given().to_json()))) == given()


def test_no_data_and_not_sent_stay_apart():
    read = EvaluationInput.from_json(given().to_json())

    assert read.resources["levels"] is None
    assert "genetics" not in read.resources


def test_what_an_earlier_version_kept_is_read():
    kept = given().to_json()
    del kept["noData"]
    kept["resources"] = dict(given().resources)

    assert EvaluationInput.from_json(kept) == given()


@pytest.mark.parametrize("way", [encode, canonical], ids=["now", "earlier versions"])
def test_the_recorded_input_is_known_by_its_digest(way: Callable[[object], bytes]):
    digest = hashlib.sha256(way(given().to_json())).hexdigest()
    recorded = decode(encode(given().to_json()))

    assert is_input(recorded, digest)
    assert not is_input(recorded | {"patientId": "q"}, digest)

"""The 75 hand-written shapes of MedicationRequest, each with the reading it must get.

`data/dosage_shapes.json` says for each shape either the regimen or that it is a question, and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cds.clinical.moment import Moment
from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus, Regimen
from tests.fhir.factories import ZONE

Read = Callable[..., PatientRecord]

_FILE = Path(__file__).parent / "data" / "dosage_shapes.json"
_CASES: dict[str, Any] = {
    case["id"]: case for case in json.loads(_FILE.read_text(), parse_float=Decimal)["cases"]
}

# Problem code that each question must carry; the reason stands in the data file.
_QUESTIONS = {
    "S06": "timing-conflict",
    "S13": "strength-unknown",
    "S17": "dose-unit-missing",
    "S18": "dose-unit-conflict",
    "S20": "dose-needs-body-surface",
    "S21": "dose-needs-weight",
    "S22": "dose-range",
    "S25": "dose-is-rate",
    "S28": "dosage-ambiguous",
    "S33": "timing-range",
    "S34": "timing-range",
    "S44": "timing-incomplete",
    "S45": "resource-unreadable",
    "S46": "as-needed",
    "S47": "as-needed",
    "S49": "text-unreadable",
    "S50": "text-conflict",
    "S51": "text-unreadable",
    "S52": "dose-missing",
    "S53": "dose-ceiling-only",
    "S55": "modifier-extension",
    "S56": "do-not-perform",
    "S58": "order-not-authorised",
    "S63": "medication-unresolved",
    "S65": "medication-code-mismatch",
    "S67": "dose-missing",
    "S68": "fhir-version-mismatch",
    "S69": "dose-missing",
    "S70": "text-conflict",
    "S72": "as-needed",
    "S74": "timing-incomplete",
}
_ON_HOLD = "S57"
_REGIMENS = [case_id for case_id in _CASES if case_id not in {*_QUESTIONS, _ON_HOLD}]


def _gathered(case_id: str, read: Read) -> PatientRecord:
    resource = _CASES[case_id]["resource"] | {"id": case_id.lower()}
    return read(resource)


def test_every_shape_is_either_a_regimen_or_a_question() -> None:
    assert len(_CASES) == 75
    unusable = {case_id for case_id, case in _CASES.items() if not case["expected"]["usable"]}
    assert unusable == {*_QUESTIONS, _ON_HOLD}


@pytest.mark.parametrize("case_id", _QUESTIONS)
def test_a_shape_that_cannot_be_read_safely_is_a_question_and_never_a_dose(
    case_id: str, read: Read
) -> None:
    record = _gathered(case_id, read)
    assert len(record.orders) == 1
    assert record.orders[0].regimens == ()
    assert record.mentions_drug
    found = {problem.code for problem in record.problems}
    assert found == {_QUESTIONS[case_id]}
    assert all(problem.reference == record.orders[0].reference for problem in record.problems)


@pytest.mark.parametrize("case_id", sorted(set(_QUESTIONS) - {"S58"}))
def test_an_active_order_that_cannot_be_read_prevents_quantitative_advice(
    case_id: str, read: Read
) -> None:
    record = _gathered(case_id, read)
    assert {problem.impact for problem in record.problems} == {Impact.PREVENTS}


def test_an_order_on_hold_keeps_its_regimen_but_is_no_current_therapy(read: Read) -> None:
    record = _gathered(_ON_HOLD, read)
    assert record.orders[0].status is OrderStatus.ON_HOLD
    assert [problem.code for problem in record.problems] == ["order-on-hold"]


@pytest.mark.parametrize("case_id", _REGIMENS)
def test_a_usable_shape_gives_the_expected_regimens(case_id: str, read: Read) -> None:
    record = _gathered(case_id, read)
    expected = _CASES[case_id]["expected"]
    assert record.problems == ()
    (order,) = record.orders
    if case_id == "S61":  # needs its sibling order; alone it is 2 x 100 mg and knows its group
        assert order.regimens[0].daily_mg == 200
        assert order.group == "g1"
    elif "single_doses" in expected:
        _check_single_doses(order.regimens, expected["single_doses"])
    else:
        assert len(order.regimens) == len(expected["regimens"])
        for regimen, stated in zip(order.regimens, expected["regimens"], strict=True):
            _check(regimen, stated, case_id)


def _check(regimen: Regimen, stated: dict[str, Any], case_id: str) -> None:
    if "dose_mg" in stated:
        assert {dose.amount_mg for dose in regimen.doses} == {float(stated["dose_mg"])}
    if "interval_h" in stated:
        assert regimen.interval_h == float(stated["interval_h"])
    daily = stated.get("daily_dose_mg", stated.get("mean_daily_mg"))
    if daily is not None:
        assert regimen.daily_mg == pytest.approx(float(daily), abs=1e-3)
    if "doses" in stated:
        assert [[d.offset_h, d.amount_mg] for d in regimen.doses] == stated["doses"]
    if "clock" in stated:
        assert regimen.clock_known
        hours = [f"{int(dose.offset_h):02}:00" for dose in regimen.doses]
        assert hours == stated["clock"]
    if "weekly_pattern" in stated:
        assert regimen.cycle_h == 168
        assert len(regimen.doses) == len(stated["weekly_pattern"])
    if "with_food" in stated:
        assert regimen.with_food is stated["with_food"]
    if "n_doses" in stated:
        assert regimen.count == stated["n_doses"]
    if "duration_d" in stated:
        assert regimen.starts is not None
        assert regimen.ends is not None
        assert regimen.starts.days_until(regimen.ends) == stated["duration_d"]
    if stated.get("end") == "uncertain":
        assert regimen.ends is None
        assert any("range" in assumption for assumption in regimen.assumptions)
    elif "end" in stated:
        # S29 gives an inclusive date, S27 the exclusive end of 14 days.
        inclusive = case_id == "S29"
        assert _local_date(regimen.ends, minus_days=1 if inclusive else 0) == stated["end"]
    if "start" in stated:
        assert regimen.starts is not None
        if "T" in stated["start"]:
            assert regimen.starts.at == datetime.fromisoformat(stated["start"])
        else:
            assert _local_date(regimen.starts) == stated["start"]
    if stated.get("source") in {"text", "display text"}:
        assert any("read from" in assumption for assumption in regimen.assumptions)
    if stated.get("source") == "reported":
        assert any("reported" in assumption for assumption in regimen.assumptions)


def _check_single_doses(regimens: tuple[Regimen, ...], stated: list[list[Any]]) -> None:
    assert [regimen.count for regimen in regimens] == [1] * len(stated)
    for regimen, (when, amount_mg) in zip(regimens, stated, strict=True):
        assert [dose.amount_mg for dose in regimen.doses] == [amount_mg]
        if when == "unknown":
            assert regimen.starts is None
        else:
            assert regimen.starts is not None
            assert regimen.starts.at == datetime.fromisoformat(when)


def _local_date(moment: Moment | None, minus_days: int = 0) -> str | None:
    if moment is None:
        return None
    return (moment.at.astimezone(ZONE).date() - timedelta(days=minus_days)).isoformat()


@pytest.mark.parametrize(
    ("case_id", "said"),
    [
        ("S27", "date of the order"),
        ("S02", "spaced evenly"),
        ("S41", "part of the day"),
        ("S26", "part of the day"),
        ("S48", "free text"),
        ("S59", "reported"),
        ("S73", "both clock times and parts of the day"),
    ],
)
def test_what_was_inferred_is_said_as_an_assumption(case_id: str, said: str, read: Read) -> None:
    record = _gathered(case_id, read)
    assert any(said in words for words in record.orders[0].regimens[0].assumptions)


def test_strength_from_a_product_code_needs_no_assumption(read: Read) -> None:
    record = _gathered("S09", read)
    assert not any("strength" in words for words in record.orders[0].regimens[0].assumptions)

"""Dosage details beyond the 75 shapes: sequences, concurrency, bounds, units, conflicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.record import PatientRecord
from cds.clinical.regimen import Regimen
from tests.fhir.factories import ZONE, dosage, quantity, request

Read = Callable[..., PatientRecord]

_DAILY = {"frequency": 1, "period": 1, "periodUnit": "d"}
_WEEKLY = {"period": 1, "periodUnit": "wk"}


def _regimens(read: Read, *dosages: dict[str, Any], **fields: Any) -> tuple[Regimen, ...]:
    (order,) = read(request(dosageInstruction=list(dosages), **fields)).orders
    return order.regimens


def _problem(read: Read, *dosages: dict[str, Any]) -> str:
    record = read(request(dosageInstruction=list(dosages)))
    assert record.orders[0].regimens == ()
    (problem,) = record.problems
    return problem.code


def _step(sequence: int, mg: float, **repeat: Any) -> dict[str, Any]:
    return dosage(mg, **(_DAILY | repeat)) | {"sequence": sequence}


# --- several dosages ---


def test_steps_with_their_own_dates_keep_them(read: Read) -> None:
    one = _step(1, 300, boundsPeriod={"start": "2024-01-01", "end": "2024-01-14"})
    two = _step(2, 400, boundsPeriod={"start": "2024-01-15"})
    first, second = _regimens(read, two, one)
    assert (first.daily_mg, second.daily_mg) == (300, 400)
    assert first.ends is not None
    assert second.starts is not None
    assert first.ends.at == second.starts.at


def test_a_step_limited_by_a_number_of_doses_ends_after_them(read: Read) -> None:
    first, second = _regimens(read, _step(1, 300, count=7), _step(2, 400))
    assert first.starts is not None
    assert second.starts is not None
    assert first.starts.days_until(second.starts) == 7


def test_a_step_without_a_date_starts_with_the_order_wherever_it_is_listed(read: Read) -> None:
    later = _step(2, 400, boundsPeriod={"start": "2024-03-01"})
    first, second = _regimens(read, later, _step(1, 300, boundsDuration=quantity(14, "d")))
    assert (first.daily_mg, second.daily_mg) == (300, 400)
    assert first.starts is not None
    assert first.starts.at.astimezone(ZONE).date().isoformat() == "2024-01-01"


def test_steps_of_which_one_is_open_are_a_question(read: Read) -> None:
    assert _problem(read, _step(1, 300), _step(2, 400)) == "dosage-sequence-open"


def test_steps_without_any_date_to_start_from_are_a_question(read: Read) -> None:
    weeks = {"boundsDuration": quantity(2, "wk")}
    order = request(dosageInstruction=[_step(1, 300, **weeks), _step(2, 400)], authoredOn=None)
    record = read(order)
    assert [problem.code for problem in record.problems] == ["dosage-sequence-open"]


def test_the_same_sequence_number_adds_up(read: Read) -> None:
    (regimen,) = _regimens(read, _step(1, 400), _step(1, 200))
    assert regimen.daily_mg == 600
    assert len(regimen.doses) == 1


def test_a_daily_and_an_every_other_day_dose_share_a_cycle_of_two_days(read: Read) -> None:
    (regimen,) = _regimens(read, _step(1, 400), _step(1, 200, period=2))
    assert regimen.cycle_h == 48
    assert [dose.amount_mg for dose in regimen.doses] == [600, 400]


def test_two_clock_times_without_sequence_are_two_doses_of_one_day(read: Read) -> None:
    (regimen,) = _regimens(
        read, dosage(400, timeOfDay=["08:00:00"]), dosage(200, timeOfDay=["20:00:00"])
    )
    assert [(dose.offset_h, dose.amount_mg) for dose in regimen.doses] == [(8, 400), (20, 200)]
    assert regimen.clock_known


def test_distinct_periods_without_sequence_follow_each_other(read: Read) -> None:
    first, second = _regimens(
        read,
        dosage(400, **_DAILY, boundsPeriod={"start": "2024-02-01"}),
        dosage(300, **_DAILY, boundsPeriod={"start": "2024-01-01", "end": "2024-01-31"}),
    )[:2]
    assert (first.daily_mg, second.daily_mg) == (300, 400)


@pytest.mark.parametrize(
    "dosages",
    [
        [dosage(400), dosage(400)],
        [dosage(400, timeOfDay=["08:00:00"]), dosage(200)],
        [dosage(400, timeOfDay=["08:00:00"]), dosage(200, timeOfDay=["08:00:00"])],
        [_step(1, 400), dosage(200)],
        [_step(1, 400), _step(1, 200, boundsPeriod={"start": "2024-02-01"})],
        [_step(1, 400), _step(1, 200, period=7.3)],
    ],
)
def test_dosages_that_may_be_alternatives_are_a_question(
    dosages: list[dict[str, Any]], read: Read
) -> None:
    assert _problem(read, *dosages) == "dosage-ambiguous"


def test_one_unreadable_instruction_makes_the_whole_order_a_question(read: Read) -> None:
    prn = _step(2, 400) | {"asNeededBoolean": True}
    weeks = {"boundsDuration": quantity(2, "wk")}
    assert _problem(read, _step(1, 300, **weeks), prn) == "as-needed"


# --- dose ---


@pytest.mark.parametrize(
    ("quantities", "code"),
    [
        ([quantity(400, "mg"), quantity(300, "mg")], "dose-conflict"),
        ([quantity(400, "mg"), {"value": 2, "unit": "tablet"}], "dose-conflict"),
        ([quantity(0, "mg")], "dose-not-positive"),
        ([quantity(-400, "mg")], "dose-not-positive"),
        ([quantity(400, "mg") | {"comparator": ">"}], "dose-range"),
        ([quantity(400, "mmol")], "dose-unit-unknown"),
        ([{"value": 1, "unit": "puff"}], "dose-unit-unknown"),
        ([{"value": 5, "unit": "mL"}], "strength-unknown"),
        ([quantity(400, "mg") | {"unit": "tablet"}], "dose-unit-conflict"),
        ([{"value": 400, "unit": "mg", "code": "TAB"}], "dose-unit-conflict"),
    ],
)
def test_a_doubtful_dose_is_a_question(
    quantities: list[dict[str, Any]], code: str, read: Read
) -> None:
    one = dosage() | {"doseAndRate": [{"doseQuantity": found} for found in quantities]}
    assert _problem(read, one) == code


@pytest.mark.parametrize(
    "found",
    [
        quantity(400_000, "ug"),
        {"value": 400, "unit": "milligram"},
        {"value": 400, "unit": "MG"},
        {"value": 400, "unit": "milligram(s)", "code": "mg", "system": "http://unitsofmeasure.org"},
        {"value": 1, "unit": "Tablet(s)"},
        {"value": 1, "unit": "tablet", "code": "{tbl}", "system": "http://unitsofmeasure.org"},
        {"value": 1, "code": "TAB"},
        {
            "value": 1,
            "unit": "film-coated tablet",
            "code": "732936001",
            "system": "http://snomed.info/sct",
        },
    ],
)
def test_the_usual_ways_of_writing_a_dose_are_read(found: dict[str, Any], read: Read) -> None:
    (regimen,) = _regimens(read, dosage() | {"doseAndRate": [{"doseQuantity": found}]})
    assert regimen.daily_mg == 400


def test_a_range_of_one_value_is_a_dose(read: Read) -> None:
    both = {"low": quantity(400, "mg"), "high": quantity(400, "mg")}
    (regimen,) = _regimens(read, dosage() | {"doseAndRate": [{"doseRange": both}]})
    assert regimen.daily_mg == 400


# --- timing ---


@pytest.mark.parametrize(
    ("repeat", "code"),
    [
        ({**_DAILY, "frequency": 2, "timeOfDay": ["08:00:00"]}, "timing-conflict"),
        ({**_DAILY, "period": 2, "timeOfDay": ["08:00:00"]}, "timing-conflict"),
        ({**_DAILY, "when": ["MORN", "EVE"]}, "timing-conflict"),
        ({"when": ["MORN", "CM"]}, "timing-unknown"),
        ({"when": ["C"]}, "timing-incomplete"),
        ({"when": ["IMD"]}, "timing-unknown"),
        ({"when": ["sometime"]}, "timing-unknown"),
        ({"periodUnit": "d"}, "timing-incomplete"),
        ({"frequency": 1, "period": 1, "periodUnit": "day"}, "timing-invalid"),
        ({"frequency": 1, "period": 0, "periodUnit": "d"}, "timing-invalid"),
        ({"frequency": 1, "period": -1, "periodUnit": "d"}, "timing-invalid"),
        ({"frequency": 5000, "period": 1, "periodUnit": "d"}, "timing-invalid"),
        ({**_DAILY, "dayOfWeek": ["monday"]}, "timing-invalid"),
        ({**_DAILY, "period": 3, "dayOfWeek": ["mon"]}, "timing-conflict"),
        ({**_WEEKLY, "frequency": 3, "dayOfWeek": ["mon"]}, "timing-conflict"),
        ({**_DAILY, "count": 5, "countMax": 10}, "timing-range"),
        ({**_DAILY, "boundsDuration": {"value": 14}}, "timing-incomplete"),
        ({**_DAILY, "boundsDuration": {"value": 14, "unit": "visits"}}, "timing-invalid"),
        ({"duration": 1, "durationUnit": "h"}, "timing-missing"),
    ],
)
def test_a_doubtful_timing_is_a_question(repeat: dict[str, Any], code: str, read: Read) -> None:
    assert _problem(read, dosage(400, **repeat)) == code


@pytest.mark.parametrize(
    ("repeat", "interval_h"),
    [
        ({"frequency": 3, "period": 24, "periodUnit": "h"}, 8),
        ({"frequency": 1, "period": 1440, "periodUnit": "min"}, 24),
        ({"frequency": 1, "frequencyMax": 1, "period": 1, "periodMax": 1, "periodUnit": "d"}, 24),
        ({"frequency": 1, "period": 1, "periodUnit": "wk"}, 168),
        ({"frequency": 3, "period": 1, "periodUnit": "d", "when": ["PC"]}, 8),
        ({"frequency": 2, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "thu"]}, None),
    ],
)
def test_equal_ways_of_saying_how_often(
    repeat: dict[str, Any], interval_h: float | None, read: Read
) -> None:
    (regimen,) = _regimens(read, dosage(400, **repeat))
    assert regimen.interval_h == interval_h


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ({"text": "per protocol"}, "timing-unknown"),
        ({"coding": [{"system": "urn:local", "code": "17"}]}, "timing-unknown"),
        ({"text": "daily", "coding": [{"code": "B", "display": "BID"}]}, "timing-conflict"),
    ],
)
def test_a_doubtful_timing_code_is_a_question(
    code: dict[str, Any], problem: str, read: Read
) -> None:
    assert _problem(read, dosage() | {"timing": {"code": code}}) == problem


@pytest.mark.parametrize(("code", "daily_mg"), [("QD", 400), ("BID", 800), ("Q12H", 800)])
def test_a_code_that_is_a_phrase_means_the_same_in_every_system(
    code: str, daily_mg: float, read: Read
) -> None:
    timing = {"code": {"coding": [{"system": "urn:local", "code": code}]}}
    (regimen,) = _regimens(read, dosage() | {"timing": timing})
    assert regimen.daily_mg == daily_mg


def test_an_unknown_code_beside_a_complete_structure_is_no_question(read: Read) -> None:
    timing = {"repeat": _DAILY, "code": {"text": "per protocol A"}}
    (regimen,) = _regimens(read, dosage() | {"timing": timing})
    assert regimen.daily_mg == 400


def test_an_unread_code_that_mentions_another_frequency_is_a_question(read: Read) -> None:
    timing = {"repeat": _DAILY, "code": {"text": "twice daily per protocol A"}}
    assert _problem(read, dosage() | {"timing": timing}) == "timing-conflict"


def test_single_dates_and_a_repeating_schedule_contradict(read: Read) -> None:
    timing = {"event": ["2024-02-01"], "repeat": _DAILY}
    assert _problem(read, dosage() | {"timing": timing}) == "timing-conflict"


def test_clock_times_are_kept_in_the_order_of_the_day(read: Read) -> None:
    (regimen,) = _regimens(read, dosage(400, timeOfDay=["20:00:00", "08:30:00"]))
    assert [dose.offset_h for dose in regimen.doses] == [8.5, 20]

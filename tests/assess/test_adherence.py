"""Coverage by supply: days on which a prescriber had paused the drug count for neither side."""

from __future__ import annotations

import pytest

from cds.assess.adherence import coverage, planned_pauses
from cds.assess.policy import Tables
from cds.assess.timeline import time_line
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus, Supply
from tests.assess.build import NOW, ago, order, record, taken

FILLS = tuple(
    Supply(ago(days=days), 30, 30, f"MedicationDispense/{days}")
    for days in (210, 180, 150, 120, 90, 40, 10)
)


def before_and_after(status: OrderStatus) -> tuple[DrugOrder, ...]:
    """One order that ended 61 days ago, and the next from 40 days ago."""
    first = order(400, since_days=210, status=status, stopped_days=61)
    return first, order(400, since_days=40, reference="MedicationRequest/2")


def percent(orders: tuple[DrugOrder, ...], tables: Tables) -> float:
    found = coverage(record(supplies=FILLS), time_line(orders), tables.adherence, NOW)
    assert found is not None
    return found.percent


def test_a_pause_that_a_prescriber_ordered_is_not_missed_doses(tables: Tables) -> None:
    assert percent(before_and_after(OrderStatus.STOPPED), tables) == pytest.approx(100, abs=0.5)


def test_an_order_that_merely_ran_out_excuses_no_gap(tables: Tables) -> None:
    assert percent(before_and_after(OrderStatus.COMPLETED), tables) < 80


def on_the_ward(*, was_taken: bool = True, last: int = 40) -> PatientRecord:
    """Packs for thirty days; none was fetched for twenty days in which a ward gave the drug."""
    given = (taken(days=days, was_taken=was_taken) for days in range(60, last, -1))
    return record(supplies=FILLS, taken=tuple(given))


def covered(patient: PatientRecord, tables: Tables) -> float:
    segments = time_line((order(400, since_days=210),))
    found = coverage(patient, segments, tables.adherence, NOW)
    assert found is not None
    return found.percent


def test_days_on_which_a_ward_gave_the_drug_are_not_missed_doses(tables: Tables) -> None:
    assert covered(on_the_ward(), tables) == pytest.approx(100, abs=0.5)


def test_doses_that_a_ward_did_not_give_excuse_no_gap(tables: Tables) -> None:
    assert covered(on_the_ward(was_taken=False), tables) < 80


def test_one_dose_given_before_a_sample_is_one_day(tables: Tables) -> None:
    assert covered(on_the_ward(last=59), tables) == pytest.approx(79, abs=1)


def test_a_change_of_dose_is_no_pause() -> None:
    first = order(400, since_days=200, status=OrderStatus.STOPPED, stopped_days=50)
    orders = (first, order(600, since_days=50, reference="MedicationRequest/2"))
    assert planned_pauses(time_line(orders), NOW) == ()


def test_two_strengths_stopped_together_make_one_pause() -> None:
    stopped = (
        order(400, since_days=200, status=OrderStatus.STOPPED, stopped_days=50),
        order(200, since_days=200, status=OrderStatus.STOPPED, stopped_days=50, reference="M/2"),
    )
    later = order(400, since_days=20, reference="M/3")
    ((start, end),) = planned_pauses(time_line((*stopped, later)), NOW)
    assert (NOW - start).days == 50
    assert (NOW - end).days == 20


def test_supply_at_hand_lasts_longer_by_the_pause(tables: Tables) -> None:
    """Sixty tablets, thirty days taken, twenty paused: after the restart thirty days are left."""
    first = order(400, since_days=70, status=OrderStatus.STOPPED, stopped_days=40)
    orders = (first, order(400, since_days=20, reference="MedicationRequest/2"))
    supplied = record(supplies=(Supply(ago(days=70), 60, 60, "MedicationDispense/1"),))
    found = coverage(supplied, time_line(orders), tables.adherence, NOW)
    assert found is not None
    assert (found.percent, found.late_days) == (pytest.approx(100), 0)


@pytest.mark.parametrize(
    ("packs", "expected"),
    [
        ([(30, 12000.0)], 100),
        ([(30, 3000.0)], 25),
        ([(30, None)], 100),
        ([(30, 36000.0)], 100),
        ([(30, 8000.0), (30, 4000.0)], 100),
    ],
    ids=[
        "as prescribed",
        "a quarter of it",
        "strength unknown",
        "more than stated",
        "two strengths",
    ],
)
def test_a_supply_lasts_no_longer_than_its_tablets(
    packs: list[tuple[float, float | None]], expected: float, tables: Tables
) -> None:
    supplies = tuple(
        Supply(ago(days=days), stated, None, f"MedicationDispense/{days}-{i}", mg)
        for days in (120, 90, 60, 30)
        for i, (stated, mg) in enumerate(packs)
    )
    orders = (order(400, since_days=200),)
    found = coverage(record(supplies=supplies), time_line(orders), tables.adherence, NOW)
    assert found is not None
    assert found.percent == pytest.approx(expected, abs=0.5)

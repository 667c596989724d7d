"""The sampling gate: the first gate that stops a level names the reason."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from cds.assess.assessment import Gate, GatedLevel
from cds.assess.course import read_therapy
from cds.assess.gate import gate_levels
from cds.assess.policy import Tables
from cds.clinical.level import Comparator, NoNumber, ResultStatus, TimingClaim
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus, PlannedDose, Regimen
from tests.assess.build import NOW, level, medicine, order, record, taken

TWICE_DAILY = Regimen((PlannedDose(0, 400), PlannedDose(12, 400)), 24.0)


def gate(patient: PatientRecord, tables: Tables) -> GatedLevel:
    return gates(patient, tables)[-1]


def gates(patient: PatientRecord, tables: Tables) -> tuple[GatedLevel, ...]:
    therapy = read_therapy(
        patient,
        indication=("cml", "cml"),
        usual_daily_mg=(300, 400, 600, 800),
        adult_from_years=18,
        now=NOW,
    )
    return gate_levels(patient, therapy, tables)


def on_400(**parts: object) -> PatientRecord:
    parts.setdefault("orders", (order(400),))
    return record(**parts)


@pytest.mark.parametrize("hours", [21.0, 24.0, 27.0])
def test_a_level_inside_the_window_is_the_trough(tables: Tables, hours: float) -> None:
    gated = gate(on_400(levels=(level(720, hours_post_dose=hours),)), tables)
    assert gated.gate is Gate.TROUGH
    assert (gated.trough_low_ng_ml, gated.trough_ng_ml, gated.trough_high_ng_ml) == (720,) * 3


def test_a_late_level_is_corrected_with_an_interval_from_slow_and_fast_elimination(
    tables: Tables,
) -> None:
    """800 ng/mL at 30 h: the worked example of the correction rule, 1023 (918 to 1218) ng/mL."""
    gated = gate(on_400(levels=(level(800, hours_post_dose=30),)), tables)
    assert gated.gate is Gate.CORRECTED
    assert gated.trough_ng_ml == pytest.approx(1023, abs=0.5)
    assert gated.trough_low_ng_ml == pytest.approx(918, abs=0.5)
    assert gated.trough_high_ng_ml == pytest.approx(1218, abs=0.5)


def test_an_early_level_is_corrected_downwards(tables: Tables) -> None:
    gated = gate(on_400(levels=(level(1000, hours_post_dose=18),)), tables)
    assert gated.trough_ng_ml == pytest.approx(1000 * math.exp(-0.041 * 6))
    assert gated.trough_high_ng_ml == pytest.approx(1000 * math.exp(-0.023 * 6))


@pytest.mark.parametrize("hours", [4.0, 14.9])
def test_a_level_soon_after_the_dose_is_never_a_trough(tables: Tables, hours: float) -> None:
    gated = gate(on_400(levels=(level(2100, hours_post_dose=hours),)), tables)
    assert gated.gate is Gate.TOO_EARLY
    assert gated.trough_ng_ml is None


def test_a_level_long_after_the_last_dose_means_a_dose_was_missed(tables: Tables) -> None:
    gated = gate(on_400(levels=(level(300, hours_post_dose=37),)), tables)
    assert gated.gate is Gate.INTERRUPTED


def test_twice_daily_dosing_has_a_twelve_hour_window(tables: Tables) -> None:
    patient = on_400(
        orders=(order(regimen=TWICE_DAILY),), levels=(level(1500, hours_post_dose=12),)
    )
    assert gate(patient, tables).gate is Gate.TROUGH


def test_an_unknown_time_is_said_and_never_assumed(tables: Tables) -> None:
    gated = gate(on_400(levels=(level(700, hours_post_dose=None),)), tables)
    assert gated.gate is Gate.TIME_UNKNOWN


def test_sources_that_disagree_on_the_time_stop_the_level(tables: Tables) -> None:
    claims = (TimingClaim(24, "administration"), TimingClaim(20, "comment"))
    gated = gate(on_400(levels=(level(700, claims=claims),)), tables)
    assert gated.gate is Gate.TIMING_CONFLICT
    assert "24.0 h (administration)" in gated.reason
    assert "20.0 h (comment)" in gated.reason


def test_sources_that_agree_within_the_tolerance_do_not(tables: Tables) -> None:
    claims = (TimingClaim(24, "administration"), TimingClaim(22.5, "comment"))
    gated = gate(on_400(levels=(level(700, claims=claims),)), tables)
    assert gated.gate is Gate.TROUGH
    assert gated.hours_post_dose == 24


def test_an_assumed_schedule_gives_way_to_a_documented_time(tables: Tables) -> None:
    claims = (TimingClaim(23, "comment"), TimingClaim(12, "schedule"))
    assert gate(on_400(levels=(level(700, claims=claims),)), tables).hours_post_dose == 23


def test_a_level_before_steady_state_is_not_compared(tables: Tables) -> None:
    patient = on_400(orders=(order(400, since_days=7.5),), levels=(level(640, days=2.0),))
    assert gate(patient, tables).gate is Gate.NOT_STEADY_STATE


@pytest.mark.parametrize(
    ("since", "words"), [(7.5, "5 days"), (4.5, "60 h"), (5.0, "3 days"), (2.1, "2 h")]
)
def test_the_time_since_a_change_is_said_in_days_and_below_three_in_hours(
    tables: Tables, since: float, words: str
) -> None:
    patient = on_400(orders=(order(400, since_days=since),), levels=(level(640, days=2.0),))
    assert gate(patient, tables).reason.startswith(f"sampled {words} after the dose")


def test_eight_days_on_the_dose_are_steady_state(tables: Tables) -> None:
    patient = on_400(orders=(order(400, since_days=10),), levels=(level(640, days=2.0),))
    assert gate(patient, tables).gate is Gate.TROUGH


def test_an_inducer_started_shortly_before_breaks_the_steady_state(tables: Tables) -> None:
    patient = on_400(levels=(level(640, days=2),), medicines=(medicine("rifampicin", days=6),))
    assert gate(patient, tables).gate is Gate.NOT_STEADY_STATE


def test_a_documented_omission_before_the_sample_interrupts(tables: Tables) -> None:
    patient = on_400(levels=(level(640, days=2),), taken=(taken(days=4, was_taken=False),))
    assert gate(patient, tables).gate is Gate.INTERRUPTED


def test_the_status_is_looked_at_before_anything_else(tables: Tables) -> None:
    patient = on_400(levels=(level(None, status=ResultStatus.PRELIMINARY, hours_post_dose=None),))
    assert gate(patient, tables).gate is Gate.PRELIMINARY


def test_the_unit_is_looked_at_before_the_time(tables: Tables) -> None:
    patient = on_400(levels=(level(None, hours_post_dose=None),))
    assert gate(patient, tables).gate is Gate.UNIT_UNREADABLE


def test_a_level_dated_in_the_future_is_not_compared(tables: Tables) -> None:
    patient = on_400(levels=(replace(level(700), dated_ahead=True),))
    assert gate(patient, tables).gate is Gate.DATED_AHEAD


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        (NoNumber.ZERO, Gate.ZERO),
        (NoNumber.NEGATIVE, Gate.NEGATIVE),
        (NoNumber.TEXT, Gate.WRITTEN_AS_TEXT),
        (NoNumber.UNIT, Gate.UNIT_UNREADABLE),
    ],
)
def test_a_level_that_is_no_number_says_what_it_is_instead(
    tables: Tables, why: NoNumber, expected: Gate
) -> None:
    patient = on_400(levels=(replace(level(None), no_number=why),))
    assert gate(patient, tables).gate is expected


@pytest.mark.parametrize(
    ("ng_ml", "expected"), [(9.9, Gate.IMPLAUSIBLY_SMALL), (10.0, Gate.TROUGH)]
)
def test_an_implausibly_small_level_is_not_used(
    tables: Tables, ng_ml: float, expected: Gate
) -> None:
    patient = on_400(levels=(level(ng_ml),))
    assert gate(patient, tables).gate is expected


def test_a_level_below_quantification_is_no_number(tables: Tables) -> None:
    patient = on_400(levels=(level(50, comparator=Comparator.LESS),))
    assert gate(patient, tables).gate is Gate.BELOW_QUANTIFICATION


@pytest.mark.parametrize(("ng_ml", "expected"), [(10_000, Gate.TROUGH), (10_001, Gate.IMPLAUSIBLE)])
def test_an_implausible_level_is_not_used(tables: Tables, ng_ml: float, expected: Gate) -> None:
    assert gate(on_400(levels=(level(ng_ml),)), tables).gate is expected


def test_without_a_known_regimen_a_level_has_no_meaning(tables: Tables) -> None:
    orders = (order(400), order(400, reference="MedicationRequest/2"))
    gated = gate(on_400(orders=orders, levels=(level(700),)), tables)
    assert gated.gate is Gate.REGIMEN_UNKNOWN
    assert "overlapped" in gated.reason


def test_an_order_stopped_before_the_sample_is_no_regimen(tables: Tables) -> None:
    stopped = order(400, status=OrderStatus.STOPPED, stopped_days=10)
    assert gate(on_400(orders=(stopped,), levels=(level(),)), tables).gate is Gate.REGIMEN_UNKNOWN


@pytest.mark.parametrize("specimen", ["dried-blood", "whole-blood", "other"])
def test_what_is_not_plasma_is_not_compared_with_plasma_targets(
    specimen: str, tables: Tables
) -> None:
    found = gate(on_400(levels=(level(700, specimen=specimen),)), tables)
    assert found.gate is Gate.NOT_PLASMA


@pytest.mark.parametrize("specimen", ["serum", "blood", None])
def test_serum_and_a_tube_of_blood_are_compared(specimen: str | None, tables: Tables) -> None:
    assert gate(on_400(levels=(level(700, specimen=specimen),)), tables).gate is Gate.TROUGH


def test_two_results_of_one_time_that_contradict_each_other_are_both_stopped(
    tables: Tables,
) -> None:
    pair = (level(640, reference="Observation/a"), level(1350, reference="Observation/b"))
    found = gates(on_400(levels=pair), tables)
    assert [g.gate for g in found] == [Gate.VALUES_CONFLICT] * 2
    assert [g.trough_ng_ml for g in found] == [None, None]
    assert "640 ng/mL" in found[1].reason


def test_two_results_of_one_time_within_the_scatter_of_an_assay_both_stand(tables: Tables) -> None:
    pair = (level(900, reference="Observation/a"), level(1000, reference="Observation/b"))
    found = gates(on_400(levels=pair), tables)
    assert [g.gate for g in found] == [Gate.TROUGH] * 2


def test_results_of_different_days_never_contradict_each_other(tables: Tables) -> None:
    pair = (level(640, days=30, reference="Observation/a"), level(1350, reference="Observation/b"))
    assert [g.gate for g in gates(on_400(levels=pair), tables)] == [Gate.TROUGH] * 2


def risen(gap_h: float, hours: float, ng_ml: float = 3200) -> PatientRecord:
    """A trough of 1100 ng/mL, and a sample after it."""
    first = level(1100, days=3, reference="Observation/first")
    second = level(ng_ml, days=3 - gap_h / 24, hours_post_dose=hours, reference="Observation/then")
    return on_400(levels=(first, second))


def test_a_level_that_rose_without_a_documented_dose_is_no_trough(tables: Tables) -> None:
    first, second = gates(risen(2, 26), tables)
    assert (first.gate, first.is_latest) == (Gate.TROUGH, True)
    assert (second.gate, second.trough_ng_ml) == (Gate.TIMING_CONFLICT, None)
    assert "1100 ng/mL 2 h before" in second.reason


@pytest.mark.parametrize(
    ("gap_h", "hours", "ng_ml"),
    [(2, 26, 1400), (24, 24, 3200), (24, 23.5, 3200), (2, 26, 900)],
    ids=["within the scatter", "a day later", "after another dose", "lower"],
)
def test_other_levels_after_a_trough_stand(
    gap_h: float, hours: float, ng_ml: float, tables: Tables
) -> None:
    second = gates(risen(gap_h, hours, ng_ml), tables)[1]
    assert (second.gate, second.is_latest) == (Gate.TROUGH, True)


def trough_and_peak(gap_h: float) -> PatientRecord:
    trough = level(700, days=3, reference="Observation/trough")
    peak = level(2100, days=3 - gap_h / 24, hours_post_dose=2, reference="Observation/peak")
    return on_400(levels=(trough, peak))


def test_of_trough_and_peak_of_one_morning_the_trough_speaks(tables: Tables) -> None:
    found = gates(trough_and_peak(2), tables)
    assert [(g.level.reference, g.is_latest) for g in found] == [
        ("Observation/trough", True),
        ("Observation/peak", False),
    ]


def test_a_peak_of_another_day_is_the_latest_level(tables: Tables) -> None:
    assert [g.is_latest for g in gates(trough_and_peak(26), tables)] == [False, True]

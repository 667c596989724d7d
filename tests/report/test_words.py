"""Numbers, regimens and times in the words of the ward."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cds.clinical.moment import Moment, Precision
from cds.report import words
from cds.report.words import THIN


@pytest.mark.parametrize(
    ("value", "decimals", "said"),
    [(720, 0, "720"), (1025.4, 0, f"1{THIN}025"), (-0.2, 0, "0"), (1e6, 0, f"1{THIN}000{THIN}000")],
)
def test_numbers_are_written_without_exponent_or_minus_zero(value, decimals, said):
    assert words.number(value, decimals) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "<1"), (0.99, "<1"), (54.2, "54"), (99.4, ">99"), (100.0, ">99")]
)
def test_a_percentage_never_claims_certainty(value, said):
    assert words.percent(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(1, "1st"), (2, "2nd"), (11, "11th"), (23, "23rd"), (0, "1st"), (100, "99th")],
)
def test_percentiles_are_ordinals_between_1_and_99(value, said):
    assert words.ordinal(value) == said


def test_a_day_is_not_given_a_clock_time():
    at = datetime(2026, 11, 18, tzinfo=UTC)
    assert words.moment(Moment(at, Precision.DAY), ZoneInfo("UTC")) == "18 Nov 2026"
    assert words.moment(Moment(at), ZoneInfo("UTC")) == "18 Nov 2026, 00:00"
    assert words.moment(None, ZoneInfo("UTC")) == "not on record"


def test_times_are_shown_in_the_zone_of_the_site():
    at = Moment(datetime(2026, 11, 18, 23, 30, tzinfo=UTC))
    assert words.moment(at, ZoneInfo("Europe/Zurich")) == "19 Nov 2026, 00:30"


def test_a_sentence_keeps_a_number_beside_its_unit():
    assert words.sentence(f"expected  683{THIN}ng/mL with 98 %") == (
        f"Expected 683{THIN}ng/mL with 98{THIN}%."
    )


@pytest.mark.parametrize(
    ("unit", "printed"), [("umol/L", "µmol/L"), ("ug/L", "µg/L"), ("U/L", "U/L"), ("1", "")]
)
def test_units_are_printed_as_a_laboratory_prints_them(unit: str, printed: str):
    assert words.lab_unit(unit) == printed

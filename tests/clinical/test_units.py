"""Unit conversion against two independent oracles, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.clinical.units import (
    _SPELLINGS,
    _UNITS,
    UnitError,
    canonical_unit,
    convert,
    dimension_of,
)

_ARBITRARY = {"[iU]/L", "k[iU]/L", "m[iU]/L", "m[iU]/mL", "u[iU]/mL", "U/L"}  # pint has no base
_ANNOTATED = {"mL/min/{1.73_m2}", "mL/s/{1.73_m2}", "/mm3", "Cel"}  # no factor in the oracle


@pytest.fixture(scope="module")
def oracle() -> Any:
    """Pint with UCUM codes: someone else's table and someone else's parser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        return PintUcumRegistry()


def _pairs() -> Iterator[tuple[str, str]]:
    for unit in sorted(set(_UNITS) - _ARBITRARY - _ANNOTATED):
        for other in sorted(set(_UNITS) - _ARBITRARY - _ANNOTATED):
            if dimension_of(unit) == dimension_of(other) and "kat" not in unit + other:
                yield unit, other


def test_every_factor_agrees_with_pint_and_ucumvert(oracle: Any) -> None:
    pairs = list(_pairs())
    assert len(pairs) > 250
    for unit, other in pairs:
        expected = (1.0 * oracle.from_ucum(unit)).to(oracle.from_ucum(other)).magnitude
        # A year and a month are 365.25 d in UCUM and 365.2425 d or 30 d elsewhere.
        assert convert(1, unit, other) == pytest.approx(float(expected), rel=1e-9), (unit, other)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1000, "ng/mL", 1000.0),
        (1000, "ug/L", 1000.0),
        (1, "mg/L", 1000.0),
        (1, "umol/L", 493.6),
        (Decimal("2.026"), "umol/L", 1000.0336),
    ],
)
def test_a_level_converts_exactly_into_ng_per_ml(value: float, unit: str, expected: float) -> None:
    assert convert(value, unit, "ng/mL", molar_mass=493.6) == expected


@pytest.mark.parametrize(
    ("value", "unit", "to_unit", "molar_mass", "expected"),
    [
        (1.0, "mg/dL", "umol/L", 584.66, 17.104),  # bilirubin
        (1.0, "mg/dL", "umol/L", 113.12, 88.402),  # creatinine
        (13.5, "g/dL", "g/L", None, 135.0),
        (1.2, "10*3/uL", "10*9/L", None, 1.2),
        (0.42, "10*5/uL", "10*9/L", None, 42.0),
        (1200, "/uL", "10*9/L", None, 1.2),
        (1, "ukat/L", "U/L", None, 60.0),
        (154, "[lb_av]", "kg", None, 69.853),
        (70, "[in_i]", "cm", None, 177.8),
        (3, "mo", "d", None, 91.3125),
    ],
)
def test_known_conversions(
    value: float, unit: str, to_unit: str, molar_mass: float | None, expected: float
) -> None:
    assert convert(value, unit, to_unit, molar_mass) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("µg/L", "ug/L"),
        ("μg/L", "ug/L"),
        ("mcg/L", "ug/L"),
        ("NG/ML", "ng/mL"),
        ("ng / ml", "ng/mL"),
        ("µmol/l", "umol/L"),
        ("x10^9/L", "10*9/L"),
        ("K/uL", "10*3/uL"),
        ("thou/mcL", "10*3/uL"),
        ("lakhs/cumm", "10*5/uL"),
        ("lakh/µL", "10*5/uL"),
        ("10^3/µL", "10*3/uL"),
        ("10E3/uL", "10*3/uL"),
        ("cells/uL", "/uL"),
        ("IU/L", "U/L"),
        ("mL/min/1.73m²", "mL/min/{1.73_m2}"),
        ("mL/min/{1.73_m2}", "mL/min/{1.73_m2}"),
        ("lbs", "[lb_av]"),
        ("mmHg", "mm[Hg]"),
        ("m²", "m2"),
        ("msec", "ms"),
    ],
)
def test_spellings_of_real_laboratories_are_understood(spelling: str, code: str) -> None:
    assert canonical_unit(spelling) == code


@pytest.mark.parametrize("unit", ["", "ng", "furlong", "mg/kg", "mEq/L", "ng/mL/h", "x" * 500, "ï"])
def test_another_unit_is_refused(unit: str) -> None:
    with pytest.raises(UnitError):
        convert(1, unit, "ng/mL")


@pytest.mark.parametrize(
    ("unit", "to_unit", "molar_mass"),
    [
        ("umol/L", "ng/mL", None),
        ("umol/L", "ng/mL", 0.0),
        ("mg", "mL", None),
        ("kg", "m2", 493.6),
        ("10*9/L", "g/L", 493.6),
        ("%", "mg/L", None),
    ],
)
def test_units_between_which_nothing_converts_are_refused(
    unit: str, to_unit: str, molar_mass: float | None
) -> None:
    with pytest.raises(UnitError, match="does not convert"):
        convert(1, unit, to_unit, molar_mass)


def test_no_two_accepted_units_differ_by_case_alone() -> None:
    assert len({code.lower() for code in _UNITS}) == len(_UNITS)
    assert set(_SPELLINGS.values()) == set(_UNITS)


@given(
    value=st.decimals(min_value="0.001", max_value="100000", places=3),
    unit=st.sampled_from(["ng/mL", "ug/L", "mg/L", "umol/L", "nmol/L", "ug/mL", "pg/mL"]),
    other=st.sampled_from(["ng/mL", "ug/L", "mg/L", "umol/L", "nmol/L", "ug/mL", "pg/mL"]),
)
def test_converting_there_and_back_returns_the_value(value: Decimal, unit: str, other: str) -> None:
    there = convert(value, unit, other, molar_mass=493.6)
    assert convert(there, other, unit, molar_mass=493.6) == pytest.approx(float(value), rel=1e-12)


@given(value=st.decimals(min_value="0.01", max_value="20000", places=2))
def test_the_same_level_in_another_mass_unit_is_the_same_number_to_the_bit(value: Decimal) -> None:
    in_ng_ml = convert(value, "ng/mL", "ng/mL")
    assert convert(value, "ug/L", "ng/mL") == in_ng_ml
    assert convert(value / 1000, "mg/L", "ng/mL") == in_ng_ml


@given(
    value=st.floats(-1e12, 1e12) | st.decimals("-1e9", "1e9", places=6) | st.integers(-9999, 9999),
    between=st.sampled_from([
        ("g/L", "g/dL", Fraction(1, 10)), ("g/dL", "g/L", Fraction(10)),
        ("umol/L", "ng/mL", Fraction("493.6")), ("ng/mL", "umol/L", 1 / Fraction("493.6")),
        ("mg/L", "ng/mL", Fraction(1000)), ("h", "d", Fraction(1, 24)),
    ]),
)  # fmt: skip
def test_a_conversion_is_rounded_once_however_the_number_came(
    value: float | Decimal, between: tuple[str, str, Fraction]
) -> None:
    unit, other, factor = between
    as_written = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    assert convert(value, unit, other, molar_mass=493.6) == float(as_written * factor)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("unit", ["g/L", "g/dL"])
def test_what_is_no_number_is_refused(value: float, unit: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        convert(value, unit, "g/L")

"""The UCUM units we accept, and exact conversion between them.

A small closed table instead of a units library: a unit that is not in it is refused, because a
laboratory value in a misread unit is worse than none. Factors are definitions (UCUM, SI), not
clinical content. Spellings are those seen in real laboratory exports.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Final

from msgspec import Struct


class UnitError(ValueError):
    """A unit that is not accepted, or two units between which nothing converts."""


class _Unit(Struct, frozen=True):
    dimension: str
    factor: Fraction
    """How many of the dimension's base unit one of this unit is."""


_MASS = "mass"  # g
_LENGTH = "length"  # m
_AREA = "area"  # m2
_VOLUME = "volume"  # L
_TIME = "time"  # s
_PROPORTION = "proportion"  # 1
_MASS_CONCENTRATION = "mass concentration"  # g/L
_AMOUNT_CONCENTRATION = "amount concentration"  # mol/L
_NUMBER_CONCENTRATION = "number concentration"  # /L
_ACTIVITY_CONCENTRATION = "activity concentration"  # U/L
_CHARGE_CONCENTRATION = "charge concentration"  # eq/L
_FLOW = "flow"  # mL/min
_INDEXED_FLOW = "flow per standard body surface"  # mL/min/{1.73_m2}
_PRESSURE = "pressure"  # mm[Hg]
_TEMPERATURE = "temperature"  # Cel
_MASS_RATIO = "mass per mass"  # g/g

_UNITS: Final = MappingProxyType(
    {
        code: _Unit(dimension, Fraction(factor))
        for dimension, factors in {
            _MASS: {"kg": "1000", "g": "1", "mg": "1/1000", "ug": "1/1000000"}
            | {"[lb_av]": "45359237/100000", "[oz_av]": "28349523125/1000000000"},
            _LENGTH: {"m": "1", "cm": "1/100", "mm": "1/1000", "[in_i]": "254/10000"},
            _AREA: {"m2": "1"},
            _VOLUME: {"L": "1", "dL": "1/10", "mL": "1/1000"},
            _TIME: {"ms": "1/1000", "s": "1", "min": "60", "h": "3600", "d": "86400"}
            | {"wk": "604800", "mo": "2629800", "a": "31557600"},
            _PROPORTION: {"1": "1", "%": "1/100"},
            _MASS_CONCENTRATION: {
                "g/L": "1",
                "g/dL": "10",
                "mg/L": "1/1000",
                "mg/dL": "1/100",
                "ug/L": "1/1000000",
                "ug/dL": "1/100000",
                "ug/mL": "1/1000",
                "ng/mL": "1/1000000",
                "ng/dL": "1/100000000",
                "ng/L": "1/1000000000",
                "pg/mL": "1/1000000000",
            },
            _AMOUNT_CONCENTRATION: {
                "mmol/L": "1/1000",
                "umol/L": "1/1000000",
                "nmol/L": "1/1000000000",
                "pmol/L": "1/1000000000000",
            },
            _NUMBER_CONCENTRATION: {
                "10*12/L": "1000000000000",
                "10*9/L": "1000000000",
                "10*6/L": "1000000",
                "10*5/uL": "100000000000",
                "10*6/uL": "1000000000000",
                "10*3/uL": "1000000000",
                "/uL": "1000000",
                "/mm3": "1000000",
            },
            # Laboratories write enzyme activities as U and as IU for the same assay; both are 1.
            _ACTIVITY_CONCENTRATION: {
                "U/L": "1",
                "[iU]/L": "1",
                "k[iU]/L": "1000",
                "m[iU]/L": "1/1000",
                "m[iU]/mL": "1",
                "u[iU]/mL": "1/1000",
                "mU/L": "1/1000",
                "uU/mL": "1/1000",
                "U/mL": "1000",
                "kU/L": "1000",
                "mkat/L": "60000",
                "ukat/L": "60",
                "nkat/L": "6/100",
            },
            # What a milliequivalent is in mmol depends on the ion: no factor leads out of it.
            _CHARGE_CONCENTRATION: {"meq/L": "1/1000"},
            _FLOW: {"mL/min": "1", "mL/s": "60", "L/h": "1000/60"},
            _INDEXED_FLOW: {"mL/min/{1.73_m2}": "1", "mL/s/{1.73_m2}": "60"},
            _PRESSURE: {"mm[Hg]": "1"},
            _TEMPERATURE: {"Cel": "1"},
            _MASS_RATIO: {"mg/g": "1/1000", "ug/mg": "1/1000", "g/g": "1"},
        }.items()
        for code, factor in factors.items()
    }
)

# Spelling as found -> UCUM code. Keys are compared after `_tidy`, which also lower-cases: no two
# accepted units differ by case alone.
_SPELLINGS: Final = MappingProxyType(
    {
        spelling: code
        for code, spellings in {
            "kg": "kgs kilogram kilograms",
            "g": "gm gram grams",
            "mg": "mgs milligram milligrams",
            "ug": "mcg microgram micrograms",
            "[lb_av]": "lb lbs pound pounds",
            "[oz_av]": "oz ounce ounces",
            "m": "meter metre meters metres",
            "cm": "centimeter centimetre centimeters centimetres",
            "[in_i]": "in inch inches",
            "m2": "m^2 m*2 sqm {m2}",
            "L": "liter litre",
            "mL": "milliliter millilitre milliliters millilitres cc",
            "ms": "msec msecs millisecond milliseconds",
            "s": "sec second seconds",
            "min": "mins minute minutes",
            "h": "hr hrs hour hours",
            "d": "day days",
            "wk": "week weeks",
            "mo": "month months mo_j",
            "a": "year years yr yrs a_j",
            "%": "percent pct {is} %{is} is% %[is] %(is) %is {bcr-abl1}% %{bcr-abl1}",
            "1": "{ratio} ratio {inr} {score} {fraction}",
            "ug/L": "mcg/l",
            "g/dL": "gm/dl gr/dl g% gm% gr% g/100ml gm/100ml",
            "mg/dL": "mg% mg/100ml",
            "ug/dL": "mcg/dl",
            "ug/mL": "mcg/ml",
            "mmol/L": "mm/l mmol/l{fe} mmol/l(fe)",
            "meq/L": "mval/l",
            "umol/L": "mcmol/l micromol/l",
            "10*12/L": "10^12/l x10^12/l 10e12/l x10e12/l x10*12/l t/l",
            "10*9/L": "10^9/l x10^9/l 10e9/l x10e9/l x10*9/l 10e+9/l 10*9/liter giga/l gpt/l "
            "x10(9)/l 10(9)/l 10x9/l x10x9/l /nl {cells}/nl mrd/l mrd./l 10**9/l x10**9/l "
            "10.e9/l e9/l zellen/nl",
            "10*6/L": "10^6/l x10^6/l 10e6/l",
            "10*6/uL": "10^6/ul x10^6/ul 10e6/ul x10e6/ul x10*6/ul m/ul mil/ul",
            "10*3/uL": "10^3/ul x10^3/ul 10e3/ul x10e3/ul x10*3/ul k/ul thou/ul th/ul k/mm3 k/cumm "
            "10*3/mm3 10^3/mm3 k/mcl thousand/ul thous/mcl "
            "thou/mcl thous/ul thousand/mcl thou/mm3 thousand/mm3 10^3/mcl"
            " x10(3)/mcl 10*3/mcl "
            "x10^3/mm3 x10*3/mm3 10x3/ul x10x3/ul tsd/ul tsd./ul tys/ul tys./ul 1000/ul miles/mm3 "
            "miles/ul 10**3/ul x10**3/ul 10.e3/ul 10(3)/ul x10(3)/ul",
            # One lakh is a hundred thousand: platelets in South Asia.
            "10*5/uL": "lakh/ul lakhs/ul lakh/mcl lakhs/mcl lakh/mm3 lakhs/mm3 lakh/cumm "
            "lakhs/cumm lac/cumm lacs/cumm lac/ul lacs/ul",
            "/uL": "cells/ul cells/mcl /mcl {cells}/ul cell/ul zellen/ul cellules/ul",
            "/mm3": "cells/mm3 /cumm cells/cumm cellules/mm3",
            "U/L": "iu/l units/l unit/l u/liter ui/l ie/l e/l",
            "[iU]/L": "",
            "m[iU]/L": "miu/l mui/l mie/l me/l",
            "m[iU]/mL": "miu/ml mu/ml mui/ml",
            "u[iU]/mL": "uiu/ml mciu/ml uui/ml uie/ml",
            "ukat/L": "mckat/l microkat/l",
            "mL/min": "ml/minute",
            "mL/min/{1.73_m2}": "ml/min/1.73m2 ml/min/1.73 ml/min/1.73m^2 ml/min/{1.73m2} "
            "ml/min/1.73_m2 ml/min/bsa ml/min/{bsa} ml/min/(1.73m2) ml/min/1.73sqm ml/min/{1.73} "
            "ml/min/1,73m2 ml/min/1,73 ml/min/1,73_m2 ml/min/1.73qm ml/min/1,73qm ml/min/1.73m2kof "
            "ml/min/1,73m2kof ml/min/1.73^2",
            "mL/s/{1.73_m2}": "ml/s/1.73m2 ml/s/1,73m2",
            "mm[Hg]": "mmhg",
            "Cel": "c degc {degc} celsius",
            "mg/g": "mg/g{creat} mg/gcreat mg/g_creat",
        }.items()
        for spelling in spellings.split()
    }
    | {code.lower(): code for code in _UNITS}
)


def canonical_unit(unit: str) -> str:
    """The UCUM code for a unit as written.

    Raises UnitError for a unit outside the table.
    """
    if unit in _UNITS:
        return unit
    try:
        return _SPELLINGS[_tidy(unit)]
    except KeyError:
        raise UnitError(f"unit {unit[:40]!r} is not one this service reads") from None


def dimension_of(unit: str) -> str:
    """What a unit measures (`mass`, `mass concentration`, ...).

    Raises UnitError for a unit outside the table.
    """
    return _UNITS[canonical_unit(unit)].dimension


def convert(
    value: Decimal | Fraction | float,
    unit: str,
    to_unit: str,
    molar_mass: float | None = None,
) -> float:
    """`value` in `unit` expressed in `to_unit`, exact until the final rounding to a float.

    `molar_mass` in g/mol lets mass and amount concentrations convert into each other.
    Raises UnitError when a unit is not accepted or the dimensions do not fit.
    """
    if unit == to_unit and unit in _UNITS and isfinite(same := float(value)):
        return same  # rounded once, as below
    top, bottom = _ratio(value)
    factor = _factor(unit, to_unit, molar_mass)
    return top * factor.numerator / (bottom * factor.denominator)


@lru_cache(maxsize=1024)
def _factor(unit: str, to_unit: str, molar_mass: float | None) -> Fraction:
    source = _UNITS[canonical_unit(unit)]
    target = _UNITS[canonical_unit(to_unit)]
    factor = source.factor / target.factor
    if source.dimension != target.dimension:
        factor *= _molar_factor(source.dimension, target.dimension, molar_mass, unit, to_unit)
    return factor


def _molar_factor(
    source: str, target: str, molar_mass: float | None, unit: str, to_unit: str
) -> Fraction:
    if molar_mass is not None and molar_mass > 0:
        if (source, target) == (_AMOUNT_CONCENTRATION, _MASS_CONCENTRATION):
            return Fraction(*_ratio(molar_mass))
        if (source, target) == (_MASS_CONCENTRATION, _AMOUNT_CONCENTRATION):
            return 1 / Fraction(*_ratio(molar_mass))
    raise UnitError(f"{unit!r} ({source}) does not convert to {to_unit!r} ({target})")


def _ratio(value: Decimal | Fraction | float) -> tuple[int, int]:
    """The number as written: 493.6 means 4936/10, not the nearest binary fraction."""
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value} is not a number")
        value = Decimal(repr(value))
    return value.as_integer_ratio()


def _tidy(unit: str) -> str:
    """Spelling without spaces and typographic variants, in lower case."""
    squeezed = "".join(unit.split())
    for found, plain in (
        ("10³", "10^3"),
        ("µ", "u"),
        ("μ", "u"),
        ("²", "2"),
        ("³", "3"),
        ("×", "x"),
        ("⁹", "^9"),
    ):
        squeezed = squeezed.replace(found, plain)
    return squeezed.lower()

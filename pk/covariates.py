"""Covariates: the words a case may use, and the closed set of effects a model file may name.

An effect is data. It either adds to the typical value (shift, category-shift, step-shift) or
multiplies it (power, linear, hinge, category, step, decay); additions come first, as in the papers.
A model file can therefore not run code, and every formula can be printed.
"""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from ruamel.yaml import YAML

from pk.errors import CaseError, ModelFileError

MODELS: Final = Path(__file__).parent / "models"

#: Days since treatment began. Not a covariate of the patient: the library knows it from the doses.
TREATMENT_DAYS: Final = "treatment_days"

CovariateValue = float | str


class Word(Struct, frozen=True):
    """One covariate of the vocabulary: a number with a unit, or one of some categories."""

    name: str
    unit: str | None
    possible: tuple[float, float] | None
    categories: tuple[str, ...]

    def check(self, value: object) -> CovariateValue:
        """Return the value in its plain type, or say what is wrong with it."""
        field = f"covariates.{self.name}"
        if self.possible is None:
            if value not in self.categories:
                raise CaseError(field, f"{value!r} is not one of {', '.join(self.categories)}")
            return str(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise CaseError(field, f"{value!r} is not a number")
        low, high = self.possible
        if not low <= value <= high:  # also refuses NaN
            raise CaseError(field, f"{value} {self.unit} is not possible ({low:g} to {high:g})")
        return float(value)


@cache
def vocabulary() -> Mapping[str, Word]:
    """Return every covariate a case may carry."""
    raw = YAML(typ="safe").load(MODELS / "_covariates.yaml")
    return {
        name: Word(
            name,
            entry.get("unit"),
            (float(entry["possible"][0]), float(entry["possible"][1]))
            if entry["kind"] == "number"
            else None,
            tuple(entry.get("values", ())),
        )
        for name, entry in raw.items()
    }


class Effect(Struct, frozen=True):
    """How one covariate changes one typical value.

    `number` holds the coefficients of numeric effects, `table` those of categorical ones;
    `otherwise` is the value for a category outside the table (absent: the model cannot say).
    """

    kind: str
    covariate: str
    number: Mapping[str, float]
    table: Mapping[str, float]
    otherwise: float | None

    @property
    def adds(self) -> bool:
        return self.kind in ("shift", "category-shift", "step-shift")

    def value(self, x: CovariateValue) -> float:
        """Evaluate the effect: the amount to add, or the factor to multiply by."""
        if isinstance(x, str):
            found = self.table.get(x, self.otherwise)
            if found is None:
                raise CaseError(f"covariates.{self.covariate}", f"the model does not know {x!r}")
            return found
        return float(_NUMERIC[self.kind][1](self.number, x))


def _power(n: Mapping[str, float], x: float) -> float:
    return float((min(x, n.get("cap", math.inf)) / n["reference"]) ** n["exponent"])


def _hinge(n: Mapping[str, float], x: float) -> float:
    return 1.0 + (x - n["knot"]) * (n["below"] if x < n["knot"] else n["above"])


def _decay(n: Mapping[str, float], x: float) -> float:
    return 1.0 + n["amplitude"] * math.exp(-n["rate"] * x)


# kind -> (coefficients it needs, evaluation)
_NUMERIC: Final[Mapping[str, tuple[frozenset[str], Any]]] = {
    "shift": (
        frozenset({"slope", "reference", "scale"}),
        lambda n, x: n["slope"] * (x - n["reference"]) / n["scale"],
    ),
    "step-shift": (
        frozenset({"threshold", "amount"}),
        lambda n, x: n["amount"] if x >= n["threshold"] else 0.0,
    ),
    "power": (frozenset({"reference", "exponent"}), _power),
    "linear": (
        frozenset({"slope", "reference"}),
        lambda n, x: 1.0 + n["slope"] * (x - n["reference"]),
    ),
    "hinge": (frozenset({"knot", "below", "above"}), _hinge),
    "step": (
        frozenset({"threshold", "factor"}),
        lambda n, x: n["factor"] if x > n["threshold"] else 1.0,
    ),
    "step-from": (
        frozenset({"threshold", "factor"}),
        lambda n, x: n["factor"] if x >= n["threshold"] else 1.0,
    ),
    "decay": (frozenset({"amplitude", "rate"}), _decay),
}
_CATEGORICAL: Final = frozenset({"category", "category-shift"})


def read_effect(raw: Mapping[str, Any], where: str) -> Effect:
    """Build an effect from its entry in a model file; unknown words are errors."""
    kind, covariate = str(raw.get("effect")), str(raw.get("covariate"))
    if covariate != TREATMENT_DAYS and covariate not in vocabulary():
        raise ModelFileError(where, f"unknown covariate {covariate!r}")
    given = set(raw) - {"effect", "covariate"}
    if kind in _CATEGORICAL:
        if given - {"values", "otherwise"} or "values" not in given:
            raise ModelFileError(where, f"effect {kind} takes `values` and `otherwise`")
        table = {str(k): float(v) for k, v in raw["values"].items()}
        otherwise = None if raw.get("otherwise") is None else float(raw["otherwise"])
        return Effect(kind, covariate, {}, table, otherwise)
    if kind not in _NUMERIC:
        raise ModelFileError(where, f"unknown effect {kind!r}")
    needs = _NUMERIC[kind][0]
    if given - {"cap"} != needs:
        raise ModelFileError(where, f"effect {kind} takes {', '.join(sorted(needs))}")
    number = {k: float(raw[k]) for k in given}
    if not all(math.isfinite(x) for x in number.values()):
        raise ModelFileError(where, "a coefficient is not a finite number")
    return Effect(kind, covariate, number, {}, None)

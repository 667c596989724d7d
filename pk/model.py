"""Published population models as data: read, check, digest.

One YAML file holds one model: structure by name, typical values with their covariate effects,
between-patient variability, residual error, the population it came from, and for every number its
source and status (primary, secondary: read in a later table, conflict: sources disagree).
"""

from collections.abc import Mapping
from functools import cache
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.covariates import MODELS, TREATMENT_DAYS, CovariateValue, Effect
from pk.errors import UnknownModelError
from pk.residual import Residual
from pk.structure import Structure

Status = Literal["primary", "secondary", "conflict"]
WhenMissing = Literal["required", "impute", "ignore"]

STATUSES: Final = ("primary", "secondary", "conflict")


class Parameter(Struct, frozen=True):
    """A typical value: `value` in `unit`, changed by `effects`."""

    name: str
    value: float
    unit: str
    source: str
    status: Status
    effects: tuple[Effect, ...]


class Contract(Struct, frozen=True):
    """What the model asks of one covariate, and which values its population covered.

    Outside `hard` the model must not be used; outside `soft` it extrapolates. For categories the
    limits are lists of words.
    """

    name: str
    when_missing: WhenMissing
    impute: CovariateValue | None
    hard: tuple[CovariateValue, ...]
    soft: tuple[CovariateValue, ...]
    source: str


class Population(Struct, frozen=True):
    """Who the model was built on."""

    description: str
    patients: int
    levels: int | None
    indications: tuple[str, ...]


class PopulationModel(Struct, frozen=True, eq=False):
    """A published population model.

    log(theta) = log(typical) + loads @ eta with eta ~ N(0, omega); `loads` has one row per
    structural parameter and one column per random effect. `occasion_omega` is the variance of the
    between-occasion effects, which act through `occasion_loads` in the same way. `statuses` and
    `cited` give status and source of each number by its place in the file.
    """

    id: str
    title: str
    drug: str
    citation: str
    doi: str | None
    pmid: str | None
    verified: bool
    population: Population
    sources: Mapping[str, str]
    notes: tuple[str, ...]
    structure: Structure
    domain: Mapping[str, Contract]
    parameters: tuple[Parameter, ...]
    effects: tuple[str, ...]
    loads: NDArray[np.float64]
    omega: NDArray[np.float64]
    occasion_effects: tuple[str, ...]
    occasion_loads: NDArray[np.float64]
    occasion_omega: NDArray[np.float64]
    residual: Mapping[str, Residual]
    statuses: Mapping[str, Status]
    cited: Mapping[str, str]
    digest: str

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Names of the numbers on which published sources disagree."""
        return tuple(name for name, status in self.statuses.items() if status == "conflict")

    @property
    def needs_treatment_days(self) -> bool:
        """True if a typical value changes with the time on treatment."""
        return any(e.covariate == TREATMENT_DAYS for p in self.parameters for e in p.effects)

    def __repr__(self) -> str:
        return f"PopulationModel({self.id!r}, digest={self.digest[:12]!r})"


def list_models() -> tuple[str, ...]:
    """Return the names of all shipped models, `author-year`, in alphabetical order."""
    return tuple(sorted(p.stem for p in MODELS.glob("*.yaml") if not p.stem.startswith("_")))


@cache
def load_model(name: str) -> PopulationModel:
    """Load a shipped model by name, for example `widmer-2006`.

    Raises UnknownModelError if there is none of that name, ModelFileError if the file is malformed.
    """
    from pk.model_file import read_model

    if name not in list_models():
        raise UnknownModelError("model", f"{name!r} is not one of {', '.join(list_models())}")
    return read_model((MODELS / f"{name}.yaml").read_text(encoding="utf-8"), name)

"""One patient under one model: typical parameters, imputed covariates, and the domain check."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Case, Piecewise
from pk.covariates import TREATMENT_DAYS, CovariateValue, vocabulary
from pk.errors import MissingCovariateError, OutOfDomainError
from pk.model import Contract, PopulationModel

Array = NDArray[np.float64]


class DomainCheck(Struct, frozen=True):
    """How the patient compares with the population the model was built on.

    `hard`: the model must not be used; `soft`: it extrapolates. Empty means inside.
    """

    hard: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.hard

    @property
    def inside(self) -> bool:
        return not self.hard and not self.soft


class Individual(Struct, frozen=True, eq=False):
    """A case prepared for a model.

    `typical` (P,): structural parameters of the average patient with these covariates, in the long
    run. `imputed`: values used for covariates the case does not give.
    """

    case: Case
    model: PopulationModel
    typical: Array
    imputed: Mapping[str, CovariateValue]
    domain: DomainCheck

    @property
    def varying(self) -> bool:
        """True if parameters change over the history, so that plain superposition is wrong."""
        return (
            any(not e.constant for e in self.case.clearance_effects)
            or any(
                isinstance(self.case.covariates.get(name), Piecewise) for name in self.model.domain
            )
            or (self.model.needs_treatment_days and math.isfinite(treatment_start_h(self.case)))
            or (bool(self.model.occasion_effects) and len(self.case.occasions_h) > 1)
        )

    def typical_at(self, time_h: float) -> Array:
        """Typical parameters (P,) in force at one time, interacting medicines included."""
        return self.typical_over(time_h, time_h)

    def typical_over(self, start_h: float, end_h: float) -> Array:
        """Typical parameters (P,) of a short stretch: clearance averaged, the rest midway."""
        middle = 0.5 * (start_h + end_h) if end_h > start_h else start_h
        began = treatment_start_h(self.case)
        days = math.inf if math.isinf(began) else max((middle - began) / 24.0, 0.0)
        theta = _typical(self.case, self.model, self.imputed, middle, days)
        clearance = self.model.structure.parameters.index("CL")
        for partner in self.case.clearance_effects:
            theta[clearance] *= partner.mean_factor(start_h, end_h)
        return theta


def individual(case: Case, model: PopulationModel) -> Individual:
    """Evaluate the model's covariate formulas for a case.

    Raises MissingCovariateError if a required covariate is absent and OutOfDomainError if the
    formulas leave the range of possible parameters.
    """
    imputed: dict[str, CovariateValue] = {}
    hard: list[str] = []
    soft: list[str] = []
    for name, contract in model.domain.items():
        value = case.covariates.get(name)
        if value is None:
            if contract.when_missing == "required":
                raise MissingCovariateError(f"covariates.{name}", f"{model.id} needs it")
            if contract.impute is not None:
                imputed[name] = contract.impute
            continue
        for part in value.values if isinstance(value, Piecewise) else (value,):
            _compare(contract, part, hard, soft)
    typical = _typical(case, model, imputed, math.inf, math.inf)
    clearance = model.structure.parameters.index("CL")
    for partner in case.clearance_effects:
        typical[clearance] *= partner.lasting_factor
    return Individual(
        case,
        model,
        typical,
        MappingProxyType(imputed),
        DomainCheck(tuple(dict.fromkeys(hard)), tuple(dict.fromkeys(soft))),
    )


def treatment_start_h(case: Case) -> float:
    """When the drug was first taken: as stated, or the first dose of the history."""
    if case.treatment_start_h is not None:
        return case.treatment_start_h
    return case.history.first_h


def _typical(
    case: Case,
    model: PopulationModel,
    imputed: Mapping[str, CovariateValue],
    time_h: float,
    days: float,
) -> Array:
    theta = np.empty(len(model.parameters))
    for i, parameter in enumerate(model.parameters):
        total, factor = parameter.value, 1.0
        for effect in parameter.effects:
            if effect.covariate == TREATMENT_DAYS:
                x: CovariateValue = days
            else:
                given = case.covariates.get(effect.covariate)
                if isinstance(given, Piecewise):
                    given = given.at(time_h)
                x = imputed[effect.covariate] if given is None else given
            if effect.adds:
                total += effect.value(x)
            else:
                factor *= effect.value(x)
        theta[i] = total * factor
        if not theta[i] > 0.0:
            raise OutOfDomainError(
                f"parameters.{parameter.name}", f"{model.id} gives {theta[i]:.3g} {parameter.unit}"
            )
    return theta


def _compare(contract: Contract, value: CovariateValue, hard: list[str], soft: list[str]) -> None:
    for limits, found, why in (
        (contract.hard, hard, "outside the range of the model"),
        (contract.soft, soft, "outside the population studied"),
    ):
        if not limits:
            continue
        if isinstance(value, str):
            if value not in limits:
                found.append(f"{contract.name} {value} is {why} ({', '.join(map(str, limits))})")
                return
            continue
        low, high = float(limits[0]), float(limits[1])
        if not low <= value <= high:
            unit = vocabulary()[contract.name].unit
            found.append(f"{contract.name} {value:g} {unit} is {why} ({low:g} to {high:g})")
            return

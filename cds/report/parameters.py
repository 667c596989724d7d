"""How the levels moved the patient away from the population, and what other models would say."""

from __future__ import annotations

from msgspec import Struct

from cds.assess.assessment import Exposure
from cds.report import words
from cds.report.curves import Population, population_of

_NAMES = {
    "CL": ("Clearance", "L/h"),
    "V": ("Volume of distribution", "L"),
    "ka": ("Absorption rate", "1/h"),
    "Q": ("Distribution clearance", "L/h"),
    "V2": ("Peripheral volume", "L"),
    "tlag": ("Absorption lag", "h"),
    "D1": ("Duration of absorption", "h"),
}
_INTERVAL = (0.05, 0.5, 0.95)


class Spread(Struct, frozen=True):
    """A parameter as the middle and the ends of its 90 % interval."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        low, high = words.short(self.low), words.short(self.high)
        return words.short(self.middle) + (f" ({low} to {high})" if low != high else "")


class Shift(Struct, frozen=True):
    """One parameter in the population and in this patient."""

    name: str
    unit: str
    prior: Spread
    posterior: Spread

    @property
    def change_percent(self) -> float:
        """How far the patient's value lies from the population's."""
        return 100.0 * (self.posterior.middle / self.prior.middle - 1.0)

    @property
    def span(self) -> tuple[float, float]:
        """The axis that holds both intervals."""
        top = max(self.prior.high, self.posterior.high)
        return 0.0, top

    def place(self, value: float) -> float:
        """Where a value lies on that axis, 0 to 100."""
        low, high = self.span
        return 100.0 * (value - low) / (high - low) if high > low else 0.0


class ModelRow(Struct, frozen=True):
    """One published model: its weight and the trough it expects on the current dose."""

    id: str
    weight_percent: float
    trough: str
    quoted: bool


def shifts(exposure: Exposure) -> tuple[Shift, ...]:
    """Return the parameters that vary between patients, before and after the levels."""
    posterior = exposure.posterior
    if posterior is None or not exposure.state.quantitative:
        return ()
    prior = population_of(posterior)
    found = []
    for name in posterior.model.structure.parameters:
        before, after = _spread(prior, name), _spread(posterior, name)
        if before.low == before.high:
            continue
        label, unit = _NAMES.get(name, (name, ""))
        found.append(Shift(label, unit, before, after))
    return tuple(found)


def models(exposure: Exposure) -> tuple[ModelRow, ...]:
    """Return the models that accept this patient; the first of the policy is the one quoted."""
    troughs = exposure.model_troughs_ng_ml
    return tuple(
        ModelRow(
            id=name,
            weight_percent=100.0 * weight,
            trough=words.concentration(troughs[name]) if name in troughs else "no current dose",
            quoted=name == exposure.model_id,
        )
        for name, weight in exposure.model_weights.items()
    )


def _spread(posterior: Population, name: str) -> Spread:
    return Spread(*posterior.parameter_quantiles(name, _INTERVAL).tolist())

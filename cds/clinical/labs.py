"""Laboratory results and body measurements, keyed by what they mean."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from cds.clinical.level import Comparator, ResultStatus
from cds.clinical.moment import Moment

_PAST_A_BOUND = 1e-4  # the least that facts can tell apart


class Lab(Struct, frozen=True):
    """One result in the canonical unit of its key (see `rules/terminology/labs.yaml`).

    `value` is numeric; `coded` a key for results such as `positive` or `pregnant`. `upper_limit` is
    the laboratory's upper limit of normal in the same unit, when the result carried one.
    """

    key: str
    unit: str
    value: float | None
    at: Moment
    reference: str
    status: ResultStatus = ResultStatus.FINAL
    comparator: Comparator | None = None
    coded: str | None = None
    upper_limit: float | None = None

    @property
    def multiple_of_upper_limit(self) -> float | None:
        """Value divided by the upper limit of normal, when both are known."""
        if self.value is None or not self.upper_limit or self.upper_limit <= 0:
            return None
        return _beyond(self.value / self.upper_limit, self.comparator)

    def past_its_bound(self) -> Lab:
        """The result as it is compared: `>10` is above 10 and never equal to it.

        Otherwise a transcript of `>10 %` would pass a limit of 10 % that it exceeds.
        """
        if self.value is None or self.comparator is None:
            return self
        return replace(self, value=_beyond(self.value, self.comparator))


def _beyond(value: float, comparator: Comparator | None) -> float:
    if comparator is Comparator.GREATER:
        return value + _PAST_A_BOUND
    if comparator is Comparator.LESS:
        return max(value - _PAST_A_BOUND, 0.0)
    return value

"""Laboratory results and body measurements, keyed by what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from cds.clinical.level import Comparator, ResultStatus
from cds.clinical.moment import Moment


@dataclass(frozen=True, slots=True)
class Lab:
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
        return self.value / self.upper_limit

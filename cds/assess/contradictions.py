"""Results of one moment that contradict each other: two tubes, two methods or a slip.

The reader puts the graver one last, so that it counts; here it is said, because a person must find
out which of them is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cds.assess.policy import Tables
from cds.clinical.labs import Lab
from cds.clinical.level import ResultStatus
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.terminology import Terminology


def contradicting_results(
    record: PatientRecord, terminology: Terminology, tables: Tables, now: datetime
) -> Iterator[Problem]:
    """One problem for each result whose latest values, of one moment, lie too far apart."""
    currency = tables.monitoring["currency_days"]
    differs = float(tables.sampling["same_sample_differs_percent"])
    for key, definition in terminology.labs_by_key.items():
        series = record.labs_of(key)
        if len(series) < 2 or series[-2].at.at != series[-1].at.at:
            continue
        age = (now - series[-1].at.at).total_seconds() / 86400.0
        if age > float(currency.get(key, currency["default"])):
            continue
        values = _values(series)
        if len(values) < 2 or values[-1] <= values[0] * (1.0 + differs / 100.0):
            continue
        shown = " and ".join(f"{value:g}" for value in values)
        yield Problem(
            "lab-values-contradict",
            f"{definition.name or key}: {shown} {definition.unit} at one time; the graver counts "
            "until it is known which is true.",
            Impact.LIMITS,
            series[-1].reference,
        )


def _values(series: Sequence[Lab]) -> list[float]:
    """The numbers of the latest moment, ascending; a preliminary one gives way to a final one."""
    latest = [lab for lab in series if lab.at.at == series[-1].at.at and lab.value is not None]
    final = [lab for lab in latest if lab.status is not ResultStatus.PRELIMINARY]
    return sorted({lab.value for lab in final or latest if lab.value is not None})

"""A cohort on paper: a table with one line for each patient, and the sums."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from msgspec import to_builtins

from cds.cohort.row import LOST, NOT_ON_DRUG, Row, Said
from cds.report.export import safe_cell

_LIKELY = 50.0
"""Percent from which a trough is counted on a side of the target."""
_ORDER = ("critical", "warning", "info")


@dataclass(slots=True)
class Sums:
    """What the rows add up to."""

    patients: int = 0
    states: Counter[str] = field(default_factory=Counter)
    sides: Counter[str] = field(default_factory=Counter)
    """Patients with a fitted or population trough: likely below, in or above their target."""
    urgency: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(indicator, rule) -> patients."""
    problems: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count one patient."""
        self.patients += 1
        self.states[row.state] += 1
        if row.state == LOST:
            self.lost[row.reason] += 1
        if row.state in (LOST, NOT_ON_DRUG):
            return
        self.urgency[row.indicator or "silent"] += 1
        self.rules.update({(said.indicator, said.rule) for said in row.said})
        self.problems.update(row.problems)
        for side, percent in (
            ("below", row.percent_below), ("in", row.percent_in), ("above", row.percent_above),
        ):  # fmt: skip
            if percent is not None and percent > _LIKELY:
                self.sides[side] += 1


def csv_lines(out: IO[str]) -> Callable[[Row], object]:
    """Write the head of a table; return what adds a row. Lists stand in one cell."""
    writer = csv.writer(out)
    names = Row.__struct_fields__
    writer.writerow(names)
    return lambda row: writer.writerow([safe_cell(_cell(getattr(row, name))) for name in names])


def json_lines(out: IO[str]) -> Callable[[Row], object]:
    """Return what adds a row as one JSON object."""

    def write(row: Row) -> None:
        out.write(
            json.dumps(
                to_builtins(row, builtin_types=(datetime,)),
                ensure_ascii=False,
                default=datetime.isoformat,
            )
            + "\n"
        )

    return write


FORMATS = {".csv": csv_lines, ".ndjson": json_lines}
"""Ending of a file's name -> how rows are written to it."""


def _cell(value: Any) -> float | str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return " ".join(item.rule if isinstance(item, Said) else str(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def summary(sums: Sums, drug: str) -> list[str]:
    """The sums in lines for a person."""
    on_drug = sums.patients - sums.states[NOT_ON_DRUG] - sums.states[LOST]
    lines = [f"{sums.patients:7d} patients", f"{on_drug:7d} with {drug} in their record"]
    lines += [f"{n:7d} could not be assessed: {why}" for why, n in _most_first(sums.lost)]
    states = {k: n for k, n in sums.states.items() if k not in (NOT_ON_DRUG, LOST)}
    if states:
        lines += ["", "what the model can say"]
        lines += [f"{n:7d} {state}" for state, n in _most_first(states)]
    if sums.sides:
        lines += ["", "expected trough on the dose being taken, more likely than not"]
        named = {"below": "below the target", "in": "in the target", "above": "above the target"}
        lines += [f"{sums.sides[side]:7d} {words}" for side, words in named.items()]
    if sums.urgency:
        lines += ["", "most urgent finding"]
        known = (*_ORDER, "silent")
        lines += [f"{sums.urgency[word]:7d} {word}" for word in known if sums.urgency[word]]
    if sums.rules:
        lines += ["", "patients for whom a rule speaks"]
        ordered = sorted(
            sums.rules.items(), key=lambda item: (_ORDER.index(item[0][0]), -item[1], item[0][1])
        )
        lines += [f"{n:7d} {indicator:<9} {rule}" for (indicator, rule), n in ordered]
    if sums.problems:
        lines += ["", "patients with something that could not be read or used"]
        lines += [f"{n:7d} {code}" for code, n in _most_first(sums.problems)]
    return lines


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

"""Interacting medicines as effects on clearance over time.

Only rows with a measured ratio of clearance become an effect; a strong or moderate inducer without
one makes the model blind until a level has been measured under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pk
from cds.assess.assessment import GatedLevel
from cds.assess.policy import Table
from cds.clinical.medication import Medicine, UseState
from cds.clinical.record import PatientRecord

_HOURS_PER_DAY = 24.0
# Half-lives until an exponential approach counts as complete (97 %).
_HALF_LIVES_TO_FULL = 5.0


def clearance_effects(
    record: PatientRecord, interactions: Table, *, since: datetime, now: datetime, zero: datetime
) -> tuple[pk.ClearanceEffect, ...]:
    """Effects of medicines taken by `now` (not of those being ordered), in hours after `zero`.

    An effect that was complete before `since`, where the dose history begins, is constant, and one
    that had faded by then is left out: neither needs a solution that changes over time.
    """
    effects = []
    for medicine, row in _rows(record, interactions):
        ratio = row.get("clearance_ratio")
        if ratio is None or medicine.is_draft or medicine.systemic is False:
            continue
        if medicine.state not in (UseState.ACTIVE, UseState.STOPPED):
            continue
        if medicine.started and medicine.started.at > now:
            continue
        began = _hours(medicine.started.at, zero) if medicine.started else float("-inf")
        ended = _hours(medicine.stopped.at, zero) if medicine.stopped else None
        if medicine.state is UseState.STOPPED and ended is None:
            continue
        if ended is not None and ended <= began:
            continue
        window = _hours(since, zero)
        if began + _settled(row.get("onset_days")) <= window:
            began = float("-inf")
        if ended is not None and ended + _settled(row.get("offset_days")) <= window:
            continue
        effects.append(
            pk.ClearanceEffect(
                factor=float(ratio),
                start_h=began,
                stop_h=ended,
                onset_half_life_h=_half_life(row.get("onset_days")),
                offset_half_life_h=_half_life(row.get("offset_days")),
            )
        )
    return tuple(effects)


def unquantified_inducers(
    record: PatientRecord, interactions: Table, used: Sequence[GatedLevel], now: datetime
) -> tuple[str, ...]:
    """Inducers taken now of unknown strength, with no usable level once their effect was there."""
    blind = []
    for medicine, row in _rows(record, interactions):
        if row["effect"] != "inducer" or row["strength"] not in ("strong", "moderate"):
            continue
        if row.get("clearance_ratio") is not None or medicine.state is not UseState.ACTIVE:
            continue
        if medicine.is_draft or medicine.systemic is False:
            continue
        full = timedelta(days=float(row.get("onset_days") or 0.0))
        effective = medicine.started.at + full if medicine.started else None
        seen = effective is not None and any(
            g.level.sampled is not None and g.level.sampled.at >= effective for g in used
        )
        if not seen and (medicine.started is None or medicine.started.at <= now):
            blind.append(medicine.display)
    return tuple(dict.fromkeys(blind))


def inducers_taken(record: PatientRecord, interactions: Table, now: datetime) -> tuple[str, ...]:
    """Strong and moderate inducers taken now (not those being ordered), by name."""
    found = [
        medicine.display
        for medicine, row in _rows(record, interactions)
        if row["effect"] == "inducer" and row["strength"] in ("strong", "moderate")
        if medicine.state is UseState.ACTIVE and not medicine.is_draft
        if medicine.systemic is not False
        if medicine.started is None or medicine.started.at <= now
    ]
    return tuple(dict.fromkeys(found))


def last_interaction_change(
    record: PatientRecord, interactions: Table, until: datetime
) -> datetime | None:
    """When an inducer or inhibitor of note was last started or stopped at or before `until`."""
    moments = [
        moment.at
        for medicine, row in _rows(record, interactions)
        if row["effect"] in ("inducer", "inhibitor") and row["strength"] in ("strong", "moderate")
        if not medicine.is_draft and medicine.systemic is not False
        for moment in (medicine.started, medicine.stopped)
        if moment is not None and moment.at <= until
    ]
    return max(moments, default=None)


def _rows(record: PatientRecord, interactions: Table) -> Iterable[tuple[Medicine, dict[str, Any]]]:
    """Each medicine with each table row for one of its ingredients, once."""
    for medicine in record.medicines:
        taken = frozenset(medicine.ingredients)
        for row in interactions["rows"]:
            if not taken.isdisjoint(row["ingredients"]):
                yield medicine, row


def _settled(days_to_full: float | None) -> float:
    """Hours after which less than one part in a thousand of a change is still to come."""
    return 2.0 * float(days_to_full or 0.0) * _HOURS_PER_DAY


def _half_life(days_to_full: float | None) -> float:
    return float(days_to_full or 0.0) * _HOURS_PER_DAY / _HALF_LIVES_TO_FULL


def _hours(at: datetime, zero: datetime) -> float:
    return (at - zero).total_seconds() / 3600.0

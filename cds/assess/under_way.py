"""Whether a level that will tell of the present dose is under way: nobody orders a second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cds.assess.assessment import GatedLevel
from cds.assess.course import Therapy
from cds.assess.interactions import last_interaction_change
from cds.assess.policy import Tables
from cds.clinical.level import PendingLevel
from cds.clinical.record import PatientRecord


def level_under_way(
    record: PatientRecord,
    therapy: Therapy,
    levels: Sequence[GatedLevel],
    tables: Tables,
    now: datetime,
) -> PendingLevel | None:
    """The latest level that was ordered or drawn and has no result yet.

    Not one without a date, for nobody can say that it is still awaited; nor one that is older than
    laboratories take, that a later sample has answered, or that was drawn before the last change
    of dose or of an interacting medicine. Days are compared, because orders carry no hour.
    """
    if not record.pending_levels:
        return None
    longest = timedelta(days=float(tables.sampling["level_under_way_days"]))
    interaction = last_interaction_change(record, tables.interactions, now)
    told = [level.level.sampled.at for level in levels if level.level.sampled]
    changes = [change for change in (therapy.course.dose_changed, interaction) if change]
    for pending in reversed(record.pending_levels):
        if pending.since is None or abs(now - pending.since.at) > longest:
            continue
        day = pending.since.at.date()
        if all(change.date() <= day for change in changes) and all(at.date() < day for at in told):
            return pending
    return None

"""The rulebook's tables for one jurisdiction, under the names an assessment uses."""

from __future__ import annotations

from dataclasses import fields

from cds.assess.policy import Table, Tables
from cds.clinical.setting import Jurisdiction
from cds.rulebook import Rulebook, once_per_rulebook


@once_per_rulebook
def tables_for(rulebook: Rulebook, jurisdiction: Jurisdiction) -> Tables:
    """Read every table once; jurisdiction-specific leaves are already resolved."""
    tables: dict[str, Table] = {
        f.name: rulebook.table(f.name, jurisdiction) for f in fields(Tables)
    }
    return Tables(**tables)


def usual_doses(tables: Tables, indication: str | None, disease: str | None) -> tuple[float, ...]:
    """The usual daily doses (steps) of the indication in mg."""
    dosing = tables.dosing
    row = dosing.get(indication or "default") or dosing.get(disease or "") or dosing["default"]
    return tuple(float(step) for step in row["steps_mg"])

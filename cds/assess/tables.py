"""The rulebook's tables for one jurisdiction, under the names an assessment uses."""

from __future__ import annotations

from cds.assess.policy import Table, Tables
from cds.clinical.setting import Jurisdiction
from cds.rulebook import Rulebook, once_per_rulebook


@once_per_rulebook
def tables_for(rulebook: Rulebook, jurisdiction: Jurisdiction) -> Tables:
    """Read every table once; jurisdiction-specific leaves are already resolved."""
    tables: dict[str, Table] = {
        name: rulebook.table(name, jurisdiction) for name in Tables.__struct_fields__
    }
    return Tables(**tables)


def usual_doses(tables: Tables, indication: str | None, disease: str | None) -> tuple[float, ...]:
    """The usual daily doses (steps) of the indication in mg."""
    dosing = tables.dosing
    row = dosing.get(indication or "default") or dosing.get(disease or "") or dosing["default"]
    return tuple(float(step) for step in row["steps_mg"])

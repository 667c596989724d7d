"""What the codes of a frequency mean: one row of `frequencies.yaml`."""

from __future__ import annotations

from collections.abc import Iterable

from cds.clinical.codes import Code
from cds.clinical.terminology import Frequency
from cds.rulebook.remarks import Remarks
from cds.rulebook.shape import Entries
from cds.rulebook.term_codes import codes_in, finish


def read_frequencies(
    rows: Iterable[tuple[str, Entries]], remarks: Remarks
) -> dict[Code, Frequency]:
    """Code -> frequency; a code that would mean two is a mistake of the author."""
    found: dict[Code, Frequency] = {}
    for key, row in rows:
        doses, hours = row.integer("doses"), row.number("hours")
        codes = codes_in(row, "codes", remarks)
        finish(row)
        if not doses or not hours or doses < 0 or hours < 0:
            remarks.add("RB104", row.place, f"frequency '{key}' needs doses and hours above zero")
            continue
        for code in codes:
            other = found.setdefault(code, Frequency(doses, hours))
            if other != Frequency(doses, hours):
                remarks.add("RB104", row.place, f"code {code.code} means two frequencies")
    return found

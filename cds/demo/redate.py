"""Moving a story to today, so that a service with a true clock sees the same patient.

Every date moves by the same number of whole days: ages, intervals and clock times stay what they
were. Dates without a day (`2024-05`) stay, they carry no such precision.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*)?")


def moved(value: Any, days: int) -> Any:
    """Return the JSON value with every FHIR date and dateTime moved by `days`."""
    if isinstance(value, dict):
        return {key: moved(item, days) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, days) for item in value]
    if isinstance(value, str) and (match := _DATED.fullmatch(value)):
        day = date.fromisoformat(match.group(1)) + timedelta(days=days)
        return f"{day.isoformat()}{match.group(2) or ''}"
    return value


def days_to(today: datetime, story_now: datetime) -> int:
    """Return by how many whole days a story moves so that its moment is at most a day ago."""
    return (today - story_now).days

"""What a Bundle says went wrong: a search that failed is not a search that found nothing.

A server may answer 200 with an OperationOutcome among the entries
(https://hl7.org/fhir/R4/http.html#search), and a batch tells of each failure by its status. Only
errors count: warnings stand beside whole answers, such as "unknown parameter ignored".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_DEEPEST: Final = 4
_ERRORS: Final = frozenset({"error", "fatal"})


def failed_wholly(found: Any) -> bool:
    """Whether a Bundle holds errors and nothing else."""
    told = list(_told(found, 0))
    return bool(told) and all(told)


def failed_partly(found: Any) -> bool:
    """Whether a Bundle holds an error."""
    return any(_told(found, 0))


def _told(found: Any, depth: int) -> Iterator[bool]:
    """For each answer in a Bundle, whether it is an error; links and warnings are no answers."""
    entries = found.get("entry") if isinstance(found, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            if _is_failure(entry.get("response")):
                yield True
        elif resource.get("resourceType") == "OperationOutcome":
            if _is_error(resource):
                yield True
        elif resource.get("resourceType") == "Bundle" and depth < _DEEPEST:
            inside = list(_told(resource, depth + 1))
            yield from inside or [False]  # a search that found nothing is an answer
        else:
            yield False


def _is_failure(response: Any) -> bool:
    status = response.get("status") if isinstance(response, Mapping) else None
    return isinstance(status, str) and status[:1] in ("4", "5")


def _is_error(outcome: Mapping[str, Any]) -> bool:
    issues = outcome.get("issue")
    severities = [
        issue.get("severity")
        for issue in (issues if isinstance(issues, list) else ())
        if isinstance(issue, dict)
    ]
    return any(isinstance(one, str) and one in _ERRORS for one in severities)

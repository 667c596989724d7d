"""One table of problems: every code that is used stands in it, and every code in it is used."""

from __future__ import annotations

import re
from pathlib import Path

import cds.fhir
from cds.clinical.problem import Impact
from cds.fhir.problems import PROBLEMS, ReadError, problem

_PACKAGE = Path(cds.fhir.__file__).parent
_TABLE = _PACKAGE / "problems.py"


def _source() -> str:
    modules = sorted(path for path in _PACKAGE.glob("*.py") if path != _TABLE)
    return "\n".join(path.read_text() for path in modules)


def test_every_code_in_the_table_is_used() -> None:
    source = _source()
    unused = {code for code in PROBLEMS if f'"{code}"' not in source}
    # What could not be obtained is said by whoever obtained it.
    assert unused == {"data-not-available", "data-partial"}


def test_every_code_that_is_used_stands_in_the_table() -> None:
    used = set(re.findall(r'(?:ReadError|problem)\(\s*"([a-z-]+)"', _source()))
    assert used <= set(PROBLEMS)
    assert len(used) > 50


def test_codes_are_kebab_case_and_meanings_are_sentences() -> None:
    for code, kind in PROBLEMS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)
        assert re.fullmatch(r"[A-Z].*\.", kind.meaning)


def test_a_problem_has_the_impact_of_its_kind_unless_told_otherwise() -> None:
    assert problem("dose-missing", "No dose.").impact is Impact.PREVENTS
    assert problem("dose-missing", "No dose.", impact=Impact.LIMITS).impact is Impact.LIMITS


def test_a_read_error_becomes_a_problem_with_its_place() -> None:
    found = ReadError("dose-range", "A range.", "doseRange").as_problem("MedicationRequest/1")
    assert (found.reference, found.field) == ("MedicationRequest/1", "doseRange")

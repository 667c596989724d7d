"""The conformance table is complete, current, and points at tests that exist."""

from __future__ import annotations

from pathlib import Path

from tests.web.conformance.table import evidence_by_row, page, requirements, unknown_tests

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_every_requirement_has_evidence_or_a_reason():
    evidence = evidence_by_row()

    assert [row["id"] for row in requirements() if row["id"] not in evidence] == []
    assert set(evidence) == {row["id"] for row in requirements()}


def test_no_shall_is_without_a_test():
    evidence = evidence_by_row()

    untested = [
        row["id"]
        for row in requirements()
        if row["conformance"].startswith("SHALL") and not evidence[row["id"]].get("tests")
    ]
    assert untested == []


def test_every_named_test_exists():
    assert list(unknown_tests()) == []


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()

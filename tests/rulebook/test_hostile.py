"""Spoilt and hostile rule files: accepted or refused with a line, nothing runs, nothing grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.rulebook.lint import lint_files
from tests.rulebook.build import LOW, files
from tests.rulebook.fuzz import fuzz


def test_spoilt_rule_files_are_accepted_or_refused_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a command smuggled into a file would leave its mark
    report = fuzz(500, seed=20261123)
    assert report.count == report.accepted + report.refused == 500
    assert report.accepted > 20
    assert report.refused > 200
    assert len(report.codes) > 15
    assert list(tmp_path.iterdir()) == []


ATTACKS = {
    "{course.__class__}": "RB401",
    "{course[values]}": "RB401",
    "{course.disease!r}": "RB401",
    "{course.disease:>1000000000}": "RB401",
    "{0}": "RB401",
    "{}": "RB401",
    "{{{low}}": None,
    "%(low)s $low {{low}}": None,
    "{% for x in y %}": "RB401",
    "<script>alert(1)</script>": "RB403",
    "<!-- -->": "RB403",
}


@pytest.mark.parametrize(("text", "code"), ATTACKS.items())
def test_a_text_has_slots_and_nothing_else(text: str, code: str | None) -> None:
    rule = LOW.replace("Ask whether doses are taken.", text)
    codes = {remark.code for remark in lint_files(files({"trough/low.yaml": rule}))}
    assert codes == (set() if code is None else {code})


def test_a_rule_that_would_make_thousands_of_alternatives_is_refused_without_making_them() -> None:
    choice = "any_of: [{is_latest: true}, {converted: true}, {age_days: $fresh}, {daily_mg: $low}]"
    lines = "".join(f"  - l{number}: {{is: level, {choice}}}\n" for number in range(30))
    rule = LOW.replace("when:\n", f"when:\n{lines}")
    remarks = lint_files(files({"trough/low.yaml": rule}))
    assert "RB212" in {remark.code for remark in remarks}


def test_a_table_cannot_send_a_path_round_in_circles() -> None:
    table = "cml: &x {low_ng_ml: *x}\n"
    remarks = lint_files(files({"tables/targets.yaml": table}))
    assert "RB004" in {remark.code for remark in remarks}

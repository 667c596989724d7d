"""`imatinib-tdm rules` on the small rulebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds.cli.rules import command
from tests.rulebook.build import LOW, TARGETS, files


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "rules")


def write(directory: Path, changes: dict[str, str | None] | None = None) -> Path:
    for name, content in files(changes).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_lint_ends_well_on_a_good_rulebook(small: Path) -> None:
    code, output = run("lint", small)
    assert (code, output.splitlines()[-1].partition(",")[0]) == (0, "0 errors")


def test_lint_names_the_place_and_the_cure_and_fails(small: Path) -> None:
    write(small, {"trough/low.yaml": LOW.replace("{below: $low}", "{bellow: $low}")})
    code, output = run("lint", small)
    assert code == 1
    assert "rules/trough/low.yaml:16:" in output
    assert "did you mean 'below'?" in output


def test_lint_may_be_strict_about_warnings(small: Path) -> None:
    write(small, {"sources.yaml": "x: {citation: X, kind: review, verified: true}\n"
                  + files()["sources.yaml"].decode()})  # fmt: skip
    assert run("lint", small)[0] == 0
    assert run("lint", small, "--strict")[0] == 1


def test_a_rule_that_does_not_exist_is_not_tested_successfully(small: Path) -> None:
    code, output = run("test", small, "--rule", "trough.lov")

    assert code == 2
    assert "no rule is called 'trough.lov'" in output
    assert "did you mean 'trough.low'?" in output


def test_test_counts_tests_and_mutants(small: Path) -> None:
    code, output = run("test", small, "--mutations")
    assert code == 0
    assert "21 tests of 4 rules, 0 failed" in output
    assert "mutants killed (100.0%)" in output


def test_test_names_what_failed(small: Path) -> None:
    write(small, {"tables/targets.yaml": TARGETS.replace("us: 1000", "us: 1100")})
    code, output = run("test", small, "--rule", "trough.")
    assert code == 1
    assert "trough.low, 'at the target, ninety days old': expected silent, got fires" in output


def test_test_goes_on_with_the_files_that_are_sound(small: Path) -> None:
    write(small, {"trough/low.yaml": "id: ["})
    code, output = run("test", small)
    assert code == 1
    assert "10 tests of 3 rules, 0 failed" in output
    assert "1 error in files that were left out" in output


def test_show_prints_a_page_and_helps_with_a_misspelt_id(small: Path) -> None:
    assert run("show", "trough.low", "--rules", small)[1].startswith("# Trough below target")
    code, output = run("show", "trough.lo", "--rules", small)
    assert code == 1
    assert "did you mean 'trough.low'?" in output


def test_schema_is_json(small: Path) -> None:
    code, output = run("schema", "--rules", small)
    assert code == 0
    assert json.loads(output)["title"] == "A clinical rule"


def test_diff_tells_what_changed(small: Path, tmp_path: Path) -> None:
    changes: dict[str, str | None] = {
        "tables/targets.yaml": TARGETS.replace("us: 1000", "us: 1100")
    }
    other = write(tmp_path / "new" / "rules", changes)
    code, output = run("diff", small, other)
    assert code == 0
    assert "table targets.cml.low_ng_ml.us: 1000 -> 1100" in output


def test_a_broken_rulebook_is_explained_and_not_a_trace(small: Path) -> None:
    write(small, {"trough/low.yaml": "id: ["})
    code, output = run("show", "trough.low", "--rules", small)
    assert code != 0
    assert "rules/trough/low.yaml:" in output
    assert "Traceback" not in output

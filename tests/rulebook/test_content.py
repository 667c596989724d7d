"""What a rulebook directory becomes: tables, drug, codes, sources, and a revision."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from cds.clinical.codes import Code, Concept
from cds.rulebook import RulebookError, load
from cds.rulebook.lint import lint_files
from cds.rulebook.rulebook import load_files
from tests.rulebook.build import TEXTS, files, rulebook


def write(directory: Path, changes: dict[str, str] | None = None) -> Path:
    for name, content in files(changes).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def test_a_table_has_the_numbers_of_the_jurisdiction() -> None:
    book = rulebook()
    assert book.table("targets", "us")["cml"]["low_ng_ml"] == 1000
    assert book.table("targets", "eu")["cml"]["low_ng_ml"] == 900
    assert book.table("targets", "eu")["cml"]["only_us_mg"] is None
    assert book.table("targets", "us")["cml"]["sources"] == ("trial",)


def test_a_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        rulebook().table("targets", "us")["cml"]["low_ng_ml"] = 1  # type: ignore[index]


def test_the_drug_is_read_with_its_codes_and_strengths() -> None:
    drug = rulebook().drug
    assert drug.names == {"imatinib", "gleevec"}
    assert drug.strengths_mg == (100.0, 400.0)
    assert drug.products[Code("urn:local", "tab400")].strength_mg == 400
    assert round(drug.base_per_salt, 3) == 0.837


def test_a_condition_is_also_what_it_implies() -> None:
    concept = Concept((Code("urn:icd", "C92.1"),))
    assert rulebook().terminology.conditions_of(concept) == ("cml-cp", "cml")


def test_a_medicine_is_found_by_code_and_by_name() -> None:
    terminology = rulebook().terminology
    assert terminology.ingredients_of(Concept((Code("urn:x", "1"),))) == ("rifampicin",)
    assert terminology.ingredients_of(Concept(text="Rifampin 300 mg")) == ("rifampicin",)


def test_a_site_adds_codes_and_changes_nothing_else() -> None:
    site = (
        'medicines: {rifampicin: {codes: [{system: "urn:site", code: R}]},'
        " aspirin: {name: Aspirin}}"
    )
    terminology = rulebook({"site.yaml": site}).terminology
    assert terminology.ingredients_of(Concept((Code("urn:site", "R"),))) == ("rifampicin",)
    assert terminology.ingredients_of(Concept(text="aspirin")) == ("aspirin",)
    with pytest.raises(RulebookError, match="a site file cannot change this value"):
        rulebook({"site.yaml": "medicines: {rifampicin: {name: Other}}"})


def test_the_revision_is_what_a_shell_computes(tmp_path: Path) -> None:
    book = load(write(tmp_path / "rules"))
    command = "find . -name '*.yaml' | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    shell = subprocess.run(
        command, shell=True, cwd=tmp_path / "rules", capture_output=True, text=True, check=True
    )
    assert book.revision == shell.stdout.split()[0]


def test_the_revision_changes_with_any_file_and_with_nothing_else() -> None:
    revision = rulebook().revision
    assert len(revision) == len(hashlib.sha256().hexdigest())
    assert rulebook().revision == revision
    for name, text in TEXTS.items():
        assert rulebook({name: f"{text}\n# read again\n"}).revision != revision


def test_loading_for_service_reads_the_same_rules_without_their_tests() -> None:
    whole, lean = load_files(files(), with_tests=True), load_files(files())
    assert all(rule.tests for rule in whole.rules)
    assert not any(rule.tests for rule in lean.rules)
    assert [rule.when for rule in lean.rules] == [rule.when for rule in whole.rules]
    assert lean.revision == whole.revision


def test_hidden_files_and_editor_leftovers_are_passed_over(tmp_path: Path) -> None:
    directory = write(tmp_path / "rules")
    revision = load(directory).revision
    (directory / "trough" / ".low.yaml.swp").write_text("x: [")
    (directory / "trough" / ".#low.yaml").write_text("x: [")
    (directory / "README.md").write_text("# Rules")
    assert load(directory).revision == revision


def test_a_directory_that_is_no_rulebook_says_so(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match=r"rulebook\.yaml is missing"):
        load(tmp_path)


def test_a_rule_that_stands_twice_names_both_files() -> None:
    twice = {"other/low.yaml": TEXTS["trough/low.yaml"]}
    with pytest.raises(RulebookError) as caught:
        rulebook(twice)
    codes = {remark.code: str(remark) for remark in caught.value.remarks}
    assert "RB105" in codes


def test_a_mistyped_key_of_a_site_is_told_with_the_key_it_resembles() -> None:
    site = 'labs:\n  platlets: {codes: [{system: "urn:site", code: P}]}\n'
    (remark, *_) = [r for r in lint_files(files({"site.yaml": site})) if r.code == "RB108"]
    assert str(remark) == (
        "rules/site.yaml:2:3: RB108 warning: 'platlets' is new, and looks like 'platelets'"
        " - did you mean 'platelets'?"
    )

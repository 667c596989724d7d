"""The rulebook that ships: no remark, every test passes on both evaluators, conditions tested."""

from __future__ import annotations

from datetime import date

import jsonschema
import pytest

from cds import content
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Rulebook, catalogue, load
from cds.rulebook.cases import run_tests
from cds.rulebook.content import is_rule_file
from cds.rulebook.lint import check_content
from cds.rulebook.mutation import kill_ratio, mutate
from cds.rulebook.page import rule_page
from cds.rulebook.remarks import Remarks
from cds.rulebook.schema import rule_schema
from tests.rulebook.random_rules import Generator

READ_ON = date(2026, 11, 23)


@pytest.fixture(scope="module")
def shipped() -> Rulebook:
    return load(content.rules_dir(), with_tests=True)


def test_the_linter_has_no_remark(shipped: Rulebook) -> None:
    remarks = Remarks()
    check_content(shipped.content, remarks, READ_ON)
    assert [str(remark) for remark in remarks] == []


def test_every_test_passes_on_both_evaluators(shipped: Rulebook) -> None:
    results = run_tests(shipped)
    assert len(results) > 1000
    assert [str(result.remark()) for result in results if result.failure] == []


def test_nearly_every_condition_is_missed_by_a_test_when_it_changes(shipped: Rulebook) -> None:
    mutants = mutate(shipped)
    assert len(mutants) > 1000
    assert kill_ratio(mutants) >= 0.95


def test_every_rule_has_a_page_and_follows_the_schema(shipped: Rulebook) -> None:
    validator = jsonschema.Draft202012Validator(rule_schema(catalogue(), shipped))
    for rule in shipped.rules:
        page = rule_page(shipped, rule)
        assert page.startswith(f"# {rule.title}")
        assert all(test.name.replace("|", "\\|") in page for test in rule.tests)
    for file, node in list(shipped.content.nodes.items())[::8]:
        if is_rule_file(file):
            assert [error.message for error in validator.iter_errors(node.plain())] == [], file


@pytest.mark.parametrize("jurisdiction", Jurisdiction)
@pytest.mark.parametrize("occasion", Occasion)
def test_both_evaluators_agree_on_random_patients(
    shipped: Rulebook, occasion: Occasion, jurisdiction: Jurisdiction
) -> None:
    generator = Generator(11)
    for _ in range(20):
        facts = generator.scene(generator.random.randint(0, 40))
        verdict = shipped.evaluate(facts, Setting(occasion, jurisdiction))
        assert verdict.agreed, verdict.disagreement

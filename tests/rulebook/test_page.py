"""Rules as readable pages, and as a schema that editors use."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from cds.rulebook import catalogue
from cds.rulebook.page import index_page, rule_page
from cds.rulebook.schema import rule_schema
from tests.rulebook.build import LOW, rulebook
from tests.rulebook.test_lint import MISTAKES


def test_a_page_says_when_what_from_where_and_who_signed() -> None:
    book = rulebook()
    page = rule_page(book, book.rule("trough.low"))
    for line in (
        "# Trough below target",
        "| Approved by | nobody yet: no clinician has signed this rule |",
        "- the course with disease is cml",
        "- no medicine with ingredient is rifampicin, current",
        "**Warning** about exposure:",
        "> Trough {level.trough_ng_ml} ng/mL is below {low} ng/mL",
        "| low | 1000 ng/mL (US), 900 ng/mL (EU) | `targets.cml.low_ng_ml` |",
        "| fresh | 90 d | product-proposal |",
        "- A trial <https://doi.org/10.1/x> (trial, verified)",
        "| no trough value | undecided: level.trough_ng_ml |",
    ):
        assert line in page.splitlines(), page


def test_a_page_says_which_source_nobody_has_verified() -> None:
    book = rulebook()
    page = rule_page(book, book.rule("interactions.quiet"))
    assert "- Our proposal (proposal, **not verified at the source**)" in page
    assert "Nothing is said (interaction). Studied, and of no consequence" in page


def test_the_index_lists_every_rule_once() -> None:
    book = rulebook()
    index = index_page(book)
    assert all(index.count(f"[{rule.id}]({rule.id}.md)") == 1 for rule in book.rules)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = rule_schema(catalogue(), rulebook())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def rules_of(changes: dict[str, str | None] | None = None) -> dict[str, Any]:
    from cds.rulebook.content import is_rule_file
    from cds.rulebook.source import parse
    from tests.rulebook.build import files

    found = files(changes)
    return {name: parse(text, name).plain() for name, text in found.items() if is_rule_file(name)}


def test_the_schema_accepts_every_rule_that_the_linter_accepts(
    validator: jsonschema.Draft202012Validator,
) -> None:
    for name, plain in rules_of().items():
        assert [error.message for error in validator.iter_errors(plain)] == [], name


SHAPE = ("RB101", "RB102", "RB103", "RB104", "RB201", "RB202", "RB203", "RB206", "RB208", "RB209")


def test_the_schema_refuses_what_is_wrong_in_shape(
    validator: jsonschema.Draft202012Validator,
) -> None:
    from tests.rulebook.build import TEXTS

    tried = 0
    for mistake in MISTAKES:
        if mistake["code"] not in SHAPE or mistake["file"] != "trough/low.yaml":
            continue
        if mistake["words"] == "no unit":
            continue  # a unit is wanted of numbers only, which a schema of references cannot see
        text = TEXTS["trough/low.yaml"].replace(mistake["old"], mistake["new"])
        plain = rules_of({"trough/low.yaml": text})["trough/low.yaml"]
        assert list(validator.iter_errors(plain)), mistake
        tried += 1
    assert tried >= 8


@pytest.mark.parametrize(
    ("snooze", "said"),
    [
        ("", "- After an answer: quiet for 7 days in the same clinical state"),
        ("  snooze: {days: 0}\n",
         "- After an answer: speaks again at once (a warning card usually 7)"),
        ("  snooze: {days: 30, why: read monthly}\n",
         "- After an answer: quiet for 30 days in the same clinical state "
         "(a warning card usually 7): read monthly"),
    ],
)  # fmt: skip
def test_a_page_says_how_long_an_answer_silences_it(snooze: str, said: str) -> None:
    book = rulebook({"trough/low.yaml": LOW.replace("  show: [level]\n", snooze)})
    assert said in rule_page(book, book.rule("trough.low")).splitlines()

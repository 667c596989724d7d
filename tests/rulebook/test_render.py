"""Texts: filled by value only, rounded for the reader, and safe for Markdown."""

from __future__ import annotations

import pytest

from cds.rulebook.render import plain_text, show_number
from tests.rulebook.build import CML, LOW, LOW_LEVEL, SETTING, TEXTS, rulebook, scene


def said(level: dict[str, object], text: str, labs: str | None = None) -> str:
    rule = LOW.replace("Trough {level.trough_ng_ml} ng/mL is below {low} ng/mL", text)
    changes = {"trough/low.yaml": rule[: rule.index("tests:")]}
    (finding,) = rulebook(changes).evaluate(scene(CML, {**LOW_LEVEL, **level}), SETTING).findings
    return finding.summary


def test_a_number_is_shown_with_the_decimals_of_the_catalogue() -> None:
    text = "{level.trough_ng_ml} after {level.hours_post_dose} h"
    assert said({"trough_ng_ml": 720.49, "hours_post_dose": 23.96}, text) == "720 after 24.0 h"


def test_a_number_is_not_rounded_onto_the_limit_it_is_compared_with() -> None:
    text = "{level.trough_ng_ml} is below {low}"
    assert said({"trough_ng_ml": 999.6}, text) == "999.6 is below 1000"
    assert said({"trough_ng_ml": 999.96}, text) == "999.96 is below 1000"
    assert said({"trough_ng_ml": 998.6}, text) == "999 is below 1000"


@pytest.mark.parametrize(("value", "words"), [(99.98, ">99"), (0.3, "<1"), (5.2, "5")])
def test_a_probability_of_the_model_is_never_certain(value: float, words: str) -> None:
    assert said({"percentile": value}, "{level.percentile}%") == f"{words}%"


def test_a_lab_value_is_shown_with_the_decimals_of_its_key() -> None:
    rule = TEXTS["interactions/quiet.yaml"].partition("when:")[0] + (
        "when:\n  - lab: {is: lab, value: {known: true}}\n"
        "then: {matter: data, severity: info, summary: '{lab.key} {lab.value}', detail: x}\n"
    )
    book = rulebook({"interactions/quiet.yaml": rule})
    facts = scene(
        {"is": "lab", "key": "anc", "value": 0.7}, {"is": "lab", "key": "platelets", "value": 41}
    )
    summaries = {finding.summary for finding in book.evaluate(facts, SETTING).findings}
    assert summaries == {"anc 0.70", "platelets 41"}


def test_what_is_unknown_says_so() -> None:
    assert said({}, "given {level.value_ng_ml}") == "given unknown"


def test_truth_values_are_yes_and_no() -> None:
    assert said({"converted": True}, "{level.converted} {level.is_latest}") == "yes no"


def test_braces_are_written_twice() -> None:
    assert said({}, "{{low}} {low}") == "{low} 1000"


def test_text_of_the_record_is_never_interpreted() -> None:
    attack = "{low} {0.__class__} {level.trough_ng_ml} %s ${x}"
    assert said({"reported": attack}, "got {level.reported}") == f"got {attack}"


@pytest.mark.parametrize(
    ("text", "line", "markdown"),
    [
        ("a\n\n# b", "a # b", "a \\# b"),
        ("[x](javascript:1)", "[x](javascript:1)", "\\[x\\]\\(javascript:1\\)"),
        ("<img src=x>", "<img src=x>", "\\<img src=x\\>"),
        ("a\u202eb\u0000c", "a b c", "a b c"),
        ("**x** _y_", "**x** _y_", "\\*\\*x\\*\\* \\_y\\_"),
    ],
)
def test_text_of_the_record_is_one_plain_line_and_escaped_in_markdown(
    text: str, line: str, markdown: str
) -> None:
    assert plain_text(text, markdown=False) == line
    assert plain_text(text, markdown=True) == markdown


def test_text_of_the_record_is_cut_to_a_readable_length() -> None:
    assert len(plain_text("x" * 500, markdown=False)) == 200


def test_a_detail_escapes_what_came_from_the_record_and_a_summary_does_not() -> None:
    level = {**LOW_LEVEL, "reported": "720 *ng*/mL"}
    (finding,) = rulebook().evaluate(scene(CML, level), SETTING).findings
    assert finding.detail.endswith("Reported as 720 \\*ng\\*/mL.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1000.0, "1000"),
        (0.26, "0.26"),
        (0.0001, "0.0001"),
        (100.0, "100"),
        (7, "7"),
        ("cml", "cml"),
    ],
)
def test_a_parameter_has_as_few_decimals_as_it_needs(value: float | str, shown: str) -> None:
    assert show_number(value) == shown

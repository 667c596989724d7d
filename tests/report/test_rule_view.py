"""The rules as people read them."""

from __future__ import annotations

from datetime import date

import pytest

from cds.report.rule_view import Search, expected, groups, rule_view

TODAY = date(2026, 11, 23)


def test_a_rule_of_every_group_can_be_read_whole_with_its_tests(knowledge):
    rulebook = knowledge.rulebook
    for rule in {rule.group: rule for rule in rulebook.rules}.values():
        view = rule_view(rulebook, rule.id, TODAY)
        assert view.tests, rule.id
        assert view.sources
        assert view.conditions
        assert rule.id in view.text


def test_numbers_are_resolved_for_each_jurisdiction(knowledge):
    view = rule_view(knowledge.rulebook, "trough.cml-below-target", TODAY)
    low = next(row for row in view.params if row.name == "low")
    assert low.values == {"us": "1000\u202fng/mL", "eu": "1000\u202fng/mL"}
    assert low.origin == "table targets.cml.low_ng_ml"


def test_a_test_says_what_it_expects(knowledge):
    view = rule_view(knowledge.rulebook, "trough.cml-below-target", TODAY)
    assert expected(view.tests[0]).startswith("fires: Imatinib trough 720 ng/mL")
    assert "undecided: level.trough_ng_ml" in {expected(test) for test in view.tests}


def test_a_rule_past_its_review_date_says_so(knowledge):
    rule = knowledge.rulebook.rule("trough.cml-below-target")
    assert not rule_view(knowledge.rulebook, rule.id, rule.review_by).overdue
    assert rule_view(knowledge.rulebook, rule.id, date(2999, 1, 1)).overdue


def test_search_finds_every_word_group_and_status(knowledge):
    rulebook = knowledge.rulebook
    everything = [r for g in groups(rulebook, Search()) for r in g.rules]
    assert len(everything) == len(rulebook.rules)
    found = [r for g in groups(rulebook, Search(text="RIFAMPICIN exposure")) for r in g.rules]
    assert found
    assert len(found) < len(everything)
    assert {g.name for g in groups(rulebook, Search(group="trough"))} == {"trough"}
    assert groups(rulebook, Search(status="retired", text="nothing-like-this")) == ()


def test_a_rule_that_is_not_there_is_a_key_error(knowledge):
    with pytest.raises(KeyError):
        rule_view(knowledge.rulebook, "no.such-rule", TODAY)

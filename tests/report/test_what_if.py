"""Questions to the report: answered by the same decision path, never a second one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cds.assess import Assessment
from cds.report import WhatIf, WhatIfError, imagine, level_report, read_what_if
from cds.services.knowledge import Knowledge

Assessed = Callable[[str], Assessment]


@pytest.fixture
def ask(assessed: Assessed, knowledge: Knowledge):
    def ask_about(name: str, **question):
        return imagine(assessed(name), WhatIf(**question), knowledge.rulebook, knowledge.models)

    return ask_about


def test_a_dose_that_was_weighed_anyway_gets_the_same_numbers(ask, assessed):
    weighed = next(o for o in assessed("cml-low-trough").exposure.options if o.amount_mg == 600)
    asked = ask("cml-low-trough", amount_mg=600.0, interval_h=24.0).option
    assert asked.trough_ng_ml == pytest.approx(weighed.trough_ng_ml)
    assert asked.percent_in == pytest.approx(weighed.percent_in)
    assert asked.tablets == weighed.tablets


def test_a_higher_dose_makes_the_target_likelier_for_a_low_trough(ask, assessed):
    current = assessed("cml-low-trough").exposure.current
    asked = ask("cml-low-trough", amount_mg=600.0, interval_h=24.0).option
    assert asked.percent_in > current.percent_in


def test_a_dose_above_the_limit_is_shown_and_says_that_it_is_not_offered(ask):
    asked = ask("cml-low-trough", amount_mg=800.0, interval_h=24.0).option
    assert "above the daily maximum" in asked.why_not


def test_leaving_a_level_out_fits_again_and_leaves_the_original_alone(ask, assessed):
    before = assessed("cml-low-trough").exposure.current.trough_ng_ml
    answer = ask("cml-low-trough", left_out=(1,), reason="assay")
    assert len(answer.assessment.levels) == 1
    assert answer.assessment.exposure.current.trough_ng_ml != before
    assert assessed("cml-low-trough").exposure.current.trough_ng_ml == before


def test_a_level_left_out_stays_on_the_page_with_the_reason(ask, assessed, knowledge):
    answer = ask("cml-low-trough", left_out=(1,), reason="assay")
    report = level_report(assessed("cml-low-trough"), knowledge.rulebook, answer)
    assert [(row.number, row.verdict) for row in report.levels] == [(1, "left out"), (2, "used")]
    assert report.levels[0].reason == "the assay or the specimen is doubtful"


def test_without_every_level_the_population_speaks(ask):
    answer = ask("cml-low-trough", left_out=(1, 2))
    assert answer.assessment.exposure.state == "population"


def test_a_next_sample_tells_how_much_it_would_narrow(ask):
    samples = ask("cml-low-trough", sample_h=4.0).samples
    assert [sample.hours for sample in samples] == [4.0, 24.0]
    assert all(0.0 < sample.narrowing_percent < 100.0 for sample in samples)


def test_a_child_gets_no_dose_numbers_by_asking(ask):
    answer = ask("child-body-surface", amount_mg=400.0, interval_h=24.0)
    assert answer.option is None
    assert "no dose numbers" in answer.refused


def test_a_level_that_is_not_there_cannot_be_left_out(ask):
    with pytest.raises(WhatIfError, match="no level 9"):
        ask("cml-low-trough", left_out=(9,))


@pytest.mark.parametrize(
    "fields",
    [{"dose": "0"}, {"dose": "-400"}, {"dose": "nan"}, {"dose": "1e9"}, {"dose": "x"},
     {"sample": "inf"}, {"reason": "because"}, {"dose": "400", "every": "0"},
     {"dose": "1e-300", "every": "24"}, {"dose": "400", "every": "0.001"}, {"sample": "1e-300"},
     {"dose": "4_0_0"}, {"dose": "\u0664\u0660\u0660"}, {"dose": "9" * 400}],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_with_the_field_named(fields):
    with pytest.raises(WhatIfError, match=r"dose|sample|reason|every"):
        read_what_if(fields)


@pytest.mark.parametrize("text", ["-1", "1.5", "²", "12345", "x"])
def test_levels_are_left_out_by_number_only(text):
    with pytest.raises(WhatIfError, match="leave-out"):
        read_what_if({}, [text])


def test_a_decimal_comma_is_read():
    assert read_what_if({"dose": "412,5", "sample": "0.5"}) == WhatIf(412.5, 24.0, 0.5)


def test_an_empty_form_asks_nothing():
    assert not read_what_if({"dose": "", "every": "24", "sample": " ", "reason": "other"}).asked

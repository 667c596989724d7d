"""The computed parts of a card carry every number with unit, source and uncertainty."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cds.assess.assessment import AdherenceView, ExposureState, Gate
from cds.assess.policy import Target
from cds.cards.dose_table import MAX_ROWS, dose_table, rows_to_show
from cds.cards.level_line import level_lines
from cds.cards.parts import shown_parts
from cds.clinical.level import Comparator, ResultStatus
from tests.cards.patients import assessment, exposure, fact, gated_level, option


def level_text(**changes: object) -> str:
    return " ".join(level_lines(assessment(levels=(gated_level(**changes),))))


def test_a_level_is_shown_with_its_time_and_who_says_so() -> None:
    assert level_text() == (
        "**Level:** 720 ng/mL, sampled 2026-11-18 10:00, 24.0 h after the last dose "
        "(by the administration record); taken as the trough."
    )


def test_a_converted_level_shows_what_was_reported_and_what_it_means() -> None:
    level = replace(gated_level().level, reported_value="1.8", reported_unit="umol/L", ng_ml=888.5)

    assert "**Level:** 1.8 umol/L (= 888 ng/mL)" in level_text(level=level)


def test_a_corrected_level_shows_how_and_with_which_interval() -> None:
    text = level_text(
        gate=Gate.CORRECTED,
        correction="exponential",
        hours_post_dose=30.0,
        trough_ng_ml=1023.0,
        trough_low_ng_ml=918.0,
        trough_high_ng_ml=1218.0,
    )
    assert "by exponential decline at the typical rate: 1023 ng/mL (interval 918 to 1218)" in text


def test_a_level_that_cannot_be_compared_says_why() -> None:
    text = level_text(gate=Gate.TOO_EARLY, reason="sampled 4.0 h after the dose", trough_ng_ml=None)
    assert text.endswith("Not compared with the target: sampled 4.0 h after the dose.")


def test_an_unknown_time_is_said_to_be_unknown() -> None:
    assert "time since the last dose not known" in level_text(hours_post_dose=None)


def test_a_bound_and_a_preliminary_result_are_shown_as_such() -> None:
    level = replace(
        gated_level().level,
        reported_value="<720",
        comparator=Comparator.LESS,
        status=ResultStatus.PRELIMINARY,
    )
    assert "**Level:** &lt;720 ng/mL, preliminary" in level_text(level=level)


def test_without_a_level_there_is_no_line() -> None:
    assert level_lines(assessment(levels=())) == []


def test_the_table_lists_tablets_trough_interval_and_chances_by_rising_dose() -> None:
    caption, table, *_ = dose_table(assessment())

    assert "below 1000, between, or above 3000" in caption
    assert "ng/mL" in caption
    assert table.splitlines() == [
        "| Dose | Tablets each time | Trough (90 %) | below | in | above |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| 400 mg once daily (current) | 1 × 400 mg | 740 (592 to 925) | &gt;99 | &lt;1 | &lt;1 |",
        "| **600 mg once daily** (best fit) | 1 × 400 mg + 2 × 100 mg | 1110 (888 to 1388) "
        "| 12 | 88 | &lt;1 |",
        "| 800 mg once daily | 2 × 400 mg | 1480 (1184 to 1850) | 12 | 88 | &lt;1 |",
    ]


def test_doses_that_are_not_offered_say_why_once_unless_their_row_shows_it() -> None:
    low, step = "expected trough below the target", "more than one usual step"
    options = (
        option(400, 740, why_not=low, is_current=True),
        option(500, 900, why_not=step),
        option(600, 1100, why_not=step),
        option(800, 1480, why_not="over the label's maximum"),
    )
    blocks = dose_table(assessment(exposure=exposure(options=options, current=options[0])))

    assert blocks[2] == (
        "Not offered: 500 mg once daily and 600 mg once daily (more than one usual step); "
        "800 mg once daily (over the label's maximum)."
    )


def test_a_best_fit_short_of_the_target_is_the_closest_and_never_called_not_offered() -> None:
    """The same card may offer it as an order."""
    low = "expected trough below the target"
    options = (
        option(400, 640, why_not=low, is_current=True),
        option(500, 800, why_not=low),
        option(600, 980, why_not=low, is_best=True),
    )
    text = "\n".join(dose_table(assessment(exposure=exposure(options=options, current=options[0]))))

    assert f"600 mg once daily comes closest to the target within the limits ({low})." in text
    assert "Not offered" not in text


def test_the_table_names_model_levels_imputed_covariates_and_limits() -> None:
    made = assessment(exposure=exposure(model_verified=False, imputed={"weight_kg": 70.0}))
    policy = replace(made.policy, limits=replace(made.policy.limits, why=("label maximum 800 mg",)))
    text = "\n".join(dose_table(replace(made, policy=policy)))

    assert "Model: Gotta 2014, fitted to this patient's levels: Observation/level-1; its" in text
    assert "a typical value was used: weight (kg) 70." in text
    assert "Limits: label maximum 800 mg." in text


def test_a_target_that_is_not_validated_is_said_to_be_borrowed() -> None:
    made = assessment()
    target = Target(1000.0, 3000.0, None, None, False, "borrowed from CML", ())
    text = "\n".join(dose_table(replace(made, policy=replace(made.policy, target=target))))

    assert "The target is not validated for this indication." in text
    assert "Borrowed from CML." in text


@pytest.mark.parametrize(
    "state", [s for s in ExposureState if not s.quantitative], ids=lambda s: s.value
)
def test_without_reliable_numbers_there_is_no_table_but_the_reason(state: ExposureState) -> None:
    blocks = dose_table(assessment(exposure=exposure(state=state, reasons=("of a reason",))))

    assert len(blocks) == 1
    assert blocks[0].endswith(": of a reason. No dose numbers are given.")


def test_a_long_list_of_doses_keeps_the_current_the_ordered_and_the_best() -> None:
    many = tuple(option(100.0 * n, 200.0 * n) for n in range(3, 12))
    best, ordered = option(1300, 2600, is_best=True), option(1400, 2800)
    current = option(200, 400, is_current=True)
    rows = rows_to_show(
        exposure(options=(*many, best), current=current, ordered={"MedicationRequest/x": ordered})
    )

    assert len(rows) == MAX_ROWS
    assert {200, 1300, 1400} <= {row.amount_mg for row in rows}
    assert [r.daily_mg for r in rows] == sorted(r.daily_mg for r in rows)


def test_adherence_is_one_sentence_from_supply_and_level() -> None:
    view = AdherenceView(62.0, 38.0, 1450.0, prior_percent_all_taken=80.0)
    supply = fact("adherence", pdc_percent=73.0, pdc_window_days=90.0, refill_late_days=4.0)
    made = assessment(exposure=exposure(adherence=view), facts=(supply,))

    assert shown_parts(made, ["adherence"]) == [
        "**Adherence:** Dispensed supply covers 73 % of the last 90 days and ran out 4 days ago; "
        "given the latest level, all of the last 7 doses were taken with 62 % probability (80 % "
        "before the level was known), at least one was missed with 38 %; with every dose taken "
        "the trough would be about 1450 ng/mL."
    ]


def test_without_any_sign_of_adherence_the_card_says_that_nothing_is_known() -> None:
    assert (
        "no dispensing record and no usable level"
        in "".join(shown_parts(assessment(), ["adherence"])).lower()
    )


def test_the_exposure_part_is_left_out_beside_the_table() -> None:
    both = shown_parts(assessment(), ["exposure", "dose-table"])

    assert both == shown_parts(assessment(), ["dose-table"])


def test_the_exposure_part_says_what_current_and_ordered_dose_are_expected_to_do() -> None:
    ordered = {"MedicationRequest/x": option(600, 1110)}
    lines = shown_parts(assessment(exposure=exposure(ordered=ordered)), ["exposure"])

    assert lines[0].startswith("**Current dose** 400 mg once daily: expected trough 740 ng/mL")
    assert lines[1].startswith("**Ordered dose** 600 mg once daily: expected trough 1110 ng/mL")


def test_interacting_medicines_are_listed_with_their_effect() -> None:
    facts = (
        fact("medicine", ingredient="rifampicin", name="Rifampicin | x", current=True),
        fact(
            "interaction",
            ingredient="rifampicin",
            effect="inducer",
            strength="strong",
            exposure_percent=26.0,
        ),
        fact("interaction", ingredient="phenytoin", effect="inducer", strength="strong"),
    )
    (table,) = shown_parts(assessment(facts=facts), ["interaction-table"])

    assert table.splitlines()[2:] == ["| Rifampicin \\| x | inducer, strong | 26 |"]

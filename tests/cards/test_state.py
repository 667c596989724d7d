"""What counts as a changed clinical state, and which ids stay the same."""

from __future__ import annotations

from msgspec.structs import replace

from cds.cards.state import _CALENDAR, card_uuid, state_digest, suggestion_uuid
from cds.cards.trace import Matched
from cds.clinical.finding import Matter, Severity
from cds.rulebook import Fact, catalogue
from tests.cards.patients import fact, finding, low_trough


def adherence(**values: float) -> Matched:
    return everything(fact("adherence", **values))


def medicine(**changes: object) -> Matched:
    draft = {"ingredient": "rifampicin", "state": "draft", "current": True, "new": True}
    return everything(fact("medicine", **(draft | changes)))


def exposure(trough: float) -> Matched:
    return everything(fact("exposure", state="fitted", trough_ng_ml=trough))


def order(**changes: object) -> Matched:
    return everything(fact("order", **changes))


def everything(fact: Fact) -> Matched:
    return Matched.of(fact.kind, fact, frozenset(fact.values))


def digest(*matched: Matched) -> str:
    return state_digest(low_trough(), matched)


def test_the_calendar_alone_changes_nothing() -> None:
    assert digest(adherence(pdc_percent=84, refill_late_days=3)) == digest(
        adherence(pdc_percent=83, refill_late_days=4)
    )


def test_every_span_of_time_in_the_catalogue_is_known_to_move_or_to_stand_still() -> None:
    of_the_sample = {"days_since_change", "days_on_drug", "bcr_abl_month"}
    spans = {
        name
        for kind in catalogue()
        for name, attribute in kind.attributes.items()
        if attribute.unit in ("d", "wk", "mo", "a")
    }
    moving = {name for name in spans if name.endswith(_CALENDAR)}

    assert spans - moving == of_the_sample


def test_the_hook_alone_changes_nothing() -> None:
    select, sign = (
        everything(fact("setting", occasion=name)) for name in ("order-select", "order-sign")
    )
    assert digest(select) == digest(sign)


def test_signing_the_order_that_was_answered_as_a_draft_changes_nothing() -> None:
    assert digest(medicine(reference="MedicationRequest/draft-9")) == digest(
        medicine(reference="MedicationRequest/4711", state="active", new=False)
    )


def test_stopping_the_medicine_is_a_change() -> None:
    assert digest(medicine()) != digest(medicine(state="stopped"))


def test_another_dose_is_a_change_however_small() -> None:
    assert digest(order(daily_mg=400.0)) != digest(order(daily_mg=404.0))


def test_a_refit_that_moves_the_trough_by_3_ng_ml_is_no_news_but_100_are() -> None:
    assert digest(exposure(742.0)) == digest(exposure(744.6))
    assert digest(exposure(742.0)) != digest(exposure(842.0))


def test_a_corrected_value_is_news_even_if_the_rule_looks_only_at_what_was_made_of_it() -> None:
    levels = (fact("level", value_ng_ml=v, percentile=71.3) for v in (720.0, 724.0))
    first, amended = (Matched.of("level", level, frozenset({"percentile"})) for level in levels)
    assert digest(first) != digest(amended)


def test_a_percentile_that_creeps_as_the_patient_ages_is_no_news() -> None:
    today, next_week = (
        everything(fact("level", value_ng_ml=720.0, percentile=p, trough_ng_ml=t))
        for p, t in ((71.29, 987.16), (71.21, 987.31))
    )
    assert digest(today) == digest(next_week)


def test_a_new_revision_of_the_rule_and_a_graver_finding_are_changes() -> None:
    base = low_trough()

    assert state_digest(base, ()) != state_digest(replace(base, revision=4), ())
    assert state_digest(base, ()) != state_digest(replace(base, severity=Severity.CRITICAL), ())


def test_what_a_rule_does_not_look_at_is_no_part_of_its_state() -> None:
    one = fact("adherence", percent_all_taken=80.0, asked_days_ago=3.0)
    other = fact("adherence", percent_all_taken=20.0, asked_days_ago=3.0)

    assert digest(Matched.of("a", one, frozenset())) == digest(Matched.of("a", other, frozenset()))


def test_the_same_patient_in_the_same_state_keeps_the_card() -> None:
    assert card_uuid("site", "p1", ["a", "b"]) == card_uuid("site", "p1", ["b", "a"])


def test_another_patient_site_or_state_has_another_card() -> None:
    ids = {
        card_uuid("site", "p1", ["a"]),
        card_uuid("site", "p2", ["a"]),
        card_uuid("other", "p1", ["a"]),
        card_uuid("site", "p1", ["b"]),
    }
    assert len(ids) == 4


def test_a_suggestion_keeps_its_id_with_its_card_and_label() -> None:
    card = card_uuid("site", "p1", ["a"])

    assert suggestion_uuid(card, "Order") == suggestion_uuid(card, "Order")
    assert suggestion_uuid(card, "Order") != suggestion_uuid(card, "Hold")


def test_the_subject_tells_two_findings_of_one_rule_apart() -> None:
    one, two = (
        finding("interactions.x", Matter.INTERACTION, Severity.INFO, subject=name)
        for name in ("rifampicin", "phenytoin")
    )
    assert state_digest(one, ()) != state_digest(two, ())

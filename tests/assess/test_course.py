"""The course is read from orders; what is ambiguous stays unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from cds.assess.course import Therapy, read_therapy
from cds.assess.overlap import Overlap
from cds.assess.timeline import last_change, regimen_at
from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus, Supply
from tests.assess.build import NOW, ago, once_daily, order, record, taken

STEPS = (300.0, 400.0, 600.0, 800.0)


def read(patient: PatientRecord) -> Therapy:
    return read_therapy(
        patient,
        indication=("cml-cp", "cml"),
        usual_daily_mg=STEPS,
        adult_from_years=18.0,
        now=NOW,
    )


def test_one_active_order_is_the_current_regimen() -> None:
    therapy = read(record(orders=(order(400),)))
    course = therapy.course
    assert course.regimen == once_daily(400)
    assert course.active
    assert not course.starting
    assert course.started == ago(days=200).at


def test_an_order_that_ended_nobody_knows_when_still_dates_the_start() -> None:
    old = order(600, since_days=900, reference="MedicationRequest/0", status=OrderStatus.STOPPED)
    course = read(record(orders=(old, order(400)))).course
    assert course.started == ago(days=900).at
    assert course.regimen == once_daily(400)


def test_an_order_that_was_cancelled_dates_no_start() -> None:
    old = order(600, since_days=900, reference="MedicationRequest/0", status=OrderStatus.CANCELLED)
    assert read(record(orders=(old, order(400)))).course.started == ago(days=200).at


@pytest.mark.parametrize(("days_ago", "active"), [(10, True), (31, False)])
def test_a_supply_that_reaches_to_today_is_use_where_no_order_is_known(
    days_ago: float, active: bool
) -> None:
    supply = Supply(ago(days=days_ago), 30, 30, "MedicationDispense/1")
    course = read(record(supplies=(supply,))).course
    assert (course.active, course.regimen) == (active, None)
    stopped = order(400, since_days=200, status=OrderStatus.STOPPED, stopped_days=5)
    assert not read(record(orders=(stopped,), supplies=(supply,))).course.active


def test_a_draft_is_never_part_of_the_course() -> None:
    course = read(record(orders=(order(600, draft=True),))).course
    assert course.regimen is None
    assert not course.active
    assert course.starting


def test_two_strengths_with_one_start_are_one_dose() -> None:
    orders = (
        order(400, strength_mg=400),
        order(200, reference="MedicationRequest/2", strength_mg=100),
    )
    therapy = read(record(orders=orders))
    assert therapy.course.regimen is not None
    assert therapy.course.regimen.daily_mg == 600
    assert [o.make_up for o in therapy.overlaps] == [True]
    assert therapy.problems == ()


def test_two_equal_orders_are_a_duplicate_and_the_dose_is_unknown() -> None:
    orders = (order(400), order(400, reference="MedicationRequest/2", since_days=20))
    therapy = read(record(orders=orders))
    assert therapy.course.regimen is None
    assert therapy.course.current_order is None
    assert [p.impact for p in therapy.problems] == [Impact.PREVENTS]


def test_two_orders_that_make_no_usual_dose_are_not_joined() -> None:
    orders = (
        order(400, strength_mg=400),
        order(100, reference="MedicationRequest/2", strength_mg=100),
    )
    assert read(record(orders=orders)).course.regimen is None


def test_a_change_of_dose_dates_the_course() -> None:
    orders = (
        order(400, since_days=300, status=OrderStatus.STOPPED, stopped_days=60),
        order(600, since_days=60, reference="MedicationRequest/2"),
    )
    therapy = read(record(orders=orders))
    assert therapy.course.dose_changed == ago(days=60).at
    assert therapy.course.start_daily_mg == 400
    assert last_change(therapy.segments, NOW - timedelta(days=100)) == ago(days=300).at
    before = regimen_at(therapy.segments, NOW - timedelta(days=100))
    assert before is not None
    assert before.daily_mg == 400


def test_a_renewal_at_the_same_dose_is_no_change() -> None:
    orders = (
        order(400, since_days=300, status=OrderStatus.COMPLETED, stopped_days=60),
        order(400, since_days=60, reference="MedicationRequest/2"),
    )
    assert read(record(orders=orders)).course.dose_changed == ago(days=300).at


def test_a_gap_between_orders_is_a_restart() -> None:
    orders = (
        order(400, since_days=300, status=OrderStatus.COMPLETED, stopped_days=60),
        order(400, since_days=30, reference="MedicationRequest/2"),
    )
    assert read(record(orders=orders)).course.dose_changed == ago(days=30).at


def test_an_order_on_hold_is_neither_active_nor_a_regimen() -> None:
    course = read(record(orders=(order(400, status=OrderStatus.ON_HOLD),))).course
    assert course.on_hold
    assert not course.active
    assert course.regimen is None


def test_a_stopped_course_says_when_it_stopped() -> None:
    course = read(record(orders=(order(status=OrderStatus.STOPPED, stopped_days=40),))).course
    assert not course.active
    assert course.stopped == ago(days=40).at


def test_an_ended_order_without_an_end_says_nothing_about_the_present() -> None:
    therapy = read(record(orders=(order(status=OrderStatus.COMPLETED),)))
    assert therapy.segments == ()
    assert not therapy.course.active


def test_documented_intake_without_an_order_is_an_active_course() -> None:
    course = read(record(taken=(taken(days=1),))).course
    assert course.active
    assert course.regimen is None


def test_an_unknown_age_leaves_the_population_unknown() -> None:
    patient = record(orders=(order(),))
    nameless = PatientRecord(type(patient.person)("p"), orders=patient.orders)
    assert read(nameless).course.population is None


def test_an_order_ends_where_the_one_that_replaces_it_starts() -> None:
    orders = (
        order(400, since_days=300),
        replace(
            order(600, since_days=40, reference="MedicationRequest/2"),
            replaces="MedicationRequest/1",
        ),
    )
    therapy = read(record(orders=orders))
    assert therapy.overlaps == ()
    assert therapy.course.regimen == once_daily(600)
    assert therapy.course.dose_changed == ago(days=40).at


def test_a_statement_that_repeats_the_order_is_no_duplicate() -> None:
    said = replace(order(400, reference="MedicationStatement/1", since_days=20), reported=True)
    therapy = read(record(orders=(order(400), said)))
    assert therapy.overlaps == ()
    assert therapy.problems == ()
    assert therapy.course.current_order == "MedicationRequest/1"


def test_a_statement_of_another_dose_is_said_and_the_order_is_used() -> None:
    said = replace(order(200, reference="MedicationStatement/1", since_days=20), reported=True)
    therapy = read(record(orders=(order(400), said)))
    assert [p.code for p in therapy.problems] == ["dose-reported-differs"]
    assert therapy.course.regimen == once_daily(400)
    assert therapy.course.reported_daily_mg == 200


def test_what_was_said_before_the_present_order_disputes_nothing_that_is_taken_now() -> None:
    said = replace(order(200, reference="MedicationStatement/1", since_days=300), reported=True)
    therapy = read(record(orders=(order(400), said)))
    assert [p.code for p in therapy.problems] == ["dose-reported-differs"]
    assert therapy.course.reported_daily_mg is None


def test_without_an_order_the_statement_is_the_course() -> None:
    said = replace(order(400, reference="MedicationStatement/1"), reported=True)
    course = read(record(orders=(said,))).course
    assert course.active
    assert course.regimen == once_daily(400)


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.UNKNOWN])
def test_an_order_that_was_never_followed_is_no_part_of_the_course(status: OrderStatus) -> None:
    assert read(record(orders=(order(status=status),))).segments == ()


def test_two_strengths_being_ordered_together_are_one_order() -> None:
    drafts = (
        order(400, draft=True, strength_mg=400),
        order(200, draft=True, strength_mg=100, reference="MedicationRequest/2"),
    )
    therapy = read(record(orders=drafts))
    assert [d.regimens[0].daily_mg for d in therapy.drafts] == [600]
    assert therapy.drafts[0].reference == "MedicationRequest/1"


def test_two_equal_orders_being_written_stay_two() -> None:
    drafts = (order(400, draft=True), order(400, draft=True, reference="MedicationRequest/2"))
    assert len(read(record(orders=drafts)).drafts) == 2


def _signed(mg: float, status: OrderStatus) -> DrugOrder:
    """An order of 200 days whose end or hold is being signed now."""
    return replace(order(mg, draft=True), status=status)


@pytest.mark.parametrize("status", [OrderStatus.STOPPED, OrderStatus.ON_HOLD])
def test_until_its_end_is_signed_an_order_is_the_one_being_followed(status: OrderStatus) -> None:
    therapy = read(record(orders=(_signed(400, status),)))
    assert therapy.course.regimen == once_daily(400)
    assert therapy.course.active
    assert not therapy.course.starting


def test_a_stop_beside_a_new_order_is_a_change_of_dose_and_no_sum() -> None:
    new = order(200, draft=True, reference="MedicationRequest/new", strength_mg=100)
    therapy = read(record(orders=(_signed(400, OrderStatus.STOPPED), new)))
    assert therapy.overlaps == ()
    assert [o.regimens[0].daily_mg for o in therapy.drafts] == [200, 400]


def test_a_cancelled_draft_is_no_therapy() -> None:
    course = read(record(orders=(_signed(400, OrderStatus.CANCELLED),))).course
    assert not course.active
    assert not course.starting


def test_two_new_orders_of_one_bundle_that_add_up_are_an_overlap() -> None:
    first = order(400, draft=True, reference="MedicationRequest/a", strength_mg=400)
    same = order(400, draft=True, reference="MedicationRequest/b", strength_mg=400)
    (found,) = read(record(orders=(first, same))).overlaps_written
    assert (found.total_mg, found.make_up) == (800, False)
    rest = order(200, draft=True, reference="MedicationRequest/b", strength_mg=100)
    assert read(record(orders=(first, rest))).overlaps_written == ()
    following = replace(same, replaces="MedicationRequest/a")
    assert read(record(orders=(first, following))).overlaps_written == ()


def test_new_orders_that_follow_each_other_in_time_do_not_overlap() -> None:
    until, then = once_daily(400, ends=ago(days=-14)), once_daily(600, starts=ago(days=-14))
    first = order(draft=True, reference="MedicationRequest/a", regimen=until)
    second = order(draft=True, reference="MedicationRequest/b", regimen=then)
    assert read(record(orders=(second, first))).overlaps_written == ()
    sooner = replace(second, regimens=(once_daily(600, starts=ago(days=-13)),))
    assert len(read(record(orders=(first, sooner))).overlaps_written) == 1


@pytest.mark.parametrize("draft", [True, False])
def test_of_a_dozen_orders_at_once_every_pair_is_named_and_then_each_order_once(
    draft: bool,
) -> None:
    def overlaps(count: int) -> tuple[Overlap, ...]:
        orders = [order(draft=draft, reference=f"MedicationRequest/{i:03}") for i in range(count)]
        therapy = read(record(orders=tuple(orders)))
        assert therapy.course.regimen is None
        return therapy.overlaps_written if draft else therapy.overlaps

    assert len(overlaps(12)) == 12 * 11 / 2
    many = overlaps(150)
    assert len(many) == 12 * 11 / 2 + 138
    assert len({o.reference for pair in many for o in (pair.first, pair.second)}) == 150

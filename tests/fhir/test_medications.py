"""Orders, statements, administrations and dispenses of the drug, and other medicines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.medication import UseState
from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus
from tests.fhir.factories import (
    IMATINIB_100,
    IMATINIB_400,
    RXNORM,
    coded,
    dosage,
    quantity,
    request,
)

Read = Callable[..., PatientRecord]

_TABLET = {"value": 1, "unit": "tablet"}
_DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}


def _tablets(count: float, **fields: Any) -> dict[str, Any]:
    dose = {"timing": _DAILY, "doseAndRate": [{"doseQuantity": {"value": count, "unit": "tablet"}}]}
    return {"dosageInstruction": [dose]} | fields


def _medication(**fields: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": "m", "code": {"text": "Imatinib"}} | fields


def _strength(
    mg: float, name: str = "imatinib", per: dict[str, Any] | None = None
) -> dict[str, Any]:
    ratio = {"numerator": quantity(mg, "mg"), "denominator": per or {"value": 1}}
    return {"ingredient": [{"itemCodeableConcept": {"text": name}, "strength": ratio}]}


def _ordered_by_reference(count: float, medication: dict[str, Any]) -> dict[str, Any]:
    order = request(
        medicationReference={"reference": "#m"}, contained=[medication], **_tablets(count)
    )
    del order["medicationCodeableConcept"]
    return order


# --- product and strength ---


def test_medications_of_one_name_and_two_strengths_are_not_mixed(read: Read) -> None:
    orders = [
        _ordered_by_reference(2, _medication(**_strength(mg))) | {"id": f"of-{mg}"}
        for mg in (100, 400)
    ]
    named = request(medicationCodeableConcept={"text": "Imatinib"}, **_tablets(2))
    found = {o.reference: o for o in read(*orders, named).orders}
    doses = {name: [d.amount_mg for r in o.regimens for d in r.doses] for name, o in found.items()}
    assert doses == {
        "MedicationRequest/of-100": [200.0],
        "MedicationRequest/of-400": [800.0],
        "MedicationRequest/mr1": [],
    }


def test_a_medication_sent_beside_the_order_gives_the_strength(read: Read) -> None:
    order = request(medicationReference={"reference": "Medication/m"}, **_tablets(4))
    del order["medicationCodeableConcept"]
    medication = _medication(**_strength(100))
    assert read(order, medication).orders[0].regimens[0].daily_mg == 400


@pytest.mark.parametrize(
    "reference",
    ["Medication/m", "https://ehr.example/fhir/Medication/m", "Medication/m/_history/3"],
)
def test_every_literal_form_of_a_reference_is_resolved(reference: str, read: Read) -> None:
    order = request(medicationReference={"reference": reference}, **_tablets(1))
    del order["medicationCodeableConcept"]
    record = read(order, _medication(code=IMATINIB_400))
    assert record.orders[0].regimens[0].daily_mg == 400


@pytest.mark.parametrize(
    ("medication", "daily_mg"),
    [
        (_medication(**_strength(400)), 400),
        (_medication(**_strength(119.5, "imatinib mesylate")), 100),
        (_medication(**_strength(478, "Imatinib mesilate")), 400),
        # Product lists that name the salt and state the strength as base.
        (_medication(**_strength(400, "imatinib mesylate")), 400),
        (_medication(code=IMATINIB_100), 100),
        (_medication(code={"text": "Glivec 100 mg"}), 100),
        (_medication(code={"text": "119.5 mg imatinib mesylate (100 mg imatinib)"}), 100),
    ],
)
def test_a_tablet_holds_what_its_product_states_in_mg_of_base(
    medication: dict[str, Any], daily_mg: float, read: Read
) -> None:
    (order,) = read(_ordered_by_reference(1, medication)).orders
    assert order.regimens[0].daily_mg == daily_mg
    assert order.strength_mg == daily_mg


@pytest.mark.parametrize(
    ("medication", "code"),
    [
        (_medication(), "strength-unknown"),
        (_medication(code={"text": "imatinib 100 mg or 400 mg tablet"}), "strength-unknown"),
        (_medication(code=IMATINIB_400, **_strength(100)), "strength-conflict"),
        (_medication(**_strength(40)), "strength-not-marketed"),
        (_medication(code={"text": "imatinib 40 mg tablet"}), "strength-not-marketed"),
    ],
)
def test_a_doubtful_strength_is_a_question(
    medication: dict[str, Any], code: str, read: Read
) -> None:
    record = read(_ordered_by_reference(1, medication))
    assert record.orders[0].regimens == ()
    assert [problem.code for problem in record.problems] == [code]


def test_ml_of_a_solution_use_its_strength(read: Read) -> None:
    medication = _medication(**_strength(80, per={"value": 1, "unit": "mL"}))
    order = _ordered_by_reference(1, medication)
    order["dosageInstruction"][0]["doseAndRate"] = [{"doseQuantity": quantity(5, "mL")}]
    assert read(order).orders[0].regimens[0].daily_mg == 400


def test_the_only_known_solution_is_assumed_aloud(read: Read) -> None:
    order = request(
        medicationCodeableConcept={"text": "imatinib oral solution"},
        dosageInstruction=[
            {"timing": _DAILY, "doseAndRate": [{"doseQuantity": quantity(5, "mL")}]}
        ],
    )
    (regimen,) = read(order).orders[0].regimens
    assert regimen.daily_mg == 400
    assert any("80 mg/mL" in words for words in regimen.assumptions)


def test_a_dose_per_m2_uses_a_recent_body_surface_and_says_so(read: Read) -> None:
    order = request(
        dosageInstruction=[
            dosage() | {"doseAndRate": [{"doseQuantity": {"value": 340, "unit": "mg/m2"}}]}
        ]
    )
    surface = {
        "resourceType": "Observation",
        "id": "bsa",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": coded("http://loinc.org", "3140-1"),
        "effectiveDateTime": "2024-05-20",
        "valueQuantity": quantity(1.0, "m2"),
    }
    (regimen,) = read(order, surface).orders[0].regimens
    assert regimen.daily_mg == 340
    assert any("1.00 m2" in words for words in regimen.assumptions)
    old = read(order, surface | {"effectiveDateTime": "2023-05-20"})
    assert [problem.code for problem in old.problems] == ["dose-needs-body-surface"]


@pytest.mark.parametrize(
    ("kg", "cm", "daily_mg"),
    [(25.0, 144.0, 340.0), (25.0, None, None), (250.0, 144.0, None)],
)
def test_without_a_recorded_body_surface_weight_and_height_give_one(
    kg: float, cm: float | None, daily_mg: float | None, read: Read
) -> None:
    per_m2 = [{"doseQuantity": {"value": 340, "unit": "mg/m2"}}]
    order = request(dosageInstruction=[dosage() | {"doseAndRate": per_m2}])
    body = [
        {
            "resourceType": "Observation",
            "id": unit,
            "status": "final",
            "subject": {"reference": "Patient/p"},
            "code": coded("http://loinc.org", code),
            "effectiveDateTime": "2024-05-20",
            "valueQuantity": quantity(value, unit),
        }
        for code, value, unit in (("29463-7", kg, "kg"), ("8302-2", cm, "cm"))
        if value is not None
    ]
    found = read(order, *body).orders[0].regimens
    assert (found[0].daily_mg if found else None) == daily_mg


def test_a_code_of_the_drug_under_the_name_of_another_medicine_is_a_question(read: Read) -> None:
    record = read(request(medicationCodeableConcept=coded(RXNORM, "282388", "bortezomib")))
    assert [problem.code for problem in record.problems] == ["medication-code-mismatch"]
    assert record.orders[0].regimens == ()


def test_a_national_product_code_beside_the_name_of_the_drug_is_no_contradiction(
    read: Read,
) -> None:
    product = coded("http://snomed.info/sct", "323999009", "Imatinib 400mg tablets")
    assert read(request(medicationCodeableConcept=product)).orders[0].regimens[0].daily_mg == 400


def test_the_code_of_another_medicine_beside_the_name_of_the_drug_is_a_question(
    read: Read,
) -> None:
    product = coded("http://www.whocc.no/atc", "J04AB02", "Imatinib 400 mg")
    record = read(request(medicationCodeableConcept=product))
    assert [problem.code for problem in record.problems] == ["medication-code-mismatch"]


# --- orders ---


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", OrderStatus.ACTIVE),
        ("on-hold", OrderStatus.ON_HOLD),
        ("stopped", OrderStatus.STOPPED),
        ("completed", OrderStatus.COMPLETED),
        ("cancelled", OrderStatus.CANCELLED),
        ("draft", OrderStatus.DRAFT),
        ("unknown", OrderStatus.UNKNOWN),
    ],
)
def test_an_order_keeps_its_status(status: str, expected: OrderStatus, read: Read) -> None:
    assert read(request(status=status)).orders[0].status is expected


def test_an_order_entered_in_error_is_ignored_and_said(read: Read) -> None:
    record = read(request(status="entered-in-error"))
    assert record.orders == ()
    assert [problem.code for problem in record.problems] == ["entered-in-error"]


def test_a_stopped_order_ends_with_its_bounds_or_says_that_the_date_is_unknown(read: Read) -> None:
    bounded = dosage(boundsPeriod={"start": "2024-01-01", "end": "2024-03-31"})
    bounded["timing"]["repeat"] |= {"frequency": 1, "period": 1, "periodUnit": "d"}
    (order,) = read(request(status="stopped", dosageInstruction=[bounded])).orders
    assert order.stopped is not None
    assert order.stopped.at.isoformat() == "2024-03-31T22:00:00+00:00"
    record = read(request(status="stopped"))
    assert record.orders[0].stopped is None
    assert [problem.code for problem in record.problems] == ["order-stop-date-unknown"]


def test_a_stop_without_a_date_is_a_note_once_a_later_order_is_followed(read: Read) -> None:
    old = request("old", status="stopped")
    (alone,) = read(old).problems
    (settled,) = read(old, request("new", authoredOn="2024-03-01")).problems
    (earlier,) = read(old, request("new", authoredOn="2023-03-01")).problems
    (over,) = read(old, request("new", authoredOn="2024-03-01", status="cancelled")).problems

    assert alone.impact is Impact.LIMITS
    assert settled.impact is Impact.NOTICE
    assert earlier.impact is Impact.LIMITS
    assert over.impact is Impact.LIMITS


def test_an_unreadable_order_that_is_over_does_not_prevent_advice(read: Read) -> None:
    record = read(request(), request("old", status="completed", dosageInstruction=[]))
    assert [problem.impact for problem in record.problems] == [Impact.LIMITS]


def test_a_draft_of_the_hook_is_read_whatever_its_intent_and_marked(read: Read) -> None:
    draft = request("d", status="draft", intent="proposal", dosageInstruction=[dosage(600)])
    record = read(request(), drafts=[draft], selections=["MedicationRequest/d"])
    by_reference = {order.reference: order for order in record.orders}
    written = by_reference["MedicationRequest/d"]
    assert (written.is_draft, written.selected, written.status) == (True, True, OrderStatus.DRAFT)
    assert written.regimens[0].daily_mg == 600
    assert not by_reference["MedicationRequest/mr1"].is_draft


@pytest.mark.parametrize("status", ["stopped", "cancelled", "completed", "on-hold"])
def test_an_end_that_is_being_signed_needs_no_dosage(status: str, read: Read) -> None:
    record = read(drafts=[request(status=status, dosageInstruction=[])])
    assert record.problems == ()


@pytest.mark.parametrize(
    ("status", "read_as"),
    [("stopped", OrderStatus.STOPPED), ("cancelled", OrderStatus.CANCELLED)],
)
def test_an_order_written_to_end_the_drug_keeps_saying_so(
    status: str, read_as: OrderStatus, read: Read
) -> None:
    record = read(request(), drafts=[request("d", status=status)])
    by_reference = {order.reference: order for order in record.orders}
    written = by_reference["MedicationRequest/d"]
    assert (written.is_draft, written.status) == (True, read_as)
    assert record.problems == ()


def test_a_draft_with_the_id_of_an_order_leaves_what_was_followed_until_now(read: Read) -> None:
    stored = request(meta={"lastUpdated": "2030-01-01T00:00:00Z"})
    record = read(stored, drafts=[request(dosageInstruction=[dosage(600)])])
    followed, written = sorted(record.orders, key=lambda order: order.is_draft)
    assert (followed.is_draft, followed.regimens[0].daily_mg) == (False, 400)
    assert (written.is_draft, written.regimens[0].daily_mg) == (True, 600)
    assert followed.reference == written.reference


def test_another_medicine_being_changed_is_read_as_the_draft_alone(read: Read) -> None:
    stored = request(medicationCodeableConcept={"text": "rifampicin"})
    record = read(stored, drafts=[stored | {"status": "stopped"}])
    (medicine,) = record.medicines
    assert medicine.state is UseState.STOPPED


def test_a_stored_order_of_another_patient_is_no_history(read: Read) -> None:
    stored = request(subject={"reference": "Patient/somebody-else"})
    record = read(stored, drafts=[request(dosageInstruction=[dosage(600)])])
    (written,) = record.orders
    assert written.is_draft


def test_two_orders_that_make_up_one_dose_both_stay_with_their_group(read: Read) -> None:
    group = {"value": "g1"}
    record = read(
        request("a", groupIdentifier=group),
        request("b", medicationCodeableConcept=IMATINIB_100, groupIdentifier=group, **_tablets(2)),
    )
    assert [(o.regimens[0].daily_mg, o.group) for o in record.orders] == [(400, "g1"), (200, "g1")]


def test_an_order_that_follows_another_names_it(read: Read) -> None:
    prior = {"reference": "https://ehr/fhir/MedicationRequest/old"}
    assert read(request(priorPrescription=prior)).orders[0].replaces == "MedicationRequest/old"


def test_days_of_the_week_count_from_the_day_the_order_starts(read: Read) -> None:
    wednesday = dosage(
        frequency=1,
        period=1,
        periodUnit="d",
        dayOfWeek=["mon", "wed", "fri"],
        boundsPeriod={"start": "2024-05-01"},
    )
    (regimen,) = read(request(dosageInstruction=[wednesday])).orders[0].regimens
    assert [dose.offset_h for dose in regimen.doses] == [0, 48, 120]
    assert regimen.cycle_h == 168


# --- statements ---


def _statement(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "active",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": IMATINIB_400,
        "effectivePeriod": {"start": "2024-02-01"},
        "dosage": [dosage(300)],
    } | fields


def test_a_statement_tells_what_is_taken_without_adding_to_the_order(read: Read) -> None:
    (order,) = read(_statement()).orders
    assert order.reported
    assert order.regimens[0].daily_mg == 300
    assert any("reported" in words for words in order.regimens[0].assumptions)


def test_a_statement_at_a_clock_time_is_one_dose_taken(read: Read) -> None:
    one = _statement(
        effectiveDateTime="2024-05-19T08:00:00+02:00",
        status="completed",
        dosage=[{"doseAndRate": [{"doseQuantity": quantity(400, "mg")}]}],
    )
    del one["effectivePeriod"]
    record = read(one)
    assert record.orders == ()
    (dose,) = record.taken
    assert (dose.amount_mg, dose.taken, dose.basis) == (400, True, "statement")


def test_not_taken_is_a_missed_dose_or_a_period_that_is_said(read: Read) -> None:
    on_a_day = _statement(status="not-taken", effectiveDateTime="2024-05-19")
    del on_a_day["effectivePeriod"]
    assert [dose.taken for dose in read(on_a_day).taken] == [False]
    during = {"start": "2024-04-01", "end": "2024-04-10"}
    record = read(_statement(status="not-taken", effectivePeriod=during))
    (problem,) = record.problems
    assert problem.code == "not-taken-period"
    assert "2024-04-01 to before 2024-04-11" in problem.message
    assert [dose.taken for dose in record.taken] == [False] * 10
    assert record.orders == ()


# --- administrations and dispenses ---


def _administration(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": IMATINIB_400,
        "effectiveDateTime": "2024-05-19T08:00:00+02:00",
        "dosage": {"dose": _TABLET},
    } | fields


def test_an_administration_is_a_dose_taken(read: Read) -> None:
    (dose,) = read(_administration()).taken
    assert (dose.amount_mg, dose.taken, dose.basis) == (400, True, "administration")


def test_an_administration_not_done_is_a_missed_dose(read: Read) -> None:
    (dose,) = read(_administration(status="not-done")).taken
    assert (dose.taken, dose.amount_mg) == (False, None)


@pytest.mark.parametrize(
    ("fields", "code", "taken"),
    [
        ({"status": "in-progress"}, "administration-not-usable", 0),
        ({"status": "entered-in-error"}, "entered-in-error", 0),
        ({"dosage": {"dose": {"value": 400}}}, "administration-dose-unknown", 1),
        ({"dosage": {"text": "given"}}, "administration-dose-unknown", 1),
    ],
)
def test_an_administration_that_does_not_count_or_lacks_its_dose_is_said(
    fields: dict[str, Any], code: str, taken: int, read: Read
) -> None:
    record = read(_administration(**fields))
    assert [problem.code for problem in record.problems] == [code]
    assert len(record.taken) == taken


def _dispense(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": IMATINIB_400,
        "whenHandedOver": "2024-04-01",
        "daysSupply": {"value": 30, "unit": "d"},
        "quantity": {"value": 30, "unit": "tablet"},
    } | fields


def test_a_dispense_is_a_supply_of_days(read: Read) -> None:
    (supply,) = read(_dispense()).supplies
    assert (supply.days, supply.quantity) == (30, 30)


def test_weeks_of_supply_are_days(read: Read) -> None:
    (supply,) = read(_dispense(daysSupply={"value": 4, "code": "wk"})).supplies
    assert supply.days == 28


@pytest.mark.parametrize(
    ("fields", "code", "supplies"),
    [
        ({"status": "declined"}, "supply-not-handed-over", 0),
        ({"status": "preparation"}, "supply-not-handed-over", 0),
        ({"whenHandedOver": None, "whenPrepared": "2024-04-01"}, "supply-not-handed-over", 0),
        ({"status": "entered-in-error"}, "entered-in-error", 0),
        ({"daysSupply": None}, "supply-days-unknown", 1),
        ({"daysSupply": {"value": 10**14, "unit": "d"}}, "supply-days-unknown", 1),
        ({"daysSupply": {"value": 1, "unit": "box"}}, "supply-days-unknown", 1),
    ],
)
def test_a_dispense_that_was_not_handed_over_or_lacks_days_is_said(
    fields: dict[str, Any], code: str, supplies: int, read: Read
) -> None:
    record = read(_dispense(**fields))
    assert [problem.code for problem in record.problems] == [code]
    assert len(record.supplies) == supplies


# --- other medicines ---

_RIFAMPICIN = coded(RXNORM, "9384", "rifampin 300 MG")


def test_another_medicine_has_its_ingredients_dose_and_route(read: Read) -> None:
    oral = dosage(600) | {"route": {"text": "Oral"}}
    record = read(request(medicationCodeableConcept=_RIFAMPICIN, dosageInstruction=[oral]))
    assert not record.mentions_drug
    (medicine,) = record.medicines
    assert medicine.ingredients == ("rifampicin",)
    assert (medicine.state, medicine.daily_mg, medicine.systemic) == (UseState.ACTIVE, 600, True)


@pytest.mark.parametrize(
    ("route", "systemic"),
    [
        ("Topical", False),
        ("Ophthalmic route", False),
        ("Intravenous", True),
        ("PO", True),
        ("Nasogastric", True),
        ("By mouth", True),
        ("as directed", None),
        (None, None),
    ],
)
def test_a_route_says_whether_a_medicine_is_systemic(
    route: str | None, systemic: bool | None, read: Read
) -> None:
    one = dosage(10) | ({"route": {"text": route}} if route else {})
    order = request(medicationCodeableConcept=_RIFAMPICIN, dosageInstruction=[one])
    assert read(order).medicines[0].systemic is systemic


def test_a_medicine_known_only_by_name_is_found(read: Read) -> None:
    record = read(request(medicationCodeableConcept={"text": "Rifampin 300 mg capsule"}))
    assert record.medicines[0].ingredients == ("rifampicin",)


def test_as_needed_and_single_doses_are_marked(read: Read) -> None:
    record = read(
        request(
            "a",
            medicationCodeableConcept=_RIFAMPICIN,
            dosageInstruction=[dosage() | {"asNeededBoolean": True}],
        ),
        request(
            "b",
            medicationCodeableConcept=_RIFAMPICIN,
            dosageInstruction=[{"timing": {"code": {"text": "Once"}}}],
        ),
    )
    marks = {m.reference: (m.as_needed, m.single_dose) for m in record.medicines}
    assert marks == {"MedicationRequest/a": (True, False), "MedicationRequest/b": (False, True)}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"status": "stopped"}, UseState.STOPPED),
        ({"status": "on-hold"}, UseState.ON_HOLD),
        ({"status": "draft"}, UseState.DRAFT),
        ({"intent": "proposal"}, UseState.UNKNOWN),
    ],
)
def test_a_medicine_has_the_state_of_its_order(
    fields: dict[str, Any], state: UseState, read: Read
) -> None:
    record = read(request(medicationCodeableConcept=_RIFAMPICIN, **fields))
    assert record.medicines[0].state is state


@pytest.mark.parametrize("fields", [{"status": "cancelled"}, {"doNotPerform": True}])
def test_a_medicine_that_was_never_taken_is_left_out(fields: dict[str, Any], read: Read) -> None:
    assert read(request(medicationCodeableConcept=_RIFAMPICIN, **fields)).medicines == ()


def test_an_active_order_whose_period_is_over_counts_as_stopped(read: Read) -> None:
    past = dosage(frequency=1, period=1, periodUnit="d", boundsPeriod={"end": "2024-01-31"})
    record = read(request(medicationCodeableConcept=_RIFAMPICIN, dosageInstruction=[past]))
    assert record.medicines[0].state is UseState.STOPPED


def test_a_supply_that_is_used_up_counts_as_stopped(read: Read) -> None:
    recent = _dispense(medicationCodeableConcept=_RIFAMPICIN, whenHandedOver="2024-05-20")
    assert read(recent).medicines[0].state is UseState.ACTIVE
    old = _dispense(medicationCodeableConcept=_RIFAMPICIN, whenHandedOver="2024-02-20")
    assert read(old).medicines[0].state is UseState.STOPPED


def test_a_medicine_that_was_not_sent_is_a_problem(read: Read) -> None:
    order = request(medicationReference={"reference": "Medication/unknown"})
    del order["medicationCodeableConcept"]
    record = read(order)
    assert [problem.code for problem in record.problems] == ["medication-unresolved"]
    assert record.medicines[0].ingredients == ()


@pytest.mark.parametrize("status", ["stopped", "completed", "on-hold", "cancelled"])
def test_an_end_or_a_hold_that_is_being_signed_stays_one(status: str, read: Read) -> None:
    (order,) = read(drafts=[request(status=status)]).orders
    assert order.is_draft
    assert order.status is OrderStatus(status)


@pytest.mark.parametrize(
    ("status", "state"), [("stopped", UseState.STOPPED), ("on-hold", UseState.ON_HOLD)]
)
def test_another_medicine_whose_end_or_hold_is_being_signed_is_not_being_ordered(
    status: str, state: UseState, read: Read
) -> None:
    (medicine,) = read(
        drafts=[request(medicationCodeableConcept=_RIFAMPICIN, status=status)]
    ).medicines
    assert (medicine.is_draft, medicine.state) == (False, state)


def test_an_order_of_unknown_status_is_said(read: Read) -> None:
    record = read(request(status="unknown"))
    assert [problem.code for problem in record.problems] == ["order-status-unknown"]


def test_a_known_medicine_whose_status_is_unknown_is_said(read: Read) -> None:
    record = read(request(medicationCodeableConcept=_RIFAMPICIN, status="unknown"))
    assert [problem.code for problem in record.problems] == ["medicine-status-unknown"]
    assert record.medicines[0].state is UseState.UNKNOWN

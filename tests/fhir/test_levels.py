"""Levels: value, unit, report, specimen and the time since the last dose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.level import Comparator, Level, NoNumber, ResultStatus, TimingClaim
from cds.clinical.moment import Precision
from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from tests.fhir.factories import (
    IMATINIB_400,
    LOINC,
    SNOMED,
    coded,
    dosage,
    level,
    quantity,
    request,
)

Read = Callable[..., PatientRecord]


def _one(record: PatientRecord) -> Level:
    (found,) = record.levels
    return found


def _codes(record: PatientRecord) -> list[str]:
    return [problem.code for problem in record.problems]


# --- value and unit ---


@pytest.mark.parametrize(
    ("value", "unit", "ng_ml"),
    [
        (850, "ng/mL", 850.0),
        (850, "ug/L", 850.0),
        (0.85, "mg/L", 850.0),
        (1.722, "umol/L", 849.9792),
        (1722, "nmol/L", 849.9792),
    ],
)
def test_a_level_is_read_in_five_units(value: float, unit: str, ng_ml: float, read: Read) -> None:
    found = _one(read(level(value, unit)))
    assert found.ng_ml == ng_ml
    assert (found.reported_value, found.reported_unit) == (str(value), unit)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"value": 850}, "level-unit-unreadable"),
        ({"value": 850, "unit": "g/L"}, "level-unit-unreadable"),
        ({"value": 850, "unit": "furlong"}, "level-unit-unreadable"),
        (quantity(850, "ng/mL") | {"code": "mg/L"}, "level-unit-conflict"),
        (quantity(0, "ng/mL"), "level-value-implausible"),
        (quantity(-5, "ng/mL"), "level-value-implausible"),
        (quantity(850, "ng/mL") | {"comparator": "~"}, "lab-value-unreadable"),
    ],
)
def test_a_level_in_doubt_keeps_its_words_but_has_no_number(
    value: dict[str, Any], code: str, read: Read
) -> None:
    record = read(level(valueQuantity=value))
    assert _one(record).ng_ml is None
    assert _one(record).reported_value.endswith(str(value["value"]))
    assert _codes(record) == [code]


@pytest.mark.parametrize(
    ("value", "why", "said"),
    [
        ({"valueQuantity": quantity(0, "ng/mL")}, NoNumber.ZERO, "below the limit"),
        ({"valueQuantity": quantity(-5, "ng/mL")}, NoNumber.NEGATIVE, "negative"),
        ({"valueQuantity": {"value": 850}}, NoNumber.UNIT, "unit"),
        ({"valueQuantity": None, "valueString": "850 ng/mL"}, NoNumber.TEXT, "text"),
    ],
)
def test_a_level_that_is_no_number_says_why(
    value: dict[str, Any], why: NoNumber, said: str, read: Read
) -> None:
    record = read(level(**value))
    assert _one(record).no_number is why
    assert said in record.problems[0].message


@pytest.mark.parametrize(
    ("sampled", "ahead"),
    [("2024-06-01T14:00:00Z", False), ("2024-06-02T11:59:00Z", False), ("2024-06-05", True)],
)
def test_a_level_dated_more_than_a_day_ahead_is_known_to_be(
    sampled: str, ahead: bool, read: Read
) -> None:
    assert _one(read(level(effectiveDateTime=sampled))).dated_ahead is ahead


def test_text_has_no_unit_to_miss(read: Read) -> None:
    text = _one(read(level(valueQuantity=None, valueString="850 ng/mL")))
    number = _one(read(level(valueQuantity={"value": 850})))
    assert (text.reported, number.reported) == ("850 ng/mL", "850 (no unit)")


def test_a_level_that_is_a_number_has_no_reason_not_to_be_one(read: Read) -> None:
    assert _one(read(level())).no_number is None


def test_an_old_level_in_doubt_does_not_prevent_advice_on_a_later_one(read: Read) -> None:
    old = level(id="old", effectiveDateTime="2022-05-20T08:00:00+02:00", valueQuantity={"value": 9})
    assert [problem.impact for problem in read(old).problems] == [Impact.PREVENTS]
    assert [problem.impact for problem in read(old, level()).problems] == [Impact.LIMITS]


def test_a_level_written_as_text_needs_confirmation(read: Read) -> None:
    written = level(valueString="1,250 ng/mL")
    del written["valueQuantity"]
    record = read(written)
    assert (_one(record).ng_ml, _one(record).reported_value) == (None, "1,250 ng/mL")
    assert _codes(record) == ["level-value-text"]


def test_a_level_below_quantification_keeps_its_comparator(read: Read) -> None:
    found = _one(read(level(valueQuantity=quantity(50, "ng/mL") | {"comparator": "<"})))
    assert (found.ng_ml, found.comparator) == (50.0, Comparator.LESS)
    assert found.reported_value == "<50"


def test_a_level_without_a_value_says_why(read: Read) -> None:
    empty = level(dataAbsentReason={"text": "haemolysed"})
    del empty["valueQuantity"]
    record = read(empty)
    assert record.levels == ()
    assert _codes(record) == ["level-no-value"]
    assert "haemolysed" in record.problems[0].message


def test_a_level_inside_a_panel_is_found(read: Read) -> None:
    panel = level(
        code=coded(LOINC, "99999-9", "Drug panel"),
        component=[
            {
                "code": coded(LOINC, "57844-3"),
                "valueQuantity": quantity(850, "ng/mL"),
            }
        ],
    )
    del panel["valueQuantity"]
    assert _one(read(panel)).ng_ml == 850


def test_a_component_has_its_own_value_or_none_never_that_of_the_panel(read: Read) -> None:
    panel = level(
        999,
        code=coded(LOINC, "99999-9", "Drug panel"),
        component=[{"code": coded(LOINC, "57844-3"), "dataAbsentReason": {"text": "lost"}}],
    )
    record = read(panel)
    assert record.levels == ()
    assert _codes(record) == ["level-no-value"]


@pytest.mark.parametrize(
    "name", ["Imatinib trough level", "Imatinib-Talspiegel", "Imatinibspiegel"]
)
def test_a_result_named_like_a_level_under_an_unknown_code_is_asked_about(
    name: str, read: Read
) -> None:
    record = read(level(code={"text": name}))
    assert record.levels == ()
    assert _codes(record) == ["level-code-unknown"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Bortezomib plasma", "level-code-mismatch"),
        ("Imatinib, unbound", "level-of-free-drug"),
        ("N-Desmethylimatinib", "level-of-metabolite"),
    ],
)
def test_a_test_that_names_another_analyte_is_no_level(name: str, code: str, read: Read) -> None:
    record = read(level(code=coded(LOINC, "57844-3", name)))
    assert record.levels == ()
    assert _codes(record) == [code]


@pytest.mark.parametrize("value", ["1,72", "1720", "n.d."])
def test_a_number_written_as_text_is_a_level_to_confirm(value: str, read: Read) -> None:
    written = level(valueQuantity={"value": value, "unit": "ng/mL"})
    record = read(written)
    found = _one(record)
    assert (found.ng_ml, found.no_number, found.reported_value) == (
        None,
        NoNumber.TEXT,
        f"{value} ng/mL",
    )
    assert _codes(record) == ["level-value-text"]


def test_a_test_named_after_the_salt_is_read_as_base_aloud(read: Read) -> None:
    record = read(level(code=coded(LOINC, "57844-3", "Imatinib Mesylate [Mass/volume]")))
    assert _one(record).ng_ml == 850
    assert _codes(record) == ["level-salt-named"]


@pytest.mark.parametrize(
    "note",
    [
        "Talspiegel, 24 h nach letzter Einnahme",
        "24 heures après la dernière prise",
        "24 h post dose",
        "Last dose 24 h prior to sample",
        "Letzte Einnahme: 19.05.2024, 08:00 Uhr",
        "Letzte Einnahme 19.5. 8 Uhr",
        "letzte Einnahme gestern um 8.00 Uhr",
        "Dernière prise le 19/05/2024 à 8h00",
        "Dernière prise la veille à 8h",
        "Laatste inname 19-05-2024 08:00",
        "Last dose 5/19/2024 8:00 AM",
        "last dose 2024-05-19 08:00",
    ],
)
def test_a_comment_in_other_languages_says_the_time_after_the_dose(note: str, read: Read) -> None:
    (claim,) = _one(read(level(note=[{"text": note}]))).timing
    assert (claim.hours, claim.basis) == (24, "comment")


@pytest.mark.parametrize(
    "note",
    [
        "Last dose 04/03/2024 08:00",  # the third of April or the fourth of March
        "Last dose 8 h",  # a clock or a duration
        "Dernière prise à 12h du prélèvement",
        "Letzte Einnahme 31.02.2024 08:00",
        "Letzte Einnahme unbekannt",
    ],
)
def test_a_time_that_may_be_another_is_not_read(note: str, read: Read) -> None:
    assert _one(read(level(note=[{"text": note}]))).timing == ()


def test_a_form_field_in_german_says_the_time_of_the_last_dose(read: Read) -> None:
    field = {"code": {"text": "Letzte Einnahme"}, "valueDateTime": "2024-05-19T08:00:00Z"}
    drawn = level(effectiveDateTime="2024-05-20T08:00:00Z", component=[field])
    (claim,) = _one(read(drawn)).timing
    assert (claim.hours, claim.basis) == (24, "lab-form")


# --- which report counts ---


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        ("cancelled", ["level-withdrawn"]),
        ("entered-in-error", ["level-withdrawn"]),
        ("registered", ["level-pending"]),
        ("unknown", ["level-status-unusable"]),
    ],
)
def test_a_level_that_does_not_count_is_left_out_with_the_reason(
    status: str, codes: list[str], read: Read
) -> None:
    record = read(level(status=status))
    assert record.levels == ()
    assert _codes(record) == codes


def test_a_preliminary_level_counts_and_is_said(read: Read) -> None:
    record = read(level(status="preliminary"))
    assert _one(record).status is ResultStatus.PRELIMINARY
    assert _codes(record) == ["level-preliminary"]


def test_a_correction_under_the_same_identifier_replaces_the_first_report(read: Read) -> None:
    same = {"identifier": [{"system": "urn:lab", "value": "7"}]}
    first = level(850, id="l1", issued="2024-05-20T12:00:00Z", **same)
    second = level(580, id="l2", status="corrected", issued="2024-05-21T12:00:00Z", **same)
    for order in ([first, second], [second, first]):
        record = read(*order)
        assert _one(record).ng_ml == 580
        assert _codes(record) == ["level-superseded"]


def test_a_withdrawn_duplicate_does_not_displace_the_report_that_stands(read: Read) -> None:
    same = {"identifier": [{"system": "urn:lab", "value": "7"}]}
    stands = level(580, id="l1", status="corrected", issued="2024-05-20T12:00:00Z", **same)
    withdrawn = level(
        850, id="l2", status="entered-in-error", issued="2024-05-21T12:00:00Z", **same
    )
    assert _one(read(stands, withdrawn)).ng_ml == 580


def test_the_newest_version_of_an_id_counts_even_if_it_withdraws_the_result(read: Read) -> None:
    old = level(meta={"versionId": "1", "lastUpdated": "2024-05-20T12:00:00Z"})
    new = level(
        status="entered-in-error", meta={"versionId": "2", "lastUpdated": "2024-05-21T12:00:00Z"}
    )
    for order in ([old, new], [new, old]):
        assert read(*order).levels == ()


def test_the_same_level_sent_twice_is_one_level(read: Read) -> None:
    assert len(read(level(), level()).levels) == 1


# --- when it was sampled ---


def test_a_date_without_a_clock_time_is_never_a_time_after_the_dose(read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["08:00:00"])])
    record = read(clocked, level(effectiveDateTime="2024-05-20"))
    found = _one(record)
    assert found.sampled is not None
    assert found.sampled.precision is Precision.DAY
    assert found.timing == ()
    assert _codes(record) == ["level-clock-time-unknown"]


def test_a_draw_written_as_a_period_of_minutes_is_one_time(read: Read) -> None:
    drawn = level(effectivePeriod={"start": "2024-05-20T08:00:00Z", "end": "2024-05-20T08:05:00Z"})
    del drawn["effectiveDateTime"]
    record = read(drawn)
    sampled = _one(record).sampled
    assert sampled is not None
    assert sampled.at.isoformat() == "2024-05-20T08:00:00+00:00"
    assert _codes(record) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"issued": "2024-05-20T14:00:00Z"}, "level-time-unknown"),
        (
            {"effectivePeriod": {"start": "2024-05-20T08:00:00Z", "end": "2024-05-20T20:00:00Z"}},
            "level-sampling-interval",
        ),
    ],
)
def test_the_time_of_the_result_or_of_a_collection_is_not_a_sampling_time(
    fields: dict[str, Any], code: str, read: Read
) -> None:
    untimed = level(**fields)
    del untimed["effectiveDateTime"]
    record = read(untimed)
    assert _one(record).sampled is None
    assert _codes(record) == [code]


_SPECIMEN = {
    "resourceType": "Specimen",
    "id": "s",
    "type": coded(SNOMED, "119361006", "Plasma specimen"),
    "collection": {"collectedDateTime": "2024-05-20T07:40:00+02:00"},
}


@pytest.mark.parametrize(
    ("value", "shown", "why"),
    [
        ({"valueInteger": 720}, "720", NoNumber.UNIT),
        (
            {"valueRange": {"low": quantity(700, "ng/mL"), "high": quantity(900, "ng/mL")}},
            "700 ng/mL to 900 ng/mL",
            NoNumber.TEXT,
        ),
    ],
)
def test_a_level_of_another_type_is_shown_as_it_was_sent(
    value: dict[str, Any], shown: str, why: NoNumber, read: Read
) -> None:
    sent = level() | value
    del sent["valueQuantity"]
    found = _one(read(sent))
    assert (found.reported_value, found.no_number, found.ng_ml) == (shown, why, None)


def test_a_level_that_is_refused_as_a_resource_is_named_as_a_level(read: Read) -> None:
    (said,) = read(level(status="Final")).problems
    assert said.message.startswith("A level of imatinib was lost: Observation/")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"specimen": {"display": "DBS card"}}, "dried-blood"),
        ({"method": {"text": "LC-MS/MS aus Trockenblut (VAMS)"}}, "dried-blood"),
        ({"specimen": {"display": "whole blood (EDTA)"}}, "whole-blood"),
        ({"specimen": {"display": "Venous blood specimen"}}, "blood"),
        ({"code": coded(LOINC, "57844-3", "Imatinib in cerebrospinal fluid")}, "other"),
        ({"bodySite": {"text": "Urine"}}, "other"),
        ({"bodySite": coded(SNOMED, "89837001", "Urinary bladder structure")}, "other"),
        ({"bodySite": coded(SNOMED, "368209003", "Right arm")}, None),
        ({"specimen": {"display": "24-h-Sammelharn"}}, "other"),
        ({"specimen": {"display": "Bone marrow aspirate"}}, "other"),
        ({"specimen": {"display": "EDTA plasma"}, "bodySite": {"text": "urine"}}, "other"),
        ({"specimen": {"display": "EDTA plasma"}, "method": {"text": "LC-MS"}}, "plasma"),
        ({}, None),
    ],
)
def test_what_was_measured_is_read_from_specimen_method_and_name(
    fields: dict[str, Any], what: str | None, read: Read
) -> None:
    assert _one(read(level(**fields))).specimen == what


@pytest.mark.parametrize("code", ["122575003", "258450006", "119342007", "119359002", "SAL", "CSF"])
def test_a_specimen_of_another_fluid_is_known_by_its_code(code: str, read: Read) -> None:
    fluid = _SPECIMEN | {"type": {"coding": [{"system": SNOMED, "code": code}]}}
    assert _one(read(level(specimen={"reference": "Specimen/s"}), fluid)).specimen == "other"


def test_where_the_specimen_was_collected_counts(read: Read) -> None:
    taken = {"bodySite": {"text": "Urinary catheter"}}
    fluid = {"resourceType": "Specimen", "id": "s"}
    found = read(level(specimen={"reference": "Specimen/s"}), fluid | {"collection": taken})
    assert _one(found).specimen == "other"


def test_the_specimen_gives_time_and_matrix(read: Read) -> None:
    untimed = level(specimen={"reference": "Specimen/s"})
    del untimed["effectiveDateTime"]
    found = _one(read(untimed, _SPECIMEN))
    assert found.specimen == "plasma"
    assert found.sampled is not None
    assert found.sampled.at.isoformat() == "2024-05-20T05:40:00+00:00"


def test_two_sampling_times_are_said_to_disagree(read: Read) -> None:
    record = read(level(specimen={"reference": "Specimen/s"}), _SPECIMEN)
    assert _codes(record) == ["sampling-times-disagree"]


def test_a_time_without_a_zone_is_read_in_the_zone_of_the_site_and_marked(read: Read) -> None:
    found = _one(read(level(effectiveDateTime="2024-05-20T08:00:00")))
    assert found.sampled is not None
    assert found.sampled.at.isoformat() == "2024-05-20T06:00:00+00:00"
    assert found.sampled.zone_assumed


def test_an_assumed_zone_is_said(read: Read) -> None:
    record = read(level(effectiveDateTime="2024-05-20T08:00:00"))
    assert _codes(record) == ["level-zone-assumed"]


# --- time since the last dose ---


def _given(at: str, id: str = "a1", status: str = "completed") -> dict[str, Any]:  # noqa: A002
    return {
        "resourceType": "MedicationAdministration",
        "id": id,
        "status": status,
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": IMATINIB_400,
        "effectiveDateTime": at,
        "dosage": {"dose": quantity(400, "mg")},
    }


def _claims(record: PatientRecord) -> list[tuple[float, str]]:
    return [(claim.hours, claim.basis) for claim in _one(record).timing]


def test_without_any_statement_the_time_since_the_last_dose_is_unknown(read: Read) -> None:
    record = read(request(), level())
    assert _one(record).timing == ()


def test_the_last_administration_before_the_sample_tells(read: Read) -> None:
    record = read(
        level(),
        _given("2024-05-18T08:00:00+02:00", "a1"),
        _given("2024-05-19T08:00:00+02:00", "a2"),
        _given("2024-05-20T09:00:00+02:00", "a3"),
    )
    assert _one(record).timing == (
        TimingClaim(24.0, "administration", "MedicationAdministration/a2"),
    )


def test_an_administration_named_by_the_result_tells_even_if_it_is_not_the_last(read: Read) -> None:
    linked = level(partOf=[{"reference": "MedicationAdministration/a1"}])
    record = read(
        linked, _given("2024-05-18T08:00:00+02:00"), _given("2024-05-19T08:00:00+02:00", "a2")
    )
    assert _claims(record) == [(48.0, "administration")]


def test_an_old_administration_says_nothing_about_doses_taken_since(read: Read) -> None:
    assert _claims(read(level(), _given("2024-05-10T08:00:00+02:00"))) == []


def test_documented_missed_doses_make_an_older_administration_the_last_dose(read: Read) -> None:
    record = read(
        level(),
        _given("2024-05-17T08:00:00+02:00", "a1"),
        _given("2024-05-18T08:00:00+02:00", "a2", "not-done"),
        _given("2024-05-19T08:00:00+02:00", "a3", "not-done"),
    )
    assert _claims(record) == [(72.0, "administration")]


def test_the_test_code_can_say_the_time_by_definition(read: Read) -> None:
    record = read(level(code=coded(LOINC, "103609-4"), effectiveDateTime="2024-05-20"))
    assert _claims(record) == [(24.0, "code")]


def test_the_clock_times_of_the_order_are_an_assumption(read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["20:00:00"])])
    assert _claims(read(clocked, level())) == [(12.0, "schedule")]


def test_a_sample_just_after_an_ordered_time_may_have_come_before_the_dose(read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["07:30:00"])])
    record = read(clocked, level())
    assert _claims(record) == []
    assert _codes(record) == ["level-schedule-ambiguous"]


def test_a_dose_held_back_until_the_sample_keeps_to_the_schedule(read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["07:30:00"])])
    record = read(clocked, level(), _given("2024-05-19T08:00:00+02:00"))
    assert _claims(record) == [(24.0, "administration")]
    assert _codes(record) == []


@pytest.mark.parametrize(
    "fields",
    [{"status": "cancelled"}, {"authoredOn": "2024-05-25"}, {"intent": "proposal"}],
)
def test_an_order_not_in_force_has_no_schedule(fields: dict[str, Any], read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["20:00:00"])], **fields)
    assert _claims(read(clocked, level())) == []


@pytest.mark.parametrize(
    ("comment", "hours"),
    [
        ("Trough, drawn 23.5 h post dose", [23.5]),
        ("sample taken 24 hours after the last dose", [24.0]),
        ("24h post-dose", [24.0]),
        ("Last dose: 2024-05-19 08:30", [23.5]),
        ("last dose taken at 2024-05-19T06:30:00Z", [23.5]),
        ("Last dose 20:00", [12.0]),
        ("last dose 8:00 pm", [12.0]),
        ("last intake yesterday at 07:00", [25.0]),
        ("last dose 07:00 yesterday", [25.0]),
        ("last dose at 22:00. Drawn 10 h after dose.", [10.0]),
        ("last dose this morning", []),
        ("last dose unknown", []),
        ("dose 400 mg, 24 h urine", []),
        ("last dose 5/19/24", []),
        ("last dose 25:00", []),
        ("next dose 20:00", []),
    ],
)
def test_a_comment_is_read_only_where_it_is_plain(
    comment: str, hours: list[float], read: Read
) -> None:
    record = read(level(note=[{"text": comment}]))
    assert _claims(record) == [(hour, "comment") for hour in hours]


@pytest.mark.parametrize(
    "value",
    [
        {"valueDateTime": "2024-05-19T08:00:00+02:00"},
        {"valueTime": "08:00:00"},
        {"valueQuantity": {"value": 24, "unit": "hours"}},
    ],
)
def test_the_request_form_tells_in_a_component_or_a_member(
    value: dict[str, Any], read: Read
) -> None:
    asked = {"code": {"text": "Last dose date and time"}} | value
    expected = [(0.0 if "valueTime" in value else 24.0, "lab-form")]
    assert _claims(read(level(component=[asked]))) == expected
    member = level(id="form") | asked
    member = {k: v for k, v in member.items() if k != "valueQuantity" or k in value}
    whole = level(hasMember=[{"reference": "Observation/form"}])
    assert _claims(read(whole, member)) == expected
    sibling = level(basedOn=[{"reference": "ServiceRequest/1"}])
    answer = member | {"basedOn": [{"reference": "ServiceRequest/1"}]}
    assert _claims(read(sibling, answer)) == expected


@pytest.mark.parametrize("inside", [True, False])
def test_the_members_of_one_panel_share_its_answer(inside: bool, read: Read) -> None:
    answer = {"code": {"text": "Last dose date and time"}, "valueTime": "20:00:00"}
    if inside:
        drug = {"code": coded(LOINC, "57844-3"), "valueQuantity": quantity(850, "ng/mL")}
        panel = level(code=coded(LOINC, "99999-9"), component=[drug, answer])
        record = read({k: v for k, v in panel.items() if k != "valueQuantity"})
    else:
        form = {k: v for k, v in level(id="form").items() if k != "valueQuantity"} | answer
        members = [{"reference": "Observation/l1"}, {"reference": "Observation/form"}]
        panel = level(id="panel", code=coded(LOINC, "99999-9"), hasMember=members)
        record = read(level(), form, {k: v for k, v in panel.items() if k != "valueQuantity"})
    assert _claims(record) == [(12.0, "lab-form")]


@pytest.mark.parametrize("inside", [True, False])
def test_a_form_with_more_answers_than_anybody_gives_is_not_read_and_said(
    inside: bool, read: Read
) -> None:
    answer = {"code": {"text": "Last dose date and time"}, "valueTime": "08:00:00"}
    if inside:
        record = read(level(component=[answer] * 21))
    else:
        form = {k: v for k, v in level().items() if k != "valueQuantity"} | answer
        forms = [form | {"id": f"form{i}"} for i in range(21)]
        members = [{"reference": f"Observation/form{i}"} for i in range(21)]
        record = read(level(hasMember=members), *forms)
    assert _claims(record) == []
    (said,) = record.problems
    assert (said.code, said.impact) == ("level-timing-disagrees", Impact.LIMITS)
    assert "More than 20 answers" in said.message


def test_sources_are_listed_most_trusted_first_and_said_to_disagree(read: Read) -> None:
    record = read(
        level(note=[{"text": "drawn 20 h post dose"}], code=coded(LOINC, "103609-4")),
        _given("2024-05-19T08:00:00+02:00"),
    )
    assert _claims(record) == [(24.0, "administration"), (20.0, "comment"), (24.0, "code")]
    assert _codes(record) == ["level-timing-disagrees"]


def test_sources_within_an_hour_agree(read: Read) -> None:
    record = read(level(note=[{"text": "23.5 h post dose"}]), _given("2024-05-19T08:00:00+02:00"))
    assert _codes(record) == []


def test_a_dose_off_schedule_is_only_a_notice(read: Read) -> None:
    clocked = request(dosageInstruction=[dosage(timeOfDay=["20:00:00"])])
    record = read(clocked, level(), _given("2024-05-19T08:00:00+02:00"))
    assert _claims(record) == [(24.0, "administration"), (12.0, "schedule")]
    assert _codes(record) == ["level-schedule-disagrees"]


def test_a_last_dose_after_the_sample_is_refused_and_said(read: Read) -> None:
    record = read(level(note=[{"text": "last dose 2024-05-20 10:00"}]))
    assert _claims(record) == []
    assert _codes(record) == ["last-dose-after-sample"]


def test_a_statement_of_the_last_dose_tells(read: Read) -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": IMATINIB_400,
        "effectiveDateTime": "2024-05-19T09:00:00+02:00",
        "dosage": [{"doseAndRate": [{"doseQuantity": quantity(400, "mg")}]}],
    }
    assert _claims(read(level(), statement)) == [(23.0, "statement")]


@pytest.mark.parametrize(
    "words",
    ["N-desmethylimatinib (CGP 74588) in plasma", "Imatinib + norimatinib, sum", "CGP74588 level"],
)
def test_a_result_that_names_the_metabolite_is_no_level_of_the_drug(words: str, read: Read) -> None:
    """Whatever its code says: some laboratories file both analytes under one code."""
    observation = level(240, "ng/mL")
    observation["code"] = {**observation["code"], "text": words}
    record = read(observation)
    assert record.levels == ()
    assert _codes(record) == ["level-of-metabolite"]

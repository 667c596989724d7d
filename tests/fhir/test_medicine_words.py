"""Co-medication as records name it: forms, brands, other languages, misspellings, bare codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.clinical.codes import Concept
from cds.clinical.record import PatientRecord
from cds.clinical.terminology import Terminology
from cds.fhir.gather import gather
from cds.fhir.near_names import _one_letter_apart, near_name
from cds.rulebook import Rulebook, load
from tests.fhir.factories import RXNORM, coded, dosage, quantity, request

ReadOne = Callable[..., PatientRecord]
_ATC = "http://www.whocc.no/atc"


@pytest.fixture(scope="module")
def shipped() -> Rulebook:
    return load(Path(__file__).parents[2] / "rules")


@pytest.fixture(scope="module")
def terminology(shipped: Rulebook) -> Terminology:
    return shipped.terminology


@pytest.fixture
def order(shipped: Rulebook) -> ReadOne:
    """The record of one order of another medicine, read with the shipped terminology."""

    def read(medicine: dict[str, Any], *dosages: dict[str, Any], **fields: Any) -> PatientRecord:
        one = request(medicationCodeableConcept=medicine, dosageInstruction=list(dosages), **fields)
        return gather(
            {"resourceType": "Patient", "id": "p"},
            [one],
            drug=shipped.drug,
            terminology=shipped.terminology,
            zone=ZoneInfo("UTC"),
            now=datetime(2024, 6, 1, tzinfo=UTC),
            patient_id="p",
        )

    return read


@pytest.mark.parametrize(
    ("name", "route", "systemic"),
    [
        ("ketoconazole 20 MG/ML Topical Cream", None, False),
        ("Nizoral 2% shampoo", None, False),
        ("tacrolimus 0.001 MG/MG Topical Ointment", None, False),
        ("Dexamethason Augentropfen", None, False),
        ("fluticasone inhaler", None, False),
        ("fentanyl 0.025 MG/HR Transdermal System", "Topical", None),
        ("fentanyl nasal spray", "Nasal", None),
        ("ketoconazole 200 MG Oral Tablet", None, None),
        ("ketoconazole 200 MG Oral Tablet", "Oral", True),
        ("Creamfields tablets", None, None),
    ],
)
def test_a_form_in_the_name_tells_a_local_medicine_when_the_route_does_not(
    name: str, route: str | None, systemic: bool | None, order: ReadOne
) -> None:
    one = dosage(10) | ({"route": {"text": route}} if route else {})
    assert order({"text": name}, one).medicines[0].systemic is systemic


@pytest.mark.parametrize(
    ("timing", "said", "single"),
    [
        ({"repeat": {"count": 1}}, None, True),
        ({"repeat": {"count": 3}}, None, False),
        (None, "Take one capsule as a single dose", True),
        (None, "once daily", False),
        (None, None, False),
    ],
)
def test_one_dose_and_no_more_is_known_by_its_count_or_its_words(
    timing: dict[str, Any] | None, said: str | None, single: bool, order: ReadOne
) -> None:
    one = {"timing": timing, "text": said}
    written = {key: value for key, value in one.items() if value is not None}
    assert order({"text": "Phenytoin"}, written).medicines[0].single_dose is single


def test_tablets_count_by_the_strength_their_name_states(order: ReadOne) -> None:
    four_times = {
        "timing": {"repeat": {"frequency": 4, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "tablet"}}],
    }
    (medicine,) = order({"text": "Paracetamol 500 mg tablets"}, four_times).medicines
    assert medicine.daily_mg == 4000


def test_a_medicine_known_only_by_its_code_is_called_by_its_ingredient(order: ReadOne) -> None:
    (medicine,) = order(coded(_ATC, "J04AB02"), dosage(600)).medicines
    assert medicine.display == "Rifampicin"


def test_a_code_that_nobody_here_knows_is_said_and_not_passed_over(order: ReadOne) -> None:
    record = order(coded(RXNORM, "198201"), dosage(600))
    assert [found.code for found in record.problems] == ["medication-code-unknown"]
    named = order(coded(RXNORM, "1191", "aspirin"), dosage(100))
    assert named.problems == ()
    stopped = order(coded(RXNORM, "198201"), dosage(600), status="stopped")
    assert stopped.problems == ()


def test_a_misspelt_name_is_said_and_never_taken_for_the_medicine(order: ReadOne) -> None:
    record = order({"text": "Rifampcin 600 mg"}, dosage(600))
    (found,) = record.problems
    assert found.code == "medication-misspelt"
    assert "resembles rifampicin" in found.message
    assert record.medicines[0].ingredients == ()


_LIKE = st.text("abé", min_size=6, max_size=9)


@given(st.lists(_LIKE, max_size=3), st.lists(_LIKE, max_size=8, unique=True))
def test_of_several_like_names_the_first_known_one_is_said(
    words: list[str], names: list[str]
) -> None:
    like = (
        name
        for name in names
        if len(name) >= 8
        and any(word[0] == name[0] and _one_letter_apart(word, name) for word in words)
    )
    assert near_name(", ".join(words), names) == next(like, None)


@pytest.mark.parametrize(
    "other",
    [
        *("rifaximin", "prednisone", "cycloserine", "azithromycin", "celebrex", "felbamate"),
        *("levocetirizine", "temsirolimus", "clonazepam", "quinine", "hydralazine", "bisoprolol"),
        *("dexpanthenol", "pimecrolimus", "sufentanil"),
    ],
)
def test_another_medicine_with_a_like_name_is_not_taken_for_a_misspelling(
    other: str, terminology: Terminology
) -> None:
    assert terminology.ingredients_of(Concept(text=other)) == ()
    assert near_name(other, terminology.medicine_names) is None


@pytest.mark.parametrize(
    ("name", "ingredients"),
    [
        ("Rifoldin 300 mg", ("rifampicin",)),
        ("Diphantoïne 100 mg tabl.", ("phenytoin",)),
        ("Carbagen 200mg MR tablets", ("carbamazepine",)),
        ("Hyperforat forte", ("st-johns-wort",)),
        ("LEVOTHYROX 100 µg, comprimé", ("levothyroxine",)),
        ("Lévothyrox 100", ("levothyroxine",)),
        ("L-Thyrox Henning 125", ("levothyroxine",)),
        ("Zocord 40 mg", ("simvastatin",)),
        ("Prograft 1 mg caps", ("tacrolimus",)),
        ("Matrifen 25 µg/h", ("fentanyl",)),
        ("Johanniskraut Tabletten", ("st-johns-wort",)),
        ("Rifadine 300 mg gélule", ("rifampicin",)),
        ("Caduet 10/20", ("atorvastatin", "amlodipine")),
    ],
)
def test_names_of_other_languages_and_combinations_are_known(
    name: str, ingredients: tuple[str, ...], terminology: Terminology
) -> None:
    assert terminology.ingredients_of(Concept(text=name)) == ingredients


def test_a_salt_strength_in_a_product_name_is_read_as_base(order: ReadOne) -> None:
    one = {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
    }
    (found,) = order({"text": "imatinib mesylate 478 mg tablet"}, one).orders
    assert found.regimens[0].daily_mg == 400


@pytest.mark.parametrize(
    ("said", "meaning"),
    [("Reactive", "positive"), ("Non-Reactive", "negative"), ("NOT  DETECTED", "negative")],
)
def test_serology_in_words_is_understood(said: str, meaning: str, terminology: Terminology) -> None:
    lab = next(found for found in terminology.labs.values() if found.key == "hbsag")
    assert lab.said[" ".join(said.lower().split())] == meaning


def test_a_result_dated_in_the_future_is_said_and_not_used(shipped: Rulebook) -> None:
    result = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": coded("http://loinc.org", "26499-4"),
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2025-05-30T08:00:00Z",
        "valueQuantity": quantity(0.6, "10*9/L"),
    }
    record = gather(
        None,
        [result],
        drug=shipped.drug,
        terminology=shipped.terminology,
        zone=ZoneInfo("UTC"),
        now=datetime(2024, 6, 1, tzinfo=UTC),
        patient_id="p",
    )
    assert record.labs == ()
    assert [found.code for found in record.problems] == ["lab-time-future"]


@pytest.mark.parametrize(
    "name",
    [
        "Imatinib-ratiopharm 400 mg Filmtabletten",
        "APO-IMATINIB 400 MG",
        "Imatinibmesilat 400 mg",
        "Mésilate d'imatinib 400 mg",
        "イマチニブ錠400mg「トーワ」",
        "Гливек 400 mg",
    ],
)
def test_the_drug_is_known_by_the_names_of_makers_and_other_languages(
    name: str, order: ReadOne
) -> None:
    taken = dosage() | {"doseAndRate": [{"doseQuantity": quantity(1, "{tbl}")}]}
    (found,) = order({"text": name}, taken).orders
    assert found.regimens[0].doses[0].amount_mg == 400


@pytest.mark.parametrize("name", ["dasatinib 100 mg", "imatinibol 400 mg", "Ximatinib"])
def test_a_name_that_only_resembles_the_drug_is_not_it(name: str, order: ReadOne) -> None:
    assert order({"text": name}, dosage()).orders == ()


@pytest.mark.parametrize(
    ("name", "ingredient"),
    [
        ("Pantoprazol 40 mg", "pantoprazole"),
        ("Oméprazole 20 mg gélule", "omeprazole"),
        ("Claritromycine 500 mg", "clarithromycin"),
        ("Laif 900", "st-johns-wort"),
        ("Nifedipin-ratiopharm 20", "nifedipine"),
        ("Vincristina 1 mg", "vincristine"),
    ],
)
def test_a_medicine_is_known_by_its_name_in_other_languages(
    name: str, ingredient: str, order: ReadOne
) -> None:
    record = order({"text": name}, dosage())
    assert [m.ingredients for m in record.medicines] == [(ingredient,)]
    assert record.problems == ()

"""Short vignettes: one silent patient, one thing added, and what a pharmacist expects to hear.

The patient is that of the story `local-and-single-silent`: CML in response, nothing to say.
Expected is the indicator of the gravest card and a word of its summary, or silence.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from cds.content import examples_dir

if TYPE_CHECKING:
    from flask.testing import FlaskClient

_BASE = json.loads(
    (examples_dir() / "hooks" / "local-and-single-silent.order-sign.json").read_text("utf-8")
)
_NOW = datetime.fromisoformat("2026-11-20T10:00:00+00:00")
_PATIENT = {"reference": "Patient/ex-tom"}
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_ATC = "http://www.whocc.no/atc"
_IMATINIB = {"coding": [{"system": _RXNORM, "code": "403879"}]}
_DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
_SILENT = (None, "")

Ask = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def ask(client_at: Callable[[datetime], FlaskClient]) -> Ask:
    """The cards of a request."""

    def asked(request: dict[str, Any]) -> list[dict[str, Any]]:
        service = {"patient-view": "tdm-patient-view"}.get(request["hook"], "tdm-orders")
        answer = client_at(_NOW).post(f"/cds-services/{service}", json=request)
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    return asked


def _check(cards: list[dict[str, Any]], expected: tuple[str | None, str]) -> None:
    indicator, word = expected
    assert all(len(card["summary"]) < 140 for card in cards)
    if indicator is None:
        assert [card["summary"] for card in cards] == []
        return
    assert (cards[0]["indicator"], word in cards[0]["summary"]) == (indicator, True), cards[0][
        "summary"
    ]


def _order(medicine: dict[str, Any], mg: float = 400, **fields: Any) -> dict[str, Any]:
    dose = {"value": mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    order: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": "ordered",
        "status": "draft",
        "intent": "order",
        "subject": _PATIENT,
        "authoredOn": "2026-11-20T09:00:00Z",
        "medicationCodeableConcept": medicine,
        "dosageInstruction": [{"timing": _DAILY, "doseAndRate": [{"doseQuantity": dose}]}],
    }
    return order | fields


def _signing(*orders: dict[str, Any]) -> dict[str, Any]:
    request = copy.deepcopy(_BASE)
    request["context"]["draftOrders"]["entry"] = [{"resource": order} for order in orders]
    return request


def _viewing(key: str, *resources: dict[str, Any]) -> dict[str, Any]:
    """The chart opened, with resources more under one prefetch key."""
    request = copy.deepcopy(_BASE)
    request["hook"] = "patient-view"
    del request["context"]["draftOrders"]
    bundle = request["prefetch"][key] or {"resourceType": "Bundle", "type": "searchset"}
    bundle.setdefault("entry", []).extend({"resource": resource} for resource in resources)
    request["prefetch"][key] = bundle
    return request


def _coded(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    coding = {"system": system, "code": code}
    return {"coding": [coding | ({"display": display} if display else {})]}


@pytest.mark.parametrize(
    ("medicine", "expected"),
    [
        (_coded(_ATC, "J04AB02"), ("critical", "Rifampicin leaves only about 26 %")),
        (_coded(_RXNORM, "198201", "rifampin 300 MG Oral Capsule"), ("critical", "26 %")),
        (_coded(_RXNORM, "198201"), ("info", "only by a code")),
        ({"text": "Rifampcin 600 mg"}, ("info", "resembles rifampicin")),
        ({"text": "Rifamate 300-150"}, ("critical", "Rifamate")),
        ({"text": "Rifaximin 550 mg"}, _SILENT),
        ({"text": "Johanniskraut 900 mg"}, ("warning", "lowers imatinib")),
        ({"text": "Trileptal 300 mg"}, ("critical", "27 %")),
        ({"text": "rifabutin 300 mg"}, ("warning", "may lower imatinib")),
        ({"text": "voriconazole 200 mg"}, ("warning", "do not cut the dose")),
        ({"text": "Norvir 100 mg"}, ("warning", "did not change imatinib at steady state")),
        ({"text": "fluconazole 200 mg"}, _SILENT),
        ({"text": "Vytorin 10-40"}, ("warning", "simvastatin")),
        ({"text": "Caduet 10/20"}, ("info", "may rise")),
        ({"text": "Eliquis 5 mg"}, ("info", "may rise modestly")),
        ({"text": "pravastatin 40 mg"}, _SILENT),
        ({"text": "warfarin 5 mg"}, ("warning", "INR")),
        ({"text": "tacrolimus 1 mg capsule"}, ("warning", "extra level")),
        ({"text": "tacrolimus 0.1% Topical Ointment"}, _SILENT),
        ({"text": "erythromycin 5 MG/G Ophthalmic Ointment"}, _SILENT),
        ({"text": "dihydroergotamine nasal spray"}, ("critical", "narrow margin")),
        ({"text": "pantoprazole 40 mg"}, _SILENT),
        ({"text": "metoprolol 50 mg"}, _SILENT),
        ({"text": "levothyroxine 0.1 mg"}, _SILENT),
        ({"text": "nilotinib 300 mg"}, ("critical", "confirm the switch")),
    ],
    ids=lambda value: value.get("text") if isinstance(value, dict) else None,
)
def test_a_medicine_ordered_for_a_patient_on_the_drug(
    medicine: dict[str, Any], expected: tuple[str | None, str], ask: Ask
) -> None:
    _check(ask(_signing(_order(medicine))), expected)


@pytest.mark.parametrize("status", ["stopped", "on-hold", "completed", "cancelled"])
def test_an_inducer_whose_end_is_being_signed_is_not_being_started(status: str, ask: Ask) -> None:
    assert ask(_signing(_order({"text": "rifampicin"}, status=status))) == []


@pytest.mark.parametrize(
    ("mg", "expected"),
    [
        (1200, ("critical", "1200 mg/day is above 800 mg")),
        (800, ("warning", "above the US label maximum of 600 mg")),
        (400, _SILENT),
        (50, ("warning", "too little")),
    ],
)
def test_a_dose_that_is_ordered(mg: float, expected: tuple[str | None, str], ask: Ask) -> None:
    cards = ask(_signing(_order(_IMATINIB, mg)))
    cards.sort(key=lambda card: expected[1] not in card["summary"])
    _check(cards, expected)


def test_two_new_orders_in_one_bundle_are_not_added_in_silence(ask: Ask) -> None:
    cards = ask(_signing(_order(_IMATINIB), _order(_IMATINIB, id="again")))
    assert "Two imatinib orders overlap (400 + 400 mg)" in cards[0]["summary"]


@pytest.mark.parametrize(
    ("code", "value", "unit", "normal", "expected"),
    [
        ("26499-4", 0.9, "G/L", None, ("critical", "Neutrophils 0.90")),
        ("26499-4", 900, "/mm3", None, ("critical", "Neutrophils 0.90")),
        ("26499-4", 1.0, "10*9/L", None, _SILENT),
        ("777-3", 45, "K/uL", None, ("critical", "Platelets 45")),
        ("777-3", 50, "10*9/L", None, _SILENT),
        ("1975-2", 3.1, "mg/dL", {"text": "0.1 - 1.0 mg/dL"}, ("critical", "Bilirubin 3.1 times")),
        ("1975-2", 3.0, "mg/dL", {"text": "0.1 - 1.0 mg/dL"}, ("info", "Bilirubin 3.0 times")),
        ("1742-6", 400, "U/L", None, ("warning", "without an upper limit")),
        ("1742-6", 204, "U/L", {"text": "< 40"}, ("critical", "ALT 5.1 times")),
        ("1742-6", 60, "U/L", None, _SILENT),
        ("26499-4", 0.9, "furlong", None, ("info", "Neutrophils: 0.9 furlong has no unit")),
    ],
)
def test_a_result_of_yesterday(
    code: str,
    value: float,
    unit: str,
    normal: dict[str, Any] | None,
    expected: tuple[str | None, str],
    ask: Ask,
) -> None:
    result = {
        "resourceType": "Observation",
        "id": "yesterday",
        "status": "final",
        "code": _coded("http://loinc.org", code),
        "subject": _PATIENT,
        "effectiveDateTime": "2026-11-19T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit},
    } | ({"referenceRange": [normal]} if normal else {})
    _check(ask(_viewing("labs", result)), expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Congestive heart failure", ("warning", "heart failure")),
        ("Left pleural effusion", ("critical", "effusion")),
        ("Stevens-Johnson syndrome", ("critical", "stop imatinib now")),
        ("Malignant pleural effusion", _SILENT),
        ("Partner pregnant", _SILENT),
        ("History of gastrointestinal bleeding", _SILENT),
    ],
)
def test_a_diagnosis_in_words_since_last_week(
    words: str, expected: tuple[str | None, str], ask: Ask
) -> None:
    condition = {
        "resourceType": "Condition",
        "id": "new",
        "subject": _PATIENT,
        "clinicalStatus": _coded("urn:x", "active"),
        "code": {"text": words},
        "onsetDateTime": "2026-11-14",
    }
    _check(ask(_viewing("conditions", condition)), expected)


def test_nothing_is_advised_for_a_patient_who_has_died(ask: Ask) -> None:
    request = _signing(_order({"text": "rifampicin"}))
    request["prefetch"]["patient"]["deceasedDateTime"] = "2026-11-18"
    assert ask(request) == []

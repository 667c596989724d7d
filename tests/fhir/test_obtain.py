"""The prefetch state machine: sent, no data, broken, paged, absent; every fault of the server."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cds.fhir.client import FhirClient
from cds.fhir.mentions import mentions
from cds.fhir.obtain import MEDICINES, Obtained, RequiredDataMissing, Source, obtain, require
from cds.fhir.prefetch import prefetch_keys
from tests.fhir import fake_ehr as fake
from tests.fhir.factories import (
    DRUG,
    IMATINIB_400,
    PATIENT,
    RXNORM,
    TERMINOLOGY,
    coded,
    lab,
    level,
    request,
)

_KEYS = prefetch_keys(DRUG, TERMINOLOGY)
_NAMES = [key.name for key in _KEYS]
_CONTEXT = {"patientId": "p"}
_OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


@pytest.fixture
def ehr() -> Iterator[fake.FakeEhr]:
    """A server with one patient on the drug."""
    with fake.fake_ehr() as running:
        running.answers.update(
            {
                "Patient": fake.resource(PATIENT),
                "MedicationRequest": fake.searchset(request()),
                "Observation": fake.searchset(level()),
                **dict.fromkeys(
                    (
                        "MedicationStatement",
                        "MedicationAdministration",
                        "MedicationDispense",
                        "Condition",
                        "Procedure",
                        "AllergyIntolerance",
                    ),
                    fake.searchset(),
                ),
            }
        )
        yield running


def _all_sent() -> dict[str, Any]:
    sent: dict[str, Any] = {key.name: fake.bundle() for key in _KEYS}
    return sent | {"patient": PATIENT, "medications": fake.bundle(request())}


def _obtain(sent: dict[str, Any], ehr: fake.FakeEhr | None, seconds: float = 1.5) -> Obtained:
    if ehr is None:
        return obtain(_KEYS, sent, _CONTEXT, None)
    with FhirClient(ehr.base, time.monotonic() + seconds, token="t") as client:
        return obtain(_KEYS, sent, _CONTEXT, client)


def test_what_was_sent_is_used_and_nothing_is_fetched(ehr: fake.FakeEhr) -> None:
    found = _obtain(_all_sent(), ehr)
    assert ehr.requests == []
    assert set(found.sources.values()) == {Source.SENT}
    assert found.asked_for == set(_NAMES)
    assert found.resources["patient"] == PATIENT


def test_null_means_there_is_no_data_and_is_not_asked_again(ehr: fake.FakeEhr) -> None:
    found = _obtain(_all_sent() | {"labs": None}, ehr)
    assert ehr.requests == []
    assert found.resources["labs"] is None
    assert found.sources["labs"] is Source.NO_DATA
    assert "labs" in found.asked_for


@pytest.mark.parametrize(
    "broken", [_OUTCOME, "<html>Tomcat</html>", "", 5, [], {}, {"resourceType": "Patient"}, True]
)
def test_anything_else_is_taken_as_missing_and_fetched(broken: Any, ehr: fake.FakeEhr) -> None:
    found = _obtain(_all_sent() | {"levels": broken}, ehr)
    assert [path.split("?")[0] for path in ehr.asked()] == ["Observation"]
    assert found.sources["levels"] is Source.FETCHED
    assert found.resources["levels"] == fake.bundle(level())


_WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}
_REFUSED = {"response": {"status": "403 Forbidden", "outcome": _OUTCOME}}


def _with(*resources: Any, also: Any = None) -> dict[str, Any]:
    found = fake.bundle(*resources)
    return found | {"entry": [*found.get("entry", []), *([also] if also else [])]}


@pytest.mark.parametrize(
    "failed",
    [
        _with(_OUTCOME),
        _with(_WARNING, _OUTCOME),
        _with(also=_REFUSED),
        _with(_with(also=_REFUSED)),
        _with(_OUTCOME | {"issue": [{"severity": "fatal"}]}),
    ],
)
def test_a_bundle_of_errors_is_not_a_search_that_found_nothing(
    failed: dict[str, Any], ehr: fake.FakeEhr
) -> None:
    assert _obtain(_all_sent() | {"levels": failed}, ehr).sources["levels"] is Source.FETCHED

    ehr.answers["Observation"] = fake.resource(failed)
    sent = _all_sent() | {"medications": failed, "levels": failed}
    assert _obtain(sent, None).missing == ("medications",)
    assert _obtain(sent, ehr).unavailable == {"levels": "the server answered with an error"}


@pytest.mark.parametrize("error", [{"resource": _OUTCOME}, _REFUSED])
def test_results_beside_an_error_are_a_part_and_that_is_said(error: dict[str, Any]) -> None:
    found = _obtain(_all_sent() | {"levels": _with(level(), also=error)}, None)

    assert found.resources["levels"] is not None
    assert "only a part" in found.unavailable["levels"]
    assert "levels" not in found.asked_for


@pytest.mark.parametrize(
    "whole",
    [
        _with(_WARNING),
        _with(level(), also={"resource": _WARNING, "search": {"mode": "outcome"}}),
        _with(fake.bundle()),
        _with(also={"response": {"status": "204"}}),
        _with(also={"response": {"status": 403}}),
        _with(_OUTCOME | {"issue": [None, {"severity": ["error"]}]}),
        _with(_OUTCOME | {"issue": "error"}),
        fake.bundle() | {"entry": [None, 5, {"resource": 5}]},
    ],
)
def test_warnings_and_entries_without_a_resource_take_nothing_away(whole: dict[str, Any]) -> None:
    assert _obtain(_all_sent() | {"levels": whole}, None).unavailable == {}


def test_without_a_server_what_is_missing_is_said_and_what_is_required_stops(
    ehr: fake.FakeEhr,
) -> None:
    sent = _all_sent() | {"labs": _OUTCOME}
    del sent["patient"]
    found = _obtain(sent, None)
    assert set(found.unavailable) == {"labs", "patient"}
    assert found.missing == ("patient",)
    with pytest.raises(RequiredDataMissing) as caught:
        require(found)
    assert list(caught.value.keys) == ["patient"]
    assert "labs" not in found.asked_for


def test_a_single_resource_under_a_search_key_is_accepted(ehr: fake.FakeEhr) -> None:
    found = _obtain(_all_sent() | {"levels": level()}, ehr)
    assert found.resources["levels"] == level()


_SUBSET_KEYS = ("patient", "medications", "levels", "labs", "conditions", "dispenses")
_SUBSETS = [
    subset
    for size in range(len(_SUBSET_KEYS) + 1)
    for subset in itertools.combinations(_SUBSET_KEYS, size)
]
_BASE = "https://ehr.example.org/fhir"
_KINDS: dict[str, Any] = {
    "ok": lambda name: PATIENT if name == "patient" else fake.bundle(),
    "null": lambda _: None,
    "html": lambda _: "<html>",
    "outcome": lambda _: _OUTCOME,
    "two pages": lambda name: (
        PATIENT if name == "patient" else fake.bundle(next_url=f"{_BASE}/{name}?page=2")
    ),
}


class _Server:
    """A healthy server without a network, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, asked: httpx.Request) -> httpx.Response:
        path = asked.url.path.removeprefix("/fhir/")
        self.asked.append(path)
        found = PATIENT if path.startswith("Patient/") else fake.bundle()
        return httpx.Response(200, json=found)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("with_server", [True, False])
def test_every_subset_of_keys_in_every_state_is_answered(kind: str, with_server: bool) -> None:
    assert len(_SUBSETS) == 64
    others = {name: value for name, value in _all_sent().items() if name not in _SUBSET_KEYS}
    for subset in _SUBSETS:
        sent = others | {name: _KINDS[kind](name) for name in subset}
        usable = set(subset) if kind not in {"html", "outcome"} else set()
        paged = usable - {"patient"} if kind == "two pages" else set()
        absent = set(_SUBSET_KEYS) - usable
        server = _Server()
        if with_server:
            transport = httpx.MockTransport(server)
            with FhirClient(_BASE, time.monotonic() + 30, transport=transport) as client:
                found = obtain(_KEYS, sent, _CONTEXT, client)
            assert len(server.asked) == len(absent) + len(paged)
            assert found.missing == ()
            assert found.unavailable == {}
            assert found.asked_for == set(_NAMES)
        else:
            found = obtain(_KEYS, sent, _CONTEXT, None)
            assert set(found.unavailable) == absent | paged
            assert set(found.missing) == absent & {"patient", "medications"}
            assert found.asked_for == set(_NAMES) - absent - paged


# --- pages ---


def test_further_pages_of_what_was_sent_and_of_what_is_fetched_are_merged(
    ehr: fake.FakeEhr,
) -> None:
    second = f"{ehr.base}/Observation?page=2"
    ehr.answers["Observation?page=2"] = fake.searchset(lab("777-3", 5, "10*9/L"))
    found = _obtain(_all_sent() | {"labs": fake.bundle(level(), next_url=second)}, ehr)
    merged = found.resources["labs"]
    assert merged is not None
    assert [entry["resource"]["id"] for entry in merged["entry"]] == ["l1", "o1"]
    assert "link" not in merged
    assert found.unavailable == {}


@pytest.mark.parametrize("url", ["https://evil.example/?page=2", "http://169.254.169.254/"])
def test_a_foreign_page_leaves_a_part_and_says_so(url: str, ehr: fake.FakeEhr) -> None:
    found = _obtain(_all_sent() | {"labs": fake.bundle(level(), next_url=url)}, ehr)
    assert "part" in found.unavailable["labs"]
    assert found.resources["labs"] is not None
    assert "labs" not in found.asked_for
    assert ehr.requests == []


def test_a_paged_bundle_without_a_server_is_only_a_part() -> None:
    sent = _all_sent() | {"labs": fake.bundle(level(), next_url="https://ehr/fhir?page=2")}
    assert "part" in _obtain(sent, None).unavailable["labs"]


# --- faults ---

_FAULTS: dict[str, fake.Answer] = {
    "timeout": fake.silent,
    "401": fake.raw(b"", 401),
    "403": fake.raw(b"", 403),
    "404": fake.not_found,
    "429": fake.raw(b"", 429),
    "500": fake.raw(b"", 500),
    "reset": fake.reset,
    "drip": fake.drip,
    "wrong-json": fake.raw(b'{"resourceType": "Bun'),
    "html": fake.raw(b"<html></html>"),
    "10-mb": fake.raw(b" " * 10_000_000),
    "redirect": fake.raw(b"", 302, Location="/fhir/Patient/p"),
    "other-type": fake.resource({"resourceType": "Group"}),
}


@pytest.mark.parametrize("fault", _FAULTS)
@pytest.mark.parametrize("where", ["Patient", "MedicationRequest", "Observation"])
def test_every_fault_of_the_server_is_answered_in_time_and_named(
    fault: str, where: str, ehr: fake.FakeEhr
) -> None:
    ehr.answers[where] = _FAULTS[fault]
    keys = {key.name for key in _KEYS if key.resource_type == where}
    slow = fault in {"timeout", "drip"}
    started = time.monotonic()
    found = _obtain({}, ehr, seconds=0.5 if slow else 10.0)
    assert set(found.unavailable) >= keys
    assert set(found.missing) >= keys & {"patient", "medications"}
    if slow:
        assert time.monotonic() - started < 1.5
    else:
        assert set(found.unavailable) == keys


def test_all_slow_answers_together_take_one_deadline(ehr: fake.FakeEhr) -> None:
    for name in list(ehr.answers):
        ehr.answers[name] = fake.silent
    started = time.monotonic()
    found = _obtain({}, ehr, seconds=0.4)
    assert time.monotonic() - started < 1.5
    assert set(found.unavailable) == set(_NAMES)


# --- a patient who never took the drug ---


def _with_mentions(sent: dict[str, Any], ehr: fake.FakeEhr) -> Obtained:
    with FhirClient(ehr.base, time.monotonic() + 1.5) as client:
        return obtain(
            _KEYS, sent, _CONTEXT, client, is_concerned=lambda found: mentions(found, DRUG)
        )


def test_if_nothing_mentions_the_drug_the_rest_is_not_fetched(ehr: fake.FakeEhr) -> None:
    other = request(medicationCodeableConcept=coded(RXNORM, "9384", "rifampin"))
    ehr.answers["MedicationRequest"] = fake.searchset(other)
    ehr.answers["Observation"] = fake.searchset()
    found = _with_mentions({}, ehr)
    assert not found.concerned
    assert len(ehr.requests) == sum(key.telling for key in _KEYS)
    assert found.sources["conditions"] is Source.NOT_NEEDED
    assert found.missing == ()


def test_if_a_later_page_mentions_the_drug_everything_is_fetched(ehr: fake.FakeEhr) -> None:
    other = request("x", medicationCodeableConcept=coded(RXNORM, "9384", "rifampin"))
    second = f"{ehr.base}/MedicationRequest?page=2"
    ehr.answers["MedicationRequest"] = fake.searchset(other, next_url=second)
    ehr.answers["MedicationRequest?page=2"] = fake.searchset(request())
    ehr.answers["Observation"] = fake.searchset()
    found = _with_mentions({}, ehr)
    assert found.concerned
    assert found.asked_for == set(_NAMES)


def test_if_the_orders_cannot_be_had_nobody_says_that_the_drug_is_not_taken(
    ehr: fake.FakeEhr,
) -> None:
    ehr.answers["MedicationRequest"] = fake.raw(b"", 500)
    ehr.answers["Observation"] = fake.searchset()
    found = _with_mentions({}, ehr)
    assert found.concerned
    assert found.missing == ("medications",)


# --- medicines by reference ---


def test_medications_that_orders_refer_to_are_fetched(ehr: fake.FakeEhr) -> None:
    def _by(reference: str, id: str) -> dict[str, Any]:  # noqa: A002
        order = request(id, medicationReference={"reference": reference})
        del order["medicationCodeableConcept"]
        return order

    medication = {"resourceType": "Medication", "id": "m1", "code": IMATINIB_400}
    ehr.answers["Medication/m1"] = fake.resource(medication)
    orders = fake.bundle(
        _by("Medication/m1", "a"),
        _by(f"{ehr.base}/Medication/m1", "b"),
        _by("https://evil.example/fhir/Medication/m2", "c"),
        _by("Medication/../../admin", "d"),
        _by("Medication/..", "d2"),
        _by("#contained", "e"),
        _by("Medication/gone", "f"),
    )
    found = _obtain(_all_sent() | {"medications": orders}, ehr)
    assert ehr.asked() == ["Medication/gone", "Medication/m1"]
    fetched = found.resources[MEDICINES]
    assert fetched is not None
    assert [entry["resource"] for entry in fetched["entry"]] == [medication]

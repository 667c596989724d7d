"""`assess` answers from a file what the service would answer, or names what keeps it from it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds import content
from cds.cli import main

EXAMPLES = content.examples_dir()
PATIENT = EXAMPLES / "patients" / "cml-low-trough.json"
REQUEST = EXAMPLES / "hooks" / "cml-low-trough.patient-view.json"
NOW = ("--now", "2026-11-20T10:00:00Z")

Assess = Callable[..., Result]


@pytest.fixture
def assess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assess:
    """Write what is given to a file and assess it."""
    monkeypatch.delenv("IMATINIB_TDM_SETTINGS", raising=False)

    def run(what: Any, *options: str) -> Result:
        file = tmp_path / "patient.json"
        file.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
        return CliRunner().invoke(main, ["assess", str(file), *options])

    return run


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    return dict(json.loads(PATIENT.read_bytes()))


@pytest.fixture
def request_() -> dict[str, Any]:
    return dict(json.loads(REQUEST.read_bytes()))


def _summaries(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [card["summary"] for card in json.loads(result.stdout)["cards"]]


def _as_transaction(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same record before any server has given it ids."""
    text = json.dumps(bundle)
    entries = []
    for number, entry in enumerate(bundle["entry"]):
        resource = entry["resource"]
        urn = f"urn:uuid:00000000-0000-4000-8000-{number:012}"
        text = text.replace(f'"{resource["resourceType"]}/{resource["id"]}"', f'"{urn}"')
        entries.append(urn)
    found = json.loads(text) | {"type": "transaction"}
    for urn, entry in zip(entries, found["entry"], strict=True):
        entry["fullUrl"] = urn
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
        del entry["resource"]["id"]
    return dict(found)


def _as_batch_response(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same record as the answers to a batch of searches."""
    answers = [
        {
            "response": {"status": "200 OK"},
            "resource": {"resourceType": "Bundle", "type": "searchset", "entry": [entry]},
        }
        for entry in bundle["entry"]
    ]
    return bundle | {"type": "batch-response", "entry": answers}


@pytest.mark.parametrize("shape", [_as_transaction, _as_batch_response])
def test_a_record_is_read_from_whatever_bundle_holds_it(
    assess: Assess, bundle: dict[str, Any], shape: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    expected = _summaries(assess(bundle, "--json"))

    assert "720" in expected[0]
    assert _summaries(assess(shape(bundle), "--json")) == expected


def test_nothing_to_assess_says_what_was_not_used(assess: Assess, bundle: dict[str, Any]) -> None:
    others = json.loads(json.dumps(bundle).replace('"Patient/ex-anders"', '"Patient/else"'))
    others["entry"] = [
        entry
        for entry in others["entry"]
        if entry["resource"]["resourceType"] in ("Patient", "Observation")
    ]

    result = assess(others)

    assert result.exit_code == 0
    assert "imatinib appears nowhere in this patient's record" in result.stdout
    assert "belongs to another patient" in result.stderr


def test_orders_of_another_patient_alone_get_a_card(assess: Assess, bundle: dict[str, Any]) -> None:
    others = json.loads(json.dumps(bundle).replace('"Patient/ex-anders"', '"Patient/else"'))

    (summary,) = _summaries(assess(others, "--json"))

    assert "belongs to another patient and was not used" in summary


def test_a_saved_request_gets_the_cards_of_the_service(
    assess: Assess, bundle: dict[str, Any], request_: dict[str, Any]
) -> None:
    sent = request_["prefetch"]
    wrapped = {key: {"response": {"status": "200"}, "resource": sent[key]} for key in sent}

    cards = _summaries(assess(request_, *NOW, "--json"))

    assert cards == _summaries(assess(bundle, "--json"))
    assert _summaries(assess(request_ | {"prefetch": wrapped}, *NOW, "--json")) == cards


@pytest.mark.parametrize(
    "sent", [{}, {"medications": {"resourceType": "OperationOutcome", "issue": []}}]
)
def test_a_request_without_its_orders_is_no_patient_without_the_drug(
    assess: Assess, request_: dict[str, Any], sent: dict[str, Any]
) -> None:
    del request_["prefetch"]["medications"]
    request_["prefetch"] |= sent

    result = assess(request_, *NOW)

    assert result.exit_code == 2
    assert "nothing usable in prefetch.medications" in result.output


def test_a_request_without_its_results_says_so_on_the_card(
    assess: Assess, request_: dict[str, Any]
) -> None:
    del request_["prefetch"]["labs"]

    result = assess(request_, *NOW)

    assert result.exit_code == 0
    assert "The labs could not be obtained" in result.output


def test_a_request_that_the_service_refuses_is_refused_with_its_fields(
    assess: Assess, request_: dict[str, Any]
) -> None:
    request_["context"]["patientId"] = "a b"
    del request_["hookInstance"]

    result = assess(request_)

    assert result.exit_code == 2
    assert "context.patientId" in result.output
    assert "hookInstance" in result.output


def test_a_request_may_be_saved_without_its_token(assess: Assess, request_: dict[str, Any]) -> None:
    request_ |= {"fhirServer": "https://fhir.example.org/r4", "fhirAuthorization": {}}

    assert assess(request_, *NOW).exit_code == 0


def _utf_16(raw: bytes) -> bytes:
    return raw.decode().encode("utf-16")


def _lines(raw: bytes) -> bytes:
    return "\r\n".join(json.dumps(e["resource"]) for e in json.loads(raw)["entry"]).encode()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (gzip.compress, "unpack it first"),
        (lambda raw: b"PK\x03\x04" + raw, "unpack it first"),
        (_utf_16, "save it as UTF-8"),
        (lambda raw: raw.decode().encode("utf-16-be"), "save it as UTF-8"),
        (lambda raw: raw.decode().encode("utf-32"), "save it as UTF-8"),
        (lambda raw: b"\xef\xbb\xbf<Bundle/>", "it is XML"),
        (lambda raw: b" \r\n", "it is empty"),
        (_lines, "imatinib-tdm cohort"),
        (lambda raw: raw[:-3], "not JSON"),
        (lambda raw: b'{"resourceType": "Bundle", "entry": null}', "0 patients"),
        (
            lambda raw: (
                b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}'
            ),
            "neither an id nor a fullUrl",
        ),
    ],
)
def test_a_file_of_another_form_is_named_with_the_cure(
    assess: Assess, shape: Callable[[bytes], bytes], said: str
) -> None:
    result = assess(shape(PATIENT.read_bytes()))

    assert result.exit_code == 2
    assert said in result.output


def test_marks_and_line_ends_of_other_systems_change_nothing(
    assess: Assess, bundle: dict[str, Any]
) -> None:
    foreign = b"\xef\xbb\xbf" + json.dumps(bundle, indent=1).replace("\n", "\r\n").encode()

    assert _summaries(assess(foreign, "--json")) == _summaries(assess(bundle, "--json"))


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_at_the_end_of_the_calendar_is_refused(
    assess: Assess, bundle: dict[str, Any], when: str
) -> None:
    for result in (assess(bundle | {"timestamp": when}), assess(bundle, "--now", when)):
        assert result.exit_code == 2
        assert "not of our time" in result.output


DRIVING = "\x1b]0;title\x07\x9b31m\u202e"


def _driving(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same record, with a further medicine whose name and id would drive a terminal."""
    order = {
        "resourceType": "MedicationRequest",
        "id": f"x{DRIVING}",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/ex-anders"},
        "authoredOn": "2026-11-01",
        "medicationCodeableConcept": {"text": f"rifampicin {DRIVING}"},
        "dosageInstruction": [{"text": f"600 mg {DRIVING}"}],
    }
    return bundle | {"entry": [*bundle["entry"], {"resource": order}]}


def test_names_of_a_record_do_not_drive_the_terminal(
    assess: Assess, bundle: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "driving.json"
    file.write_text(json.dumps(_driving(bundle)))
    elsewhere = json.loads(json.dumps(_driving(bundle)).replace('"Patient/ex-a', '"Patient/e'))
    patient, *_, order = elsewhere["entry"]

    explained = CliRunner().invoke(main, ["rules", "explain", str(file), "--all"])
    shown = assess(_driving(bundle))
    unused = assess(elsewhere | {"entry": [patient, order]})
    refused = assess(bundle | {"timestamp": DRIVING})

    assert "rifampicin" in explained.output
    assert "rifampicin" in shown.output.lower()
    assert "MedicationRequest/x" in unused.output
    assert refused.exit_code == 2
    for result in (explained, shown, unused, refused):
        assert not set(DRIVING) - set("]0;title31m") & set(result.output)


def test_cards_hold_no_control_characters(assess: Assess, bundle: dict[str, Any]) -> None:
    cards = json.loads(assess(_driving(bundle), "--json").stdout)["cards"]
    words = "".join(card["summary"] + card["detail"] for card in cards)

    assert "ifampicin" in words
    assert not set(words) & set("\x1b\x07\x9b\u202e")

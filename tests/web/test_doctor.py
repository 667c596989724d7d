"""The doctor finds what would keep a FHIR server from being useful."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from cds.fhir.prefetch import prefetch_keys
from cds.services.doctor import Check, examine
from cds.services.knowledge import Knowledge
from tests.web import ehr
from tests.web.ehr import FakeEhr

BASE = "http://127.0.0.1:9090/r4"


@pytest.fixture
def capability(knowledge: Knowledge) -> dict[str, Any]:
    """A statement that declares all that the templates ask."""
    rulebook = knowledge.rulebook
    declared: dict[str, set[str]] = {}
    for key in prefetch_keys(rulebook.drug, rulebook.terminology):
        names = {name for name, _ in parse_qsl(key.template.partition("?")[2])}
        declared.setdefault(key.resource_type, set()).update(names)
    resources = [
        {"type": kind, "searchParam": [{"name": name} for name in sorted(names)]}
        for kind, names in declared.items()
    ]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": resources}],
    }


def checks(
    knowledge: Knowledge, capability: dict[str, Any], server: FakeEhr | None = None, **options: Any
) -> dict[str, Check]:
    server = server or FakeEhr()
    normal = server.fail

    def answer(request):
        if request.url.path == "/r4/metadata":
            return ehr.answer(capability)
        return normal(request) if normal else None

    server.fail = answer
    found = examine(BASE, knowledge.rulebook, transport=server.transport, **options)
    return {check.name: check for check in found}


def test_a_good_server_is_fine(knowledge: Knowledge, capability: dict[str, Any]):
    found = checks(knowledge, capability, patient="p-1")

    assert [c.name for c in found.values() if c.state == "failed"] == []
    assert found["data levels"].message.startswith("1 found")
    assert found["tls"].state == "warning"


def test_an_unreachable_server_ends_the_examination_with_a_cure(
    knowledge: Knowledge, capability: dict[str, Any]
):
    server = FakeEhr(fail=ehr.reset)

    found = list(examine(BASE, knowledge.rulebook, transport=server.transport))

    assert found[-1].name == "reachable"
    assert (found[-1].state, bool(found[-1].cure)) == ("failed", True)


@pytest.mark.parametrize("version", ["3.0.2", "1.0.2", "5.0.0"])
def test_another_fhir_version_fails(knowledge: Knowledge, capability: dict[str, Any], version: str):
    found = checks(knowledge, capability | {"fhirVersion": version})

    assert found["fhir-version"].state == "failed"


def test_a_search_that_is_not_declared_is_named(knowledge: Knowledge, capability: dict[str, Any]):
    resources = capability["rest"][0]["resource"]
    resources[:] = [r for r in resources if r["type"] != "MedicationRequest"]
    observation = next(r for r in resources if r["type"] == "Observation")
    observation["searchParam"] = [{"name": "patient"}]

    found = checks(knowledge, capability)

    assert found["search medications"].state == "failed"
    assert "code" in found["search labs"].message


def test_a_patient_without_levels_under_known_codes_points_at_local_codes(
    knowledge: Knowledge, capability: dict[str, Any]
):
    server = FakeEhr()
    server.data["levels"] = None

    found = checks(knowledge, capability, server, patient="p-1")

    assert "site.yaml" in found["data levels"].cure


def test_a_refused_token_is_named(knowledge: Knowledge, capability: dict[str, Any]):
    found = checks(knowledge, capability, FakeEhr(fail=ehr.status(401)), patient="p-1")

    assert found["data medications"].state == "failed"
    assert "token" in found["data medications"].cure

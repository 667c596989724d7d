"""What is asked for: templates within the restrictions of CDS Hooks 2.0."""

from __future__ import annotations

import re

import pytest

from cds.clinical.setting import Occasion
from cds.fhir.client import FetchError
from cds.fhir.prefetch import fill, orders_in_context, prefetch_keys, prefetch_templates
from tests.fhir.factories import DRUG, TERMINOLOGY, request

_TEMPLATES = prefetch_templates(DRUG, TERMINOLOGY)
_ALLOWED_PARAMETERS = {"patient", "code", "_sort", "_count"}


@pytest.mark.parametrize("template", _TEMPLATES.values(), ids=_TEMPLATES.keys())
def test_a_template_keeps_to_the_restricted_queries(template: str) -> None:
    tokens = re.findall(r"\{\{(.*?)\}\}", template)
    assert tokens == ["context.patientId"]
    assert not template.startswith(("http", "/"))
    path, _, query = template.partition("?")
    assert re.fullmatch(r"[A-Za-z]+(/\{\{context\.patientId\}\})?", path)
    names = {pair.split("=")[0] for pair in query.split("&") if pair}
    assert names <= _ALLOWED_PARAMETERS
    assert not {":", "."} & set("".join(names))


def test_levels_and_results_are_asked_for_by_the_codes_of_the_rulebook() -> None:
    assert "http://loinc.org|57844-3" in _TEMPLATES["levels"]
    assert all(code.code in _TEMPLATES["labs"] for code in TERMINOLOGY.labs)


def test_patient_and_orders_are_required_and_enough_is_telling() -> None:
    keys = {key.name: key for key in prefetch_keys(DRUG, TERMINOLOGY)}
    assert {name for name, key in keys.items() if key.required} == {"patient", "medications"}
    assert {name for name, key in keys.items() if key.telling} >= {"medications", "levels"}


def test_a_token_is_filled_and_encoded() -> None:
    filled = fill(_TEMPLATES["conditions"], {"patientId": "a b/../c?x"})
    assert filled == "Condition?patient=a%20b%2F..%2Fc%3Fx&_count=200"


@pytest.mark.parametrize("context", [{}, {"patientId": ""}, {"patientId": 5}])
def test_a_context_without_the_token_cannot_fill_it(context: dict[str, object]) -> None:
    with pytest.raises(FetchError, match="no patientId"):
        fill(_TEMPLATES["patient"], context)


def test_every_hook_has_its_orders_in_its_own_place() -> None:
    order = request()
    bundle = {"resourceType": "Bundle", "entry": [{"resource": order}]}
    context = {"draftOrders": bundle, "selections": ["MedicationRequest/mr1", 5]}
    drafts, selections = orders_in_context(Occasion.ORDER_SELECT, context)
    assert (drafts, selections) == ((bundle,), ("MedicationRequest/mr1",))
    assert orders_in_context(Occasion.MEDICATION_REFILL, {"medications": bundle}) == ((bundle,), ())
    assert orders_in_context(Occasion.MEDICATION_VERIFY, {"medication": order}) == ((order,), ())
    assert orders_in_context(Occasion.PATIENT_VIEW, context)[0] == ()
    assert orders_in_context(Occasion.ORDER_SIGN, {"draftOrders": "x", "selections": 1}) == ((), ())

"""Suggestions are whole, valid resources that read back as what was meant."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus
from cds.fhir import write
from cds.fhir.gather import gather
from cds.fhir.validate import read_resource
from tests.fhir.factories import (
    DRUG,
    IMATINIB_400,
    NOW,
    PATIENT,
    TERMINOLOGY,
    ZONE,
    dosage,
    request,
)

Read = Callable[..., PatientRecord]

_AT = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
_SIX_HUNDRED = ((400.0, 1.0), (100.0, 2.0))


def _valid(resource: dict[str, Any]) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@given(
    amount_mg=st.sampled_from([50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0]),
    interval_h=st.sampled_from([6.0, 8.0, 12.0, 24.0, 36.0, 48.0, 72.0, 168.0]),
    is_update=st.booleans(),
)
@settings(deadline=None)
def test_every_dose_that_is_written_reads_back_as_itself(
    amount_mg: float, interval_h: float, is_update: bool
) -> None:
    if is_update:
        order = write.with_dose(request(), amount_mg=amount_mg, interval_h=interval_h, drug=DRUG)
    else:
        order = write.new_order(
            patient_id="p", drug=DRUG, amount_mg=amount_mg, interval_h=interval_h, authored=_AT
        ) | {"id": "new"}
    _valid(order)
    record = gather(PATIENT, [], [order], drug=DRUG, terminology=TERMINOLOGY, zone=ZONE, now=NOW)
    assert record.problems == ()
    (regimen,) = record.orders[0].regimens
    assert regimen.amount_mg == amount_mg
    assert regimen.interval_h == pytest.approx(interval_h)


def test_an_update_keeps_everything_but_the_dosage(read: Read) -> None:
    draft = request(
        "d",
        status="draft",
        priority="urgent",
        note=[{"text": "call first"}],
        extension=[{"url": "http://vendor/x", "valueString": "y"}],
        requester={"reference": "Practitioner/1"},
        dosageInstruction=[
            dosage(400, frequency=1, period=1, periodUnit="d", boundsPeriod={"start": "2024-06-01"})
            | {"route": {"text": "Oral"}, "asNeededBoolean": False}
        ],
    )
    before = deepcopy(draft)
    changed = write.with_dose(draft, amount_mg=400, interval_h=12, drug=DRUG)
    assert draft == before
    kept = {name: value for name, value in changed.items() if name != "dosageInstruction"}
    assert kept == {name: value for name, value in draft.items() if name != "dosageInstruction"}
    (new,) = changed["dosageInstruction"]
    assert new["route"] == {"text": "Oral"}
    assert new["timing"]["repeat"]["boundsPeriod"] == {"start": "2024-06-01"}
    assert read(changed).orders[0].regimens[0].daily_mg == 800


def test_what_the_old_dose_made_untrue_goes() -> None:
    draft = request(
        text={"status": "generated", "div": "<div>400 mg daily</div>"},
        dispenseRequest={"quantity": {"value": 30}, "numberOfRepeatsAllowed": 3},
    )
    changed = write.with_dose(draft, amount_mg=800, interval_h=24, drug=DRUG)
    assert "text" not in changed
    assert changed["dispenseRequest"] == {"numberOfRepeatsAllowed": 3}
    only_quantity = request(dispenseRequest={"quantity": {"value": 30}})
    assert "dispenseRequest" not in write.with_dose(
        only_quantity, amount_mg=800, interval_h=24, drug=DRUG
    )


def test_the_product_stays_if_it_fits_the_tablets() -> None:
    changed = write.with_dose(
        request(), amount_mg=800, interval_h=24, drug=DRUG, tablets=((400.0, 2.0),)
    )
    assert changed["medicationCodeableConcept"] == IMATINIB_400


@pytest.mark.parametrize(
    "product",
    [
        {"medicationCodeableConcept": IMATINIB_400},
        {"medicationReference": {"reference": "Medication/x", "display": "Gleevec 400 mg tab"}},
    ],
)
def test_a_product_that_cannot_make_the_dose_is_replaced(
    product: dict[str, Any], read: Read
) -> None:
    order = {k: v for k, v in request().items() if k != "medicationCodeableConcept"} | product
    changed = write.with_dose(order, amount_mg=600, interval_h=24, drug=DRUG, tablets=_SIX_HUNDRED)
    _valid(changed)
    assert changed["medicationCodeableConcept"] == {"text": "imatinib"}
    assert "medicationReference" not in changed
    assert "1 x 400 mg + 2 x 100 mg" in changed["dosageInstruction"][0]["text"]
    (regimen,) = read(changed).orders[0].regimens
    assert regimen.daily_mg == 600


def test_one_strength_is_ordered_by_the_code_of_its_tablet(read: Read) -> None:
    order = write.new_order(
        patient_id="p",
        drug=DRUG,
        amount_mg=300,
        interval_h=24,
        authored=_AT,
        tablets=((100.0, 3.0),),
        replaces="MedicationRequest/old",
    )
    _valid(order)
    assert order["medicationCodeableConcept"]["coding"][0]["code"] == "403878"
    assert order["priorPrescription"] == {"reference": "MedicationRequest/old"}
    record = read(drafts=[order | {"id": "n"}])
    assert record.orders[0].regimens[0].daily_mg == 300
    assert record.problems == ()


def test_a_new_order_follows_only_an_order() -> None:
    order = write.new_order(
        patient_id="p",
        drug=DRUG,
        amount_mg=400,
        interval_h=24,
        authored=_AT,
        replaces="MedicationStatement/s",
    )
    assert "priorPrescription" not in order


@pytest.mark.parametrize(
    ("change", "status"),
    [(write.on_hold, OrderStatus.ON_HOLD), (write.cancelled, OrderStatus.CANCELLED)],
)
def test_an_order_is_held_or_withdrawn_with_its_reason(
    change: Any, status: OrderStatus, read: Read
) -> None:
    held = change(request(), reason="Neutrophils 0.4")
    _valid(held)
    assert held["statusReason"] == {"text": "Neutrophils 0.4"}
    assert read(held).orders[0].status is status


def test_a_level_is_ordered_with_what_makes_it_usable() -> None:
    order = write.level_order(patient_id="p", drug=DRUG, authored=_AT)
    _valid(order)
    assert order["code"]["coding"] == [{"system": "http://loinc.org", "code": "57844-3"}]
    assert "before the next dose" in order["note"][0]["text"]
    assert "last dose" in order["note"][0]["text"]


def test_no_written_resource_needs_a_repair() -> None:
    order = write.with_dose(
        request(), amount_mg=600, interval_h=24, drug=DRUG, tablets=_SIX_HUNDRED
    )
    reading = read_resource(order)
    assert reading.resource == order
    assert reading.problems == ()

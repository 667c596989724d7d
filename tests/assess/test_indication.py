"""What the drug is given for: the active disease, else the one in remission."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cds.assess.indication import indication_of
from cds.clinical.medication import Condition, GeneResult
from cds.clinical.regimen import OrderStatus
from tests.assess.build import condition, order, record


def _quiet(*keys: str) -> Condition:
    return replace(condition(*keys), active=False, in_remission=True)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((_quiet("cml"),), ("cml", "cml")),
        ((_quiet("cml-bc", "cml"), condition("cml-cp", "cml")), ("cml-cp", "cml")),
        ((replace(_quiet("cml"), in_remission=False),), (None, None)),
        ((replace(_quiet("cml"), confirmed=False),), (None, None)),
    ],
)
def test_a_disease_in_remission_is_what_the_drug_is_given_for_unless_another_is_active(
    conditions: tuple[Condition, ...], expected: tuple[str | None, str | None]
) -> None:
    assert indication_of(record(conditions=conditions)) == expected


CML, GIST = condition("cml-cp", "cml"), condition("gist-advanced", "gist")


@pytest.mark.parametrize(
    ("conditions", "reason", "expected"),
    [
        ((CML, GIST), {}, (None, None)),
        ((CML, GIST), {"reasons": ("gist",)}, ("gist-advanced", "gist")),
        ((CML, GIST), {"reason_references": ("Condition/cml-cp",)}, ("cml-cp", "cml")),
        ((CML, GIST), {"reason_references": ("Condition/unknown",)}, (None, None)),
        ((CML, GIST), {"reasons": ("gist",), "status": OrderStatus.STOPPED}, (None, None)),
        ((CML,), {"reasons": ("gist",)}, ("gist", "gist")),
        ((CML,), {"reasons": ("gastrectomy",)}, ("cml-cp", "cml")),
        ((), {"reasons": ("gist",)}, ("gist", "gist")),
        ((condition("hes"), condition("mastocytosis")), {}, ("hes", "hes")),
        ((condition("cml-bc", "cml"), condition("all")), {}, ("cml-bc", "cml")),
    ],
)
def test_of_two_diseases_the_one_counts_that_the_order_names(
    conditions: tuple[Condition, ...],
    reason: dict[str, Any],
    expected: tuple[str | None, str | None],
) -> None:
    given = replace(order(), **reason)
    assert indication_of(record(conditions=conditions, orders=(given,))) == expected


def test_a_fusion_that_was_found_makes_the_leukaemia_philadelphia_positive() -> None:
    patient = record(conditions=(condition("all"),))
    assert indication_of(patient) == (None, "all")
    found = GeneResult("bcr-abl1", "detected", "Observation/1", None)
    assert indication_of(replace(patient, genes=(found,))) == ("ph-all", "all")

"""Which data a hook needs, and how they are asked for.

The templates keep to the restricted queries of CDS Hooks 2.0: root-level context tokens and
type-level searches with token, reference and date parameters, `_count` and `_sort`; no `_include`
and no chaining. How what is missing is obtained stands in `obtain`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from cds.clinical.codes import Code
from cds.clinical.setting import Occasion
from cds.clinical.terminology import Drug, Terminology
from cds.fhir.client import FetchError

_TOKEN: Final = re.compile(r"\{\{\s*context\.(\w+)\s*\}\}")
_PATIENT: Final = "patient={{context.patientId}}"
_LOINC: Final = "http://loinc.org"

# The observations of the HL7 Genomics Reporting guide: variant, genotype, haplotype.
_GENETIC_CODES: Final = tuple(Code(_LOINC, code) for code in ("69548-6", "84413-4", "84414-2"))

_ORDERS_FIELD: Final = {
    Occasion.ORDER_SELECT: "draftOrders",
    Occasion.ORDER_SIGN: "draftOrders",
    Occasion.MEDICATION_REFILL: "medications",
    Occasion.MEDICATION_VERIFY: "medication",
}


class PrefetchKey(Struct, frozen=True):
    """One declared key: the type it yields, its template, and whether advice is impossible without.

    `telling` keys suffice to know whether the patient has to do with the monitored drug.
    """

    name: str
    resource_type: str
    template: str
    required: bool = False
    telling: bool = False


def prefetch_keys(drug: Drug, terminology: Terminology) -> tuple[PrefetchKey, ...]:
    """What every hook declares: advice on one drug needs the same data at each moment."""
    orders = f"MedicationRequest?{_PATIENT}&_sort=-authoredon&_count=100"
    return (
        PrefetchKey("patient", "Patient", "Patient/{{context.patientId}}", required=True),
        PrefetchKey("medications", "MedicationRequest", orders, required=True, telling=True),
        _search("statements", "MedicationStatement", "_sort=-effective&_count=100", telling=True),
        _search("administrations", "MedicationAdministration", "_sort=-effective-time&_count=50"),
        _search("dispenses", "MedicationDispense", "_sort=-whenhandedover&_count=50"),
        _search("levels", "Observation", _codes(drug.level_codes, 50), telling=True),
        _search("labs", "Observation", _codes(terminology.labs, 200)),
        _search("genetics", "Observation", _codes(_GENETIC_CODES, 50)),
        _search("conditions", "Condition", "_count=200"),
        _search("procedures", "Procedure", "_count=100"),
        _search("allergies", "AllergyIntolerance", "_count=100"),
    )


def prefetch_templates(drug: Drug, terminology: Terminology) -> dict[str, str]:
    """Key -> template, as discovery declares them."""
    return {key.name: key.template for key in prefetch_keys(drug, terminology)}


def orders_in_context(
    hook: Occasion, context: Mapping[str, Any]
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The orders being written (resources or Bundles, unread) and the selected references."""
    found = context.get(_ORDERS_FIELD.get(hook, ""))
    listed = context.get("selections")
    selections = listed if isinstance(listed, list) else []
    return (
        (found,) if isinstance(found, dict) else (),
        tuple(selection for selection in selections if isinstance(selection, str)),
    )


def fill(template: str, context: Mapping[str, Any]) -> str:
    """A template with its context tokens replaced, percent-encoded.

    Raises FetchError if the context lacks a token's value.
    """

    def value(match: re.Match[str]) -> str:
        found = context.get(match[1])
        if not isinstance(found, str) or not found:
            raise FetchError("no-context", f"the context has no {match[1]}")
        return quote(found, safe="-._~")

    return _TOKEN.sub(value, template)


def _search(name: str, kind: str, rest: str, *, telling: bool = False) -> PrefetchKey:
    return PrefetchKey(name, kind, f"{kind}?{_PATIENT}&{rest}", telling=telling)


def _codes(codes: Collection[Code], count: int) -> str:
    listed = ",".join(sorted(f"{code.system}|{code.code}" for code in codes))
    return f"code={listed}&_sort=-date&_count={count}"

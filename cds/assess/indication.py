"""What the drug is given for, as finely as the conditions on record allow."""

from __future__ import annotations

from collections.abc import Mapping

from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus

# From fine to coarse: the first key on record decides. A fine key implies its disease.
_INDICATIONS: tuple[tuple[str, str], ...] = (
    ("cml-bc", "cml"),
    ("cml-ap", "cml"),
    ("cml-cp", "cml"),
    ("cml", "cml"),
    ("ph-all", "all"),
    ("gist-advanced", "gist"),
    ("gist-adjuvant", "gist"),
    ("gist", "gist"),
    ("asm-eosinophilia", "mastocytosis"),
    ("asm", "mastocytosis"),
    ("hes-fip1l1", "hes"),
    ("hes", "hes"),
    ("mastocytosis", "mastocytosis"),
    ("dfsp", "dfsp"),
    ("mds-mpd", "mds-mpd"),
)
_ALL = "all"
_DISEASES = {**dict(_INDICATIONS), _ALL: _ALL}
# Found together in one disease: a clone with several names, or a lymphoblastic blast crisis.
_TOGETHER = (frozenset({"hes", "mastocytosis", "mds-mpd"}), frozenset({"cml", "all"}))
_GIVEN = (OrderStatus.ACTIVE, OrderStatus.ON_HOLD, OrderStatus.DRAFT)
_BCR_ABL = "bcr_abl_is"
_BCR_ABL_GENE = "bcr-abl1"
_FIP1L1 = "fip1l1-pdgfra"


def indication_of(record: PatientRecord) -> tuple[str | None, str | None]:
    """(indication key, disease key) of the fact catalogue; (None, None) when none is recorded.

    A disease in remission is still what the drug is given for, unless another one is active.
    Of two diseases that the drug treats the one counts that the orders name as their reason; where
    they name none it is not known which, and neither is assumed.
    Acute lymphoblastic leukaemia counts as Ph-positive when a BCR::ABL1 result is on record:
    the diagnosis codes do not tell, and the drug has no other use there.
    """
    found = possible_indications(record)
    if len(found) == 1 or _one_family(found):
        return next(iter(found.values()), None), next(iter(found), None)
    return None, None


def possible_indications(record: PatientRecord) -> dict[str, str | None]:
    """Disease key -> indication key of everything the drug may be given for, finest first."""
    confirmed = [condition for condition in record.conditions if condition.confirmed]
    reasons = _reasons(record)
    active = {key for c in confirmed if c.active for key in c.keys}
    quiet = {key for c in confirmed if c.in_remission for key in c.keys}
    keys = next((keys for keys in (active, quiet) if keys & _DISEASES.keys()), set())
    found = _by_disease(keys | reasons, record)
    named = {_DISEASES[key] for key in reasons if key in _DISEASES}
    if named and not _one_family(found):
        return {disease: key for disease, key in found.items() if disease in named}
    return found


def _reasons(record: PatientRecord) -> set[str]:
    """Keys that the orders which are followed or written name as their reason."""
    given = [order for order in record.orders if order.status in _GIVEN]
    pointed_to = {reference for order in given for reference in order.reason_references}
    keys = {key for order in given for key in order.reasons}
    return keys | {
        key
        for condition in record.conditions
        if condition.confirmed and condition.reference in pointed_to
        for key in condition.keys
    }


def _one_family(found: Mapping[str, str | None]) -> bool:
    return any(found.keys() <= family for family in _TOGETHER)


def _by_disease(keys: set[str], record: PatientRecord) -> dict[str, str | None]:
    genes = {gene.key for gene in record.genes}
    if "hes" in keys and _FIP1L1 in genes:
        keys = {*keys, "hes-fip1l1"}
    if {"asm", "eosinophilia"} <= keys:
        keys = {*keys, "asm-eosinophilia"}
    found: dict[str, str | None] = {}
    for indication, disease in _INDICATIONS:
        if indication in keys:
            # Plain mastocytosis names the disease; which of its indications is not recorded.
            found.setdefault(disease, None if indication == "mastocytosis" else indication)
    if _ALL in keys:
        has_transcript = bool(record.labs_of(_BCR_ABL)) or _BCR_ABL_GENE in genes
        found.setdefault("all", "ph-all" if has_transcript else None)
    return found

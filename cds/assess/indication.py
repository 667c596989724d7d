"""What the drug is given for, as finely as the conditions on record allow."""

from __future__ import annotations

from cds.clinical.record import PatientRecord

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
_BCR_ABL = "bcr_abl_is"
_BCR_ABL_GENE = "bcr-abl1"
_FIP1L1 = "fip1l1-pdgfra"


def indication_of(record: PatientRecord) -> tuple[str | None, str | None]:
    """(indication key, disease key) of the fact catalogue; (None, None) when none is recorded.

    A disease in remission is still what the drug is given for, unless another one is active.
    Acute lymphoblastic leukaemia counts as Ph-positive when a BCR::ABL1 result is on record:
    the diagnosis codes do not tell, and the drug has no other use there.
    """
    confirmed = [condition for condition in record.conditions if condition.confirmed]
    active = _indication({key for c in confirmed if c.active for key in c.keys}, record)
    if active != (None, None):
        return active
    return _indication({key for c in confirmed if c.in_remission for key in c.keys}, record)


def _indication(keys: set[str], record: PatientRecord) -> tuple[str | None, str | None]:
    genes = {gene.key for gene in record.genes}
    if "hes" in keys and _FIP1L1 in genes:
        keys.add("hes-fip1l1")
    for indication, disease in _INDICATIONS:
        if indication in keys:
            # Plain mastocytosis names the disease; which of its indications is not recorded.
            return (None if indication == "mastocytosis" else indication), disease
    if _ALL in keys:
        has_transcript = bool(record.labs_of(_BCR_ABL)) or _BCR_ABL_GENE in genes
        return ("ph-all" if has_transcript else None), "all"
    return None, None

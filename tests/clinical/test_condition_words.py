"""Phases and settings have no codes, so the words of a condition are read - with care."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.clinical.codes import Code, Concept
from cds.clinical.terminology import Terminology
from cds.rulebook import load

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
OFFICIAL = "Chronic myeloid leukemia, BCR/ABL-positive, not having achieved remission"


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load(Path(__file__).parents[2] / "rules").terminology


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (Code(ICD, "C92.10"), f"CML in blast crisis | {OFFICIAL}", "cml-bc"),
        (Code(ICD, "C92.10"), f"CML, accelerated phase | {OFFICIAL}", "cml-ap"),
        (Code(SNOMED, "92818009"), "Chronic phase CML", "cml-cp"),
        (Code(SNOMED, "420120006"), "Metastatic GIST", "gist-advanced"),
        (Code(ICD, "C91.00"), "Philadelphia chromosome positive ALL", "ph-all"),
        (None, "Chronic myeloid leukemia, chronic phase", "cml-cp"),
        (None, "Gastrointestinal stromal tumour of the stomach", "gist"),
    ],
)
def test_words_refine_a_coded_condition_or_name_an_uncoded_one(
    terminology: Terminology, code: Code | None, words: str, expected: str
) -> None:
    concept = Concept((code,) if code else (), words)
    assert expected in terminology.conditions_of(concept)


@pytest.mark.parametrize(
    "words",
    ["CML, no blast crisis", "CML without signs of blast crisis", "blast crisis excluded"],
)
def test_a_denied_phase_is_not_read(terminology: Terminology, words: str) -> None:
    found = terminology.conditions_of(Concept((Code(ICD, "C92.10"),), words))
    assert found == ("cml",)


@pytest.mark.parametrize("words", ["Family history of CML", "Suspected GIST", "risk of CML"])
def test_a_doubted_or_foreign_diagnosis_is_none(terminology: Terminology, words: str) -> None:
    assert terminology.conditions_of(Concept((), words)) == ()


@pytest.mark.parametrize("words", ["FIP1L1-PDGFRA negative HES", "without FIP1L1-PDGFRA fusion"])
def test_a_fusion_that_was_not_found_is_not_read(terminology: Terminology, words: str) -> None:
    found = terminology.conditions_of(Concept((), f"Hypereosinophilic syndrome, {words}"))
    assert "hes-fip1l1" not in found


def test_a_detail_alone_means_nothing(terminology: Terminology) -> None:
    """Metastatic breast cancer is no advanced GIST."""
    assert terminology.conditions_of(Concept((), "Metastatic breast cancer")) == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Pregnancy (finding) | Pregnant", "pregnancy"),
        ("Intrauterine pregnancy, 12 weeks", "pregnancy"),
        ("Breastfeeding (finding)", "lactation"),
        ("Congestive heart failure (disorder)", "heart-failure"),
        ("Left pleural effusion", "pleural-effusion"),
        ("Upper gastrointestinal hemorrhage", "gi-bleeding"),
        ("Stevens-Johnson syndrome", "severe-skin-reaction"),
        ("Total thyroidectomy", "thyroidectomy"),
        ("History of thyroidectomy (situation)", "thyroidectomy"),
        ("Chronic hepatitis B", "hepatitis-b"),
        ("Gilbert's syndrome", "gilbert"),
        ("High-risk GIST, adjuvant", "gist-adjuvant"),
        ("Hypereosinophilic syndrome, FIP1L1-PDGFRA positive", "hes-fip1l1"),
        ("Myelodysplastic syndrome with PDGFRB rearrangement", "mds-mpd"),
        ("Hypereosinophilic syndrome without FIP1L1-PDGFRA fusion", "hes"),
        ("HES without FIP1L1 fusion", "hes"),
        ("GIST, no metastases", "gist"),
        ("Chronische myeloische Leukämie, keine Blastenkrise", "cml"),
        ("Pregnancy without complication", "pregnancy"),
        ("Schwangerschaft, 24. SSW", "pregnancy"),
        ("Z.n. Thyreoidektomie", "thyroidectomy"),
        ("Ph+ ALL", "ph-all"),
        ("Ph+ ALL, PAS positive", "ph-all"),
        ("Acquired absence of stomach", "gastrectomy"),
        ("GIST Magen, Z.n. Gastrektomie 2024, adjuvante Therapie", "gist-adjuvant"),
        ("GIST Magen, Z. n. Gastrektomie 2024", "gastrectomy"),
        ("Gastric GIST, high risk of recurrence, adjuvant imatinib", "gist-adjuvant"),
        ("CML chronic phase, not in MMR", "cml-cp"),
        ("CML, chronische Phase, nicht in Remission", "cml-cp"),
        ("GIST mit Lebermetastasen", "gist-advanced"),
        ("GIST avec métastases hépatiques", "gist-advanced"),
        ("Œdèmes palpébraux", "oedema"),
        ("Lidödeme beidseits", "oedema"),
        ("Gezichtsoedeem", "oedema"),
        ("Lungenödem", "pulmonary-oedema"),
        ("Perikarderguss", "pericardial-effusion"),
        ("Aszites", "ascites"),
        ("Darmperforation", "gi-perforation"),
        ("Magen-Darm-Blutung", "gi-bleeding"),
        ("Toxische epidermale Nekrolyse", "severe-skin-reaction"),
        ("Morbus Meulengracht", "gilbert"),
        ("Syndrome de Gilbert", "gilbert"),
        ("Hépatite B chronique", "hepatitis-b"),
        ("Z.n. Hysterektomie", "hysterectomy"),
        ("Ménopause", "menopause"),
        ("Poor medication adherence", "non-adherence"),
        ("Patientin stillt", "lactation"),
    ],
)
def test_a_problem_list_in_snomed_or_in_words_is_understood_by_its_words(
    terminology: Terminology, words: str, expected: str
) -> None:
    assert expected in terminology.conditions_of(Concept((Code(SNOMED, "1"),), words))


@pytest.mark.parametrize(
    "words",
    [
        "Partner pregnant",
        "Pregnancy test negative",
        "Not pregnant",
        "History of pregnancy",
        "Desire for pregnancy",
        "Hemithyroidectomy",
        "Family history of thyroidectomy",
        "Hepatitis B vaccination",
        "Malignant pleural effusion",
        "Cerebral edema",
        "No heart failure",
        "Risk of gastrointestinal bleeding",
        "Z.n. gastrointestinaler Blutung, Z.n. Hepatitis B",
        "Zustand nach Schwangerschaft",
        "Grossesse arrêtée",
        "Hepatitis B Impfung",
        "Quincke-Ödem",
        "Œdème maculaire",
        "GIST not excluded",
        "risk of recurrence",
        "History of gastrointestinal bleeding",
        "Lactation suppression",
        "Pregnant: no",
        "Pleural effusion: none",
        "Pericardial effusion absent",
        "Verdacht auf Pleuraerguss",
        "Keine Herzinsuffizienz",
        "Schwangerschaft ausgeschlossen",
        "Pas de grossesse",
        "Absence d'insuffisance cardiaque",
    ],
)
def test_words_that_name_something_else_or_deny_it_name_no_condition(
    terminology: Terminology, words: str
) -> None:
    assert terminology.conditions_of(Concept((), words)) == ()

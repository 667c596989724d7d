"""Small instances of the monitored drug and the terminology, and builders of FHIR JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cds.clinical.codes import Code
from cds.clinical.terminology import Drug, LabDefinition, LevelCode, Product, Terminology
from cds.fhir.validate import Reading

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
ATC = "http://www.whocc.no/atc"
UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)


def _rx(code: str) -> Code:
    return Code(RXNORM, code)


DRUG = Drug(
    name="imatinib",
    names=frozenset({"imatinib", "gleevec", "glivec", "imkeldi"}),
    molar_mass=493.60,
    salt_molar_mass=589.7,
    salt_names=frozenset({"imatinib mesylate", "imatinib mesilate"}),
    ingredient_codes=frozenset(
        {_rx("282388"), _rx("284924"), Code(ATC, "L01EA01"), Code(ATC, "L01XE01")}
    ),
    products={
        _rx(code): Product(_rx(code), mg, form)
        for code, mg, form in (
            ("403878", 100.0, "tablet"),
            ("403879", 400.0, "tablet"),
            ("404588", 100.0, "tablet"),
            ("404589", 400.0, "tablet"),
            ("284206", 100.0, "capsule"),
        )
    },
    strengths_mg=(100.0, 400.0),
    solution_mg_ml=80.0,
    metabolite_names=frozenset({"norimatinib", "n-desmethylimatinib", "cgp74588", "cgp 74588"}),
    first_given_year=1998,
    level_codes={
        Code(LOINC, "57844-3"): LevelCode(Code(LOINC, "57844-3")),
        Code(LOINC, "103609-4"): LevelCode(Code(LOINC, "103609-4"), hours_post_dose=24.0),
    },
)

_POSITIVE = {Code(SNOMED, "10828004"): "positive", Code(LOINC, "LA6576-8"): "positive"}

TERMINOLOGY = Terminology(
    medicines={
        _rx("9384"): ("rifampicin",),
        _rx("11289"): ("warfarin",),
        _rx("8629"): ("prednisone",),
        Code(ATC, "J04AB02"): ("rifampicin",),
    },
    medicine_names={
        "rifampicin": ("rifampicin",),
        "rifampin": ("rifampicin",),
        "warfarin": ("warfarin",),
        "bortezomib": ("bortezomib",),
        "tramadol": ("tramadol",),
    },
    labs={
        Code(LOINC, "26499-4"): LabDefinition("neutrophils", "10*9/L"),
        Code(LOINC, "777-3"): LabDefinition("platelets", "10*9/L"),
        Code(LOINC, "1975-2"): LabDefinition("bilirubin", "umol/L", molar_mass=584.66),
        Code(LOINC, "1742-6"): LabDefinition("alt", "U/L"),
        Code(LOINC, "2160-0"): LabDefinition("creatinine", "umol/L", molar_mass=113.12),
        Code(LOINC, "29463-7"): LabDefinition("weight", "kg"),
        Code(LOINC, "8302-2"): LabDefinition("height", "cm", plausible=(20, 275)),
        Code(LOINC, "3140-1"): LabDefinition("body-surface-area", "m2"),
        Code(LOINC, "55135-8"): LabDefinition("bcr-abl-is", "%"),
        Code(LOINC, "82810-3"): LabDefinition(
            "pregnancy", "1", coded_values={Code(SNOMED, "77386006"): "pregnant"}
        ),
        Code(LOINC, "2106-3"): LabDefinition("pregnancy-test", "1", coded_values=_POSITIVE),
    },
    conditions={
        Code(SNOMED, "420120006"): ("gist",),
        Code(SNOMED, "26452003"): ("gastrectomy",),
    },
    condition_prefixes={
        Code(ICD10, "C92.1"): ("cml",),
        Code("http://hl7.org/fhir/sid/icd-10", "C92.1"): ("cml",),
    },
    genes={"cyp2c8*3": "cyp2c8*3", "t315i": "t315i", "cyp3a5*3/*3": "cyp3a5-poor"},
)


def coded(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept with one coding."""
    coding = {"system": system, "code": code}
    return {"coding": [coding | ({"display": display} if display else {})]}


IMATINIB_400 = coded(RXNORM, "403879", "imatinib 400 MG Oral Tablet")
IMATINIB_100 = coded(RXNORM, "403878", "imatinib 100 MG Oral Tablet")


def quantity(value: float, unit: str) -> dict[str, Any]:
    """A UCUM Quantity."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def dosage(mg: float = 400, **repeat: Any) -> dict[str, Any]:
    """One Dosage in mg, once daily unless told otherwise."""
    return {
        "timing": {"repeat": repeat or {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": quantity(mg, "mg")}],
    }


def request(id: str = "mr1", **fields: Any) -> dict[str, Any]:  # noqa: A002
    """An active order of 400 mg once daily."""
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "authoredOn": "2024-01-01",
        "medicationCodeableConcept": IMATINIB_400,
        "dosageInstruction": [dosage()],
    } | fields


def level(value: float = 850, unit: str = "ng/mL", id: str = "l1", **fields: Any) -> dict[str, Any]:  # noqa: A002
    """A final plasma level sampled at a known time."""
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": coded(LOINC, "57844-3", "Imatinib [Mass/volume] in Serum or Plasma"),
        "effectiveDateTime": "2024-05-20T08:00:00+02:00",
        "valueQuantity": quantity(value, unit),
    } | fields


def lab(code: str, value: float, unit: str, id: str = "o1", **fields: Any) -> dict[str, Any]:  # noqa: A002
    """A final laboratory result."""
    return level(value, unit, id) | {"code": coded(LOINC, code)} | fields


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "gender": "female",
    "birthDate": "1970-03-04",
}


def judged(reading: Reading) -> tuple[object, object]:
    """What was read and said, whether or not the form was known before."""
    return reading.resource, reading.problems

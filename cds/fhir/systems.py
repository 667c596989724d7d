"""Other names under which records send the code systems that the rulebook knows.

The same system has an OID in older records, and national services publish classifications under
addresses of their own. A national modification of ICD-10 adds digits to the categories of the WHO
and keeps their meaning, so it is read as ICD-10.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_ICD_10: Final = "http://hl7.org/fhir/sid/icd-10"
_NAMES: Final = {
    "http://loinc.org": ("urn:oid:2.16.840.1.113883.6.1", "https://loinc.org", "http://loinc.org/"),
    "http://snomed.info/sct": ("urn:oid:2.16.840.1.113883.6.96", "https://snomed.info/sct"),
    "http://www.nlm.nih.gov/research/umls/rxnorm": (
        "urn:oid:2.16.840.1.113883.6.88",
        "https://www.nlm.nih.gov/research/umls/rxnorm",
    ),
    "http://www.whocc.no/atc": (
        "urn:oid:2.16.840.1.113883.6.73",
        "https://www.whocc.no/atc",
        "http://fhir.de/CodeSystem/bfarm/atc",
        "http://fhir.de/CodeSystem/dimdi/atc",
        "https://smt.esante.gouv.fr/terminologie-atc",
    ),
    "http://hl7.org/fhir/sid/icd-10-cm": ("urn:oid:2.16.840.1.113883.6.90",),
    _ICD_10: (
        "urn:oid:2.16.840.1.113883.6.3",
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
        "http://fhir.de/CodeSystem/dimdi/icd-10-gm",
        "http://hl7.org/fhir/sid/icd-10-de",
        "http://hl7.org/fhir/sid/icd-10-nl",
        "http://hl7.org/fhir/sid/icd-10-am",
        "https://smt.esante.gouv.fr/terminologie-cim-10",
    ),
}
KNOWN_AS: Final = MappingProxyType(
    {other: system for system, others in _NAMES.items() for other in others}
)
"""Another name of a code system -> the name that the rulebook uses."""

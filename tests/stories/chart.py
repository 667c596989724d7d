"""A hospital record as FHIR, a line a thing: charts on which one row of the catalogue speaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
_SUBJECT = {"reference": "Patient/p1"}
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_ICD = "http://hl7.org/fhir/sid/icd-10-cm"
_IMATINIB = {"coding": [{"system": _RXNORM, "code": "282388"}], "text": "imatinib 400 mg tablet"}
# Key -> LOINC code, unit, upper limit of normal.
_LABS: dict[str, tuple[str, str, float | None]] = {
    "anc": ("751-8", "10*3/uL", None),
    "platelets": ("777-3", "10*3/uL", None),
    "wbc": ("6690-2", "10*3/uL", None),
    "hemoglobin": ("718-7", "g/dL", None),
    "alt": ("1742-6", "U/L", 40),
    "ast": ("1920-8", "U/L", 40),
    "bilirubin": ("1975-2", "mg/dL", 1.0),
    "crcl": ("2164-2", "mL/min", None),
    "creatinine": ("14682-9", "umol/L", 105),
    "egfr": ("98979-8", "mL/min/{1.73_m2}", None),
    "crp": ("1988-5", "mg/L", None),
    "tsh": ("3016-3", "m[IU]/L", 4.5),
    "ck": ("2157-6", "U/L", 200),
    "lipase": ("3040-3", "U/L", 60),
    "lvef": ("10230-1", "%", None),
    "weight": ("29463-7", "kg", None),
    "height": ("8302-2", "cm", None),
    "is": ("69380-4", "%", None),
    "hbsag": ("5195-3", "", None),
    "anti-hbc": ("13952-7", "", None),
    "status": ("97509-4", "", None),
}


def at(days: float, hours: float = 0.0) -> str:
    """So long ago."""
    return (NOW - timedelta(days=days, hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def quantity(value: float, unit: str | None) -> dict[str, Any]:
    """A FHIR Quantity; without a unit it has none."""
    return {"value": value} | ({"unit": unit, "system": _UCUM, "code": unit} if unit else {})


class Chart:
    """One patient's record; every method adds a resource and returns the chart."""

    def __init__(self, age: float, sex: str) -> None:
        self.patient = {
            "resourceType": "Patient",
            "id": "p1",
            "gender": sex,
            "birthDate": at(age * 365.25 + 40)[:10],
        }
        self.drafts: list[dict[str, Any]] = []
        self.kept: dict[str, list[dict[str, Any]]] = {}

    def keep(self, key: str, kind: str, **fields: Any) -> Self:
        """Add a resource under a prefetch key."""
        entries = self.kept.setdefault(key, [])
        entries.append(
            {
                "resourceType": kind,
                "id": f"{key}-{len(entries)}",
                "subject": _SUBJECT,
                "status": "completed",
                **fields,
            }
        )
        return self

    def diagnosis(self, text: str, code: str = "", days: float = 400) -> Self:
        """A problem of the list, active."""
        coding = [{"system": _ICD, "code": code}] if code else []
        resource = {
            "resourceType": "Condition",
            "id": f"dx-{len(self.kept.get('conditions', []))}",
            "subject": _SUBJECT,
            "code": {"text": text} | ({"coding": coding} if coding else {}),
            "clinicalStatus": {"coding": [{"system": _CLINICAL, "code": "active"}]},
            "onsetDateTime": at(days)[:10],
        }
        self.kept.setdefault("conditions", []).append(resource)
        return self

    def procedure(self, text: str) -> Self:
        """An operation a year ago."""
        return self.keep(
            "procedures", "Procedure", code={"text": text}, performedDateTime=at(400)[:10]
        )

    def medicine(
        self,
        what: str | dict[str, Any],
        mg: float | None = None,
        times: int = 1,
        *,
        days: float = 60,
        until: float | None = None,
        status: str = "active",
        draft: bool = False,
        **fields: Any,
    ) -> Self:
        """An order, of before or being written now."""
        period = {"start": at(days)[:10]} | ({} if until is None else {"end": at(until)[:10]})
        repeat: dict[str, Any] = {"frequency": times, "period": 1, "periodUnit": "d"}
        dosage: dict[str, Any] = {
            "text": "with a meal and a large glass of water",
            "timing": {"repeat": repeat if draft else repeat | {"boundsPeriod": period}},
        }
        if mg is not None:
            dosage["doseAndRate"] = [{"doseQuantity": quantity(mg, "mg")}]
        orders = self.drafts if draft else self.kept.setdefault("medications", [])
        orders.append(
            {
                "resourceType": "MedicationRequest",
                "id": f"{'draft' if draft else 'order'}-{len(orders)}",
                "status": "draft" if draft and status == "active" else status,
                "intent": "order",
                "subject": _SUBJECT,
                "medicationCodeableConcept": {"text": what} if isinstance(what, str) else what,
                "authoredOn": at(0 if draft else days)[:10],
                "dosageInstruction": [dosage],
            }
            | fields
        )
        return self

    def imatinib(self, mg: float = 400, times: int = 1, *, days: float = 210, **more: Any) -> Self:
        """The drug, taken."""
        return self.medicine(_IMATINIB, mg, times, days=days, **more)

    def order(self, mg: float, times: int = 1, **more: Any) -> Self:
        """The drug, being ordered."""
        return self.medicine(_IMATINIB, mg, times, draft=True, **more)

    def lab(
        self,
        key: str,
        value: float | str,
        days: float = 2,
        *,
        bound: str = "",
        status: str = "final",
    ) -> Self:
        """A result; words are a coded answer."""
        code, unit, limit = _LABS[key]
        fields: dict[str, Any] = {"status": status, "effectiveDateTime": at(days)}
        if isinstance(value, str):
            fields["valueCodeableConcept"] = {"text": value}
        else:
            comparator = {"comparator": bound} if bound else {}
            fields["valueQuantity"] = quantity(value, unit) | comparator
        if limit is not None:
            fields["referenceRange"] = [{"high": quantity(limit, unit)}]
        coded = {"coding": [{"system": _LOINC, "code": code}]}
        return self.keep("labs", "Observation", code=coded, **fields)

    def level(
        self,
        value: float,
        hours: float | None = 24,
        days: float = 2,
        *,
        unit: str | None = "ng/mL",
        mg: float = 400,
        bound: str = "",
        **fields: Any,
    ) -> Self:
        """A level, and the dose before it by the ward's record."""
        coded = {"coding": [{"system": _LOINC, "code": "57844-3"}]}
        measured = quantity(value, unit) | ({"comparator": bound} if bound else {})
        result = {"status": "final", "effectiveDateTime": at(days), "valueQuantity": measured}
        self.keep("levels", "Observation", code=coded, **(result | fields))
        if hours is None:
            return self
        return self.keep(
            "administrations",
            "MedicationAdministration",
            medicationCodeableConcept=_IMATINIB,
            effectiveDateTime=at(days, hours),
            dosage={"dose": quantity(mg, "mg")},
        )

    def supply(self, first: int = 210, every: int = 30, last: int = 0, *, mg: float = 400) -> Self:
        """Packs of 100 mg tablets for thirty days of `mg` each."""
        for days in range(first, last, -every):
            self.keep(
                "dispenses",
                "MedicationDispense",
                medicationCodeableConcept={"text": "imatinib 100 mg tablet"},
                quantity={"value": 30 * mg / 100, "unit": "tablet"},
                daysSupply=quantity(30, "d"),
                whenHandedOver=at(days),
            )
        return self

    def gene(self, text: str) -> Self:
        """A genetic result in words."""
        code = {"coding": [{"system": _LOINC, "code": "69548-6"}]}
        when = at(30)[:10]
        answer = {"valueCodeableConcept": {"text": text}, "status": "final"}
        return self.keep("genetics", "Observation", code=code, effectiveDateTime=when, **answer)

    def request(self, hook: str = "") -> dict[str, Any]:
        """The hook request: the signing of what is ordered, else the opening of the chart."""
        hook = hook or ("order-sign" if self.drafts else "patient-view")
        context: dict[str, Any] = {"userId": "Practitioner/d", "patientId": "p1"}
        if hook != "patient-view":
            context["draftOrders"] = _bundle("collection", self.drafts)
        if hook == "order-select":
            context["selections"] = [f"MedicationRequest/{self.drafts[-1]['id']}"]
        keys = "statements administrations dispenses levels labs genetics conditions procedures"
        prefetch: dict[str, Any] = {"patient": self.patient}
        prefetch["medications"] = _bundle("searchset", self.kept.get("medications", []))
        for key in (*keys.split(), "allergies"):
            found = self.kept.get(key)
            prefetch[key] = _bundle("searchset", found) if found else None
        return {
            "hook": hook,
            "hookInstance": "657251bf-bf1d-581d-b549-8ef1defbbaa6",
            "context": context,
            "prefetch": prefetch,
        }


def _bundle(kind: str, resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def treated(
    disease: str = "CML, chronic phase",
    *,
    mg: float = 400,
    times: int = 1,
    days: float = 210,
    age: float = 54,
    sex: str = "male",
    supplied: bool = True,
    looked: bool = True,
) -> Chart:
    """A patient on the drug; `supplied` gives dispensed packs, `looked` gives blood counts."""
    chart = Chart(age, sex).diagnosis(disease)
    if days:
        chart.imatinib(mg, times, days=days)
    if supplied and days:
        chart.supply(int(min(days, 210)), mg=mg * times)
    if looked:
        for key, value in (("anc", 3.0), ("platelets", 210), ("alt", 25), ("ast", 25)):
            chart.lab(key, value, 5)
        chart.lab("bilirubin", 0.6, 5).lab("hbsag", "not detected", 60).lab("weight", 78, 20)
        chart.lab("anti-hbc", "not detected", 60)
    return chart


def responding(**more: Any) -> Chart:
    """CML in major molecular response."""
    return treated(**more).lab("is", 0.06, 150).lab("is", 0.04, 25)


def behind(**more: Any) -> Chart:
    """CML with 4 % at six months."""
    return treated(**more).lab("is", 45, 208).lab("is", 4.0, 30)


def starting(disease: str = "CML, chronic phase", mg: float = 400, **more: Any) -> Chart:
    """The first order."""
    return treated(disease, days=0, **more).order(mg)


def child(disease: str = "CML", *, age: float = 10, measured: float = 20, **more: Any) -> Chart:
    """A child on the drug."""
    height, weight = (138, 33) if age > 3 else (70, 9)
    chart = treated(disease, age=age, mg=300, **more)
    return chart.lab("height", height, measured).lab("weight", weight, measured)

"""Every problem a FHIR reader can report: its stable code, what it means and what it does.

One table, so that the reference documentation can be generated from it and a test can show that
no reader uses a code that stands nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from cds.clinical.problem import Impact, Problem


class ProblemKind(Struct, frozen=True):
    """The meaning of a problem code and its usual impact."""

    meaning: str
    impact: Impact


_N, _L, _P = Impact.NOTICE, Impact.LIMITS, Impact.PREVENTS

PROBLEMS: Final[Mapping[str, ProblemKind]] = MappingProxyType(
    {
        code: ProblemKind(meaning, impact)
        for code, (meaning, impact) in {
            # resources as a whole
            "resource-unreadable": ("A resource is not valid FHIR R4 and was not used.", _L),
            "text-too-long": ("A text is longer than this service reads.", _L),
            "resource-repaired": ("A resource was read after harmless repairs.", _N),
            "resource-type-unknown": ("A resource is of a type this service does not read.", _N),
            "fhir-version-mismatch": ("A resource has the shape of another FHIR version.", _L),
            "modifier-extension": (
                "A resource carries an unknown modifier, and FHIR forbids reading on.",
                _L,
            ),
            "status-unknown": ("The status of a resource is not one FHIR R4 defines.", _L),
            "entered-in-error": ("A resource was withdrawn as entered in error.", _N),
            "date-not-entered": (
                "A date stands for none that was entered; it was left out.",
                _L,
            ),
            "date-before-drug": (
                "A date lies before the drug was first given to anyone; it was left out.",
                _L,
            ),
            "other-patient": ("A resource belongs to another patient and was not used.", _L),
            "subject-missing": ("A resource does not say which patient it belongs to.", _L),
            "patient-mismatch": ("The Patient resource is not the patient asked about.", _P),
            "patient-unreadable": ("The Patient resource could not be read.", _L),
            "data-not-available": ("A kind of data could not be obtained.", _L),
            "data-partial": ("Only a part of a kind of data could be obtained.", _L),
            # medicines
            "medication-unresolved": (
                "The medicine of an order is a reference that was not sent.",
                _L,
            ),
            "medication-unnamed": ("A medicine has neither code nor name.", _L),
            "medication-code-unknown": (
                "A medicine is named by a code alone, and the code is not known here.",
                _L,
            ),
            "medicine-status-unknown": ("Whether another medicine is taken is unknown.", _L),
            "medication-misspelt": ("The name of a medicine resembles a known one.", _L),
            "lab-time-future": ("A result is dated in the future and was not used.", _L),
            "medication-code-mismatch": ("Code and name of a medicine contradict each other.", _P),
            "strength-unknown": ("The dose counts tablets or mL of unknown strength.", _P),
            "strength-conflict": ("Two statements of the product strength disagree.", _P),
            "strength-not-marketed": ("The stated strength is not one that exists.", _P),
            # dosing
            "dose-missing": ("An order states no dose.", _P),
            "dose-ceiling-only": ("An order states only a maximum dose.", _P),
            "dose-unit-missing": ("A dose has a number but no unit.", _P),
            "dose-unit-unknown": ("A dose is in a unit this service does not read.", _P),
            "dose-unit-conflict": ("Unit and unit code of a dose disagree.", _P),
            "dose-not-positive": ("A dose is zero, negative or not a number.", _P),
            "dose-conflict": ("One order states two different doses.", _P),
            "dose-range": ("A dose is given as a range.", _P),
            "dose-is-rate": ("An oral medicine is ordered as a rate.", _P),
            "dose-needs-body-surface": ("A dose per m2 needs a body surface area.", _P),
            "dose-needs-weight": ("A dose per kg needs a weight.", _P),
            "timing-missing": ("An order does not say how often.", _P),
            "timing-conflict": ("One order states two different frequencies.", _P),
            "timing-range": ("A frequency or interval is given as a range.", _P),
            "timing-incomplete": ("A frequency lacks its period or a period its unit.", _P),
            "timing-invalid": ("A timing element has a value FHIR does not allow.", _P),
            "timing-unknown": ("A timing code or phrase is not one this service reads.", _P),
            "text-conflict": ("The text of an order contradicts its structured part.", _P),
            "text-unreadable": ("The dosage is free text that cannot be read safely.", _P),
            "as-needed": ("The monitored drug is ordered as needed.", _P),
            "do-not-perform": ("An order says that the medicine must not be given.", _P),
            "dosage-ambiguous": ("Several dosages may be concurrent or alternatives.", _P),
            "dosage-sequence-open": ("Consecutive dosages do not say when one ends.", _P),
            "order-not-authorised": ("An order is only a proposal, plan or option.", _L),
            "order-status-unknown": ("The status of an order of the drug is unknown.", _L),
            "order-on-hold": ("An order is on hold.", _N),
            "order-stop-date-unknown": ("An order was stopped but not when.", _L),
            # doses taken and supplies
            "administration-not-usable": (
                "A documented administration does not count as taken.",
                _N,
            ),
            "administration-time-unknown": ("A documented administration has no time.", _L),
            "administration-dose-unknown": ("The amount of a documented dose is unknown.", _L),
            "not-taken-period": ("The record says the drug was not taken for a time.", _L),
            "supply-not-handed-over": (
                "A dispense does not say that or when it was handed over.",
                _L,
            ),
            "supply-days-unknown": ("A dispense does not say for how many days it suffices.", _L),
            # levels
            "level-unit-unreadable": ("The unit of a level is missing or not accepted.", _P),
            "level-unit-conflict": ("Unit and unit code of a level disagree.", _P),
            "level-value-text": ("A level is written as text and needs confirmation.", _P),
            "level-value-implausible": ("A level is zero or negative.", _P),
            "level-no-value": ("A level has no value.", _L),
            "level-pending": ("A level is registered but has no result yet.", _N),
            "level-preliminary": ("A level is preliminary.", _L),
            "level-withdrawn": ("A level was cancelled or entered in error.", _N),
            "level-status-unusable": ("The status of a level does not let it count.", _L),
            "level-superseded": ("An earlier report of a level was replaced by a later one.", _N),
            "level-code-unknown": ("A result looks like a level but its code is not known.", _L),
            "level-of-metabolite": ("A level names the metabolite and was not used.", _L),
            "level-code-mismatch": ("A level is coded as the drug but names another one.", _L),
            "level-of-free-drug": ("A level is of the free drug, not of the total.", _L),
            "level-salt-named": (
                "The test is named after the salt; the value is read as base.",
                _N,
            ),
            "level-time-unknown": ("The sampling time of a level is unknown.", _L),
            "level-clock-time-unknown": ("A level has a sampling date but no clock time.", _L),
            "level-zone-assumed": ("A sampling time without a zone was read as local time.", _N),
            "level-sampling-interval": ("A level was sampled over a period.", _L),
            "sampling-times-disagree": ("Observation and specimen state different times.", _L),
            "level-timing-disagrees": ("Sources disagree on the time since the last dose.", _L),
            "level-schedule-disagrees": (
                "The documented last dose is not at the ordered time.",
                _N,
            ),
            "level-schedule-ambiguous": (
                "A level without a documented dose was drawn soon after an ordered dose time.",
                _L,
            ),
            "last-dose-after-sample": ("The stated last dose is after the sample.", _L),
            # laboratory
            "lab-unit-unreadable": ("The unit of a result is missing or not accepted.", _L),
            "lab-value-unreadable": ("The value of a result cannot be read.", _L),
            "lab-value-implausible": ("A weight, height or surface is not that of a person.", _L),
            "lab-time-unknown": ("A result has no time.", _L),
            "lab-status-unusable": ("The status of a result does not let it count.", _N),
            # conditions, allergies, genes
            "allergy-unreadable": ("An allergy entry does not say to what.", _L),
            "gene-result-unclear": ("A genetic result does not say plainly what was found.", _L),
        }.items()
    }
)


class ReadError(Exception):
    """Something in a resource that must become a question instead of a value.

    Raised inside the readers of this package and turned into a Problem by the nearest function
    that knows the resource; it never leaves `cds.fhir`.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def as_problem(self, reference: str | None, impact: Impact | None = None) -> Problem:
        """This error as a value that travels to the card."""
        return problem(self.code, self.message, reference, field=self.field, impact=impact)


def problem(
    code: str,
    message: str,
    reference: str | None = None,
    *,
    field: str | None = None,
    impact: Impact | None = None,
) -> Problem:
    """A Problem with a documented code and, unless told otherwise, that code's impact."""
    kind = PROBLEMS[code]
    return Problem(code, message, impact or kind.impact, reference, field)

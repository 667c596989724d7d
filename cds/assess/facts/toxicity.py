"""Facts about toxicity: counts and multiples of the upper limit against the tables, never grades.

Imported CTCAE grades are not used: versions 5 and 6 grade the same count differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from cds.assess.facts.basis import Basis, fact
from cds.assess.indication import possible_indications
from cds.assess.policy import Table
from cds.clinical.labs import Lab
from cds.clinical.moment import Moment
from cds.rulebook import Fact

# Explained by the disease itself where the table says so.
_COUNTS = ("anc", "platelets", "hemoglobin", "wbc")


class _Counts(Struct, frozen=True):
    """Neutrophils and platelets as last measured."""

    anc: Lab | None
    platelets: Lab | None

    def below(self, anc: float, platelets: float) -> bool | None:
        """Whether either count is below its limit; None if neither is and one is unknown."""
        low = [_below(self.anc, anc), _below(self.platelets, platelets)]
        if True in low:
            return True
        return None if None in low else False

    def at_least(self, anc: float, platelets: float) -> bool | None:
        """Whether both counts are at or above their limits; None if one is unknown."""
        low = self.below(anc, platelets)
        return None if low is None else not low


def toxicity_facts(basis: Basis) -> Iterable[Fact]:
    """Recorded toxicity and the rows of the dose-adjustment tables that apply."""
    record = basis.record
    counts = _Counts(record.latest_lab("anc"), record.latest_lab("platelets"))
    group, row = _haematology_row(basis)
    hold = row["hold"] if row else None
    resume = row["resume"] if row else None
    episodes, low_now = _episodes(basis, row) if row else (0, False)
    liver_hold, liver_ready, liver_age = _liver(basis)
    attention = list(_beyond(basis, "attention"))
    severe = list(_beyond(basis, "severe"))
    ages = [basis.days_ago(lab.at) for lab in (counts.anc, counts.platelets) if lab]
    yield fact(
        "toxicity",
        present=bool(attention or severe),
        severe=bool(severe),
        leading=next(iter(severe or attention), None),
        cytopenia_group=group,
        cytopenia=counts.below(hold["anc_below"], hold["platelets_below"]) if hold else None,
        cytopenia_before=episodes > low_now,
        counts_recovered=(
            counts.at_least(resume["anc_at_least"], resume["platelets_at_least"])
            if resume
            else None
        ),
        counts_age_days=max((age for age in ages if age is not None), default=None),
        anc=counts.anc.value if counts.anc else None,
        platelets=counts.platelets.value if counts.platelets else None,
        resume_mg=_resume_dose(basis, row, again=episodes > 1) if row else None,
        resume_unit=("mg/m2/day" if _per_m2(row) else "mg/day") if row else None,
        liver_hold=liver_hold,
        liver_recovered=liver_ready,
        liver_before=_liver_before(basis),
        liver_resume_mg=_liver_step(basis),
        liver_age_days=liver_age,
    )


def _haematology_row(basis: Basis) -> tuple[str | None, Mapping[str, Any] | None]:
    """The haematology table for indication, age and jurisdiction.

    Where it is not known which of two diseases is treated, the table that holds for both.
    """
    one = basis.therapy.course.indication
    possible = [one] if one else possible_indications(basis.record).values()
    found = dict(_row_for(basis, indication) for indication in possible)
    return next(iter(found.items())) if len(found) == 1 else (None, None)


def _row_for(basis: Basis, indication: str | None) -> tuple[str | None, Mapping[str, Any] | None]:
    course = basis.therapy.course
    for key, row in basis.tables.toxicity["haematology"].items():
        if indication not in (row["indications"] or ()):
            continue
        if course.population is not None and row["population"] != course.population:
            continue
        if basis.setting.jurisdiction.value not in row["jurisdictions"]:
            continue
        return key, row
    return None, None


def _episodes(basis: Basis, row: Mapping[str, Any]) -> tuple[int, bool]:
    """How often counts fell below the limit on this therapy, and whether they are low now.

    An episode ends when the count has recovered to the resume limit; the larger number of the two
    counts stands for both.
    """
    hold, resume = row["hold"], row["resume"]
    limits = {
        "anc": (hold["anc_below"], resume["anc_at_least"]),
        "platelets": (hold["platelets_below"], resume["platelets_at_least"]),
    }
    started = basis.therapy.course.started
    most, low_now = 0, False
    for key, (low, recovered) in limits.items():
        was_low, episodes = False, 0
        for lab in basis.record.labs_of(key):
            if lab.value is None or (started and lab.at.at < started):
                continue
            if not was_low and lab.value < low:
                was_low, episodes = True, episodes + 1
            elif was_low and lab.value >= recovered:
                was_low = False
        if episodes > most or (episodes == most and was_low):
            most, low_now = episodes, was_low
    return most, low_now


def _resume_dose(basis: Basis, row: Mapping[str, Any], *, again: bool) -> float | None:
    """Dose to resume: the table's for a first episode, its lower step for a recurrence."""
    suffix = "_per_m2" if _per_m2(row) else ""
    if row.get("resume_previous"):
        return _last_daily_mg(basis)
    name = ("recurrence_mg" if again else "resume_mg") + suffix
    start = basis.therapy.course.start_daily_mg
    by_start = row.get(f"{name}_start_{start:g}") if start is not None else None
    dose = by_start if by_start is not None else row.get(name)
    if suffix:
        return float(dose) if dose is not None else None
    # The tables speak of the usual starting dose; nobody restarts above the dose that did harm.
    known = [float(mg) for mg in (dose, start, _last_daily_mg(basis)) if mg is not None]
    return min(known, default=None)


def _per_m2(row: Mapping[str, Any]) -> bool:
    return row.get("resume_mg_per_m2") is not None


def _liver(basis: Basis) -> tuple[bool | None, bool | None, float | None]:
    """(hold, recovered, age in days) by the hepatotoxicity table; None where a test is unknown."""
    table = basis.tables.hepatotoxicity
    labs = {k: basis.record.latest_lab(k) for k in ("bilirubin", "alt", "ast")}
    multiples = {k: lab.multiple_of_upper_limit if lab else None for k, lab in labs.items()}
    stop = {
        "bilirubin": table["hold"]["bilirubin_multiple_above"],
        "alt": table["hold"]["transaminase_multiple_above"],
        "ast": table["hold"]["transaminase_multiple_above"],
    }
    go = {
        "bilirubin": table["resume"]["bilirubin_multiple_below"],
        "alt": table["resume"]["transaminase_multiple_below"],
        "ast": table["resume"]["transaminase_multiple_below"],
    }
    known = {k: m for k, m in multiples.items() if m is not None}
    over = any(m > stop[k] for k, m in known.items())
    transaminase_known = "alt" in known or "ast" in known
    complete = "bilirubin" in known and transaminase_known
    ready = all(m < go[k] for k, m in known.items()) if complete else None
    ages = [basis.days_ago(lab.at) for lab in labs.values() if lab]
    age = max((a for a in ages if a is not None), default=None)
    return (True if over else (False if complete else None)), ready, age


def _last_daily_mg(basis: Basis) -> float | None:
    """The current daily dose, or the last one if the drug is held or stopped."""
    course, segments = basis.therapy.course, basis.therapy.segments
    regimen = course.regimen or (segments[-1].regimen if segments else None)
    return regimen.daily_mg if regimen else None


def _liver_before(basis: Basis) -> bool:
    """Whether an earlier test on this therapy was beyond the hold limits."""
    hold = basis.tables.hepatotoxicity["hold"]
    started = basis.therapy.course.started
    limits = {
        "bilirubin": hold["bilirubin_multiple_above"],
        "alt": hold["transaminase_multiple_above"],
        "ast": hold["transaminase_multiple_above"],
    }
    return any(
        (lab.multiple_of_upper_limit or 0.0) > limit and not (started and lab.at.at < started)
        for key, limit in limits.items()
        for lab in basis.record.labs_of(key)[:-1]
    )


def _liver_step(basis: Basis) -> float | None:
    """Dose to resume after liver toxicity, by the current (or last) daily dose."""
    daily_mg = _last_daily_mg(basis)
    if daily_mg is None or basis.therapy.course.population == "child":
        return None
    step = basis.tables.hepatotoxicity["steps_mg"].get(round(daily_mg))
    return float(step) if step is not None else None


def _beyond(basis: Basis, level: str) -> Iterable[str]:
    """Recent results and active conditions at or beyond the table's level, in words."""
    table = basis.tables.toxicity[level]
    currency = basis.tables.monitoring["currency_days"]
    excluded = basis.therapy.course.indication in table["counts_excluded_indications"]
    for key, limit in table["results"].items():
        lab = basis.record.latest_lab(key)
        age = basis.days_ago(lab.at) if lab else None
        if lab is None or lab.value is None or age is None or age > _limit(currency, key):
            continue
        if excluded and key in _COUNTS:
            continue
        if _before_the_drug(basis, lab.at):
            continue
        multiple = lab.multiple_of_upper_limit
        if "below" in limit and lab.value < limit["below"]:
            yield f"{_name(basis, key)} {lab.value:g} {lab.unit}"
        elif "multiple_above" in limit and multiple and multiple > limit["multiple_above"]:
            yield f"{_name(basis, key)} {multiple:.1f} times the upper limit"
    for condition in basis.record.conditions:
        if not (condition.active and condition.confirmed):
            continue
        if _before_the_drug(basis, condition.onset):
            continue
        if set(condition.keys) & set(table["conditions"]):
            yield condition.display


def _name(basis: Basis, key: str) -> str:
    definition = basis.terminology.labs_by_key.get(key)
    return (definition.name if definition else None) or key


def _before_the_drug(basis: Basis, at: Moment | None) -> bool:
    """Whether something was there before the drug, and so is not its toxicity."""
    course = basis.therapy.course
    return course.starting or bool(at and course.started and at.at < course.started)


def _limit(currency: Table, key: str) -> float:
    return float(currency.get(key, currency["default"]))


def _below(lab: Lab | None, limit: float) -> bool | None:
    return None if lab is None or lab.value is None else lab.value < limit

"""A small rulebook for tests: two diseases, four rules, one table that differs by jurisdiction."""

from __future__ import annotations

from collections.abc import Mapping

from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Fact, Rulebook, catalogue
from cds.rulebook.facts import Value
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.rulebook import load_files

SETTING = Setting(Occasion.ORDER_SIGN, Jurisdiction.US)

RULEBOOK = """\
name: Small
version: "1"
jurisdictions: [us, eu]
default_jurisdiction: us
"""
DRUG = """\
name: imatinib
names: [Gleevec]
molar_mass_g_mol: 493.6
salt: {names: [mesylate], molar_mass_g_mol: 589.7}
ingredient_codes: [{system: "http://www.whocc.no/atc", code: L01EA01}]
products: [{system: "urn:local", code: tab400, strength_mg: 400, form: tablet}]
strengths_mg: [400, 100]
level_codes: [{system: "http://loinc.org", code: 54088-5}]
"""
SOURCES = """\
trial: {citation: A trial, doi: 10.1/x, kind: trial, verified: true}
product-proposal: {citation: Our proposal, kind: proposal, verified: false}
"""
TARGETS = """\
cml: {low_ng_ml: {us: 1000, eu: 900}, only_us_mg: {us: 600, eu: null}, sources: [trial], verified: true}
"""
REASONS = "will-monitor: {code: will-monitor, system: 'urn:x', display: Will monitor}\n"
MEDICINES = """\
rifampicin: {name: Rifampicin, names: [rifampin], codes: [{system: "urn:x", code: "1"}]}
ketoconazole: {name: Ketoconazole}
"""
LABS = """\
anc: {name: Neutrophils, unit: 10*9/L, decimals: 2, codes: [{system: "http://loinc.org", code: 751-8}]}
platelets: {name: Platelets, unit: 10*9/L, decimals: 0}
"""
CONDITIONS = """\
cml: {name: Chronic myeloid leukaemia}
cml-cp: {name: In chronic phase, implies: [cml], codes: [{system: "urn:icd", code: C92.1}]}
"""

LOW = """\
id: trough.low
row: TT-01
revision: 2
status: active
title: Trough below target
owner: oncology-pharmacy
effective: {from: 2026-01-01, review_by: 2027-01-01}
evidence: {level: B, note: one trial}
sources: [trial]
occasions: [patient-view, order-sign]
params:
  low: {value: $targets.cml.low_ng_ml, unit: ng/mL}
  fresh: {value: 90, unit: d, source: product-proposal}
when:
  - course: {is: course, disease: cml}
  - level: {is: level, gate: {one_of: [trough, corrected]}, trough_ng_ml: {below: $low}, age_days: {at_most: $fresh}}
  - none: {is: medicine, ingredient: rifampicin, current: true}
then:
  matter: exposure
  severity: warning
  summary: "Trough {level.trough_ng_ml} ng/mL is below {low} ng/mL"
  detail: |
    Ask whether doses are taken.

    Reported as {level.reported}.
  show: [level]
  suggest: [order-dose]
  override_reasons: [will-monitor]
tests:
  - name: low
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 2}
    expect: {fires: "Trough 720 ng/mL is below 1000 ng/mL"}
  - name: at the target, ninety days old
    given:
      - {is: course, disease: cml}
      - {is: level, gate: corrected, trough_ng_ml: 1000, age_days: 90}
    expect: silent
  - name: just below, ninety days old
    given:
      - {is: course, disease: cml}
      - {is: level, gate: corrected, trough_ng_ml: 999, age_days: 90}
    expect: fires
  - name: too early
    given:
      - {is: course, disease: cml}
      - {is: level, gate: too-early, trough_ng_ml: 720, age_days: 2}
    expect: silent
  - name: too old
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 91}
    expect: silent
  - name: another disease
    given:
      - {is: course, disease: gist}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 2}
    expect: silent
  - name: with rifampicin
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 2}
      - {is: medicine, ingredient: rifampicin, current: true}
    expect: silent
  - name: with a medicine that does not matter
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 2}
      - {is: medicine, ingredient: ketoconazole, current: true}
    expect: fires
  - name: rifampicin was stopped
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 720, age_days: 2}
      - {is: medicine, ingredient: rifampicin}
    expect: fires
  - name: in Europe the target is lower
    jurisdiction: eu
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, trough_ng_ml: 950, age_days: 2}
    expect: silent
  - name: no trough value
    given:
      - {is: course, disease: cml}
      - {is: level, gate: trough, age_days: 2}
    expect: {undecided: level.trough_ng_ml}
"""
PAIR = """\
id: interactions.inducer
revision: 1
status: active
title: Inducer
owner: oncology-pharmacy
effective: {from: 2026-01-01, review_by: 2027-01-01}
evidence: {level: A, note: label}
sources: [trial]
occasions: [order-sign]
when:
  - med: {is: medicine, current: true}
  - row: {is: interaction, effect: inducer, ingredient: {same_as: med.ingredient}}
then:
  matter: interaction
  severity: critical
  subject: "{med.ingredient}"
  summary: "{med.name} lowers imatinib exposure"
  detail: "{med.name} induces CYP3A4."
tests:
  - name: rifampicin
    given:
      - {is: medicine, ingredient: rifampicin, name: Rifampicin, current: true}
      - {is: interaction, ingredient: rifampicin, effect: inducer}
    expect: {fires: Rifampicin lowers imatinib exposure}
  - name: stopped
    given:
      - {is: medicine, ingredient: rifampicin, name: Rifampicin}
      - {is: interaction, ingredient: rifampicin, effect: inducer}
    expect: silent
  - name: the row of another medicine
    given:
      - {is: medicine, ingredient: rifampicin, name: Rifampicin, current: true}
      - {is: interaction, ingredient: ketoconazole, effect: inducer}
    expect: silent
  - name: an inhibitor
    given:
      - {is: medicine, ingredient: rifampicin, name: Rifampicin, current: true}
      - {is: interaction, ingredient: rifampicin, effect: inhibitor}
    expect: silent
"""
QUIET = """\
id: interactions.quiet
revision: 1
status: active
title: Ketoconazole alone says nothing here
owner: oncology-pharmacy
effective: {from: 2026-01-01, review_by: 2027-01-01}
evidence: {level: C, note: derived}
sources: [product-proposal]
occasions: [order-sign]
when:
  - med: {is: medicine, ingredient: ketoconazole, current: true}
then: {silent: true, matter: interaction, reason: "Studied, and of no consequence"}
tests:
  - {name: yes, given: [{is: medicine, ingredient: ketoconazole, current: true}], expect: fires}
  - {name: no, given: [{is: medicine, ingredient: rifampicin, current: true}], expect: silent}
  - {name: stopped, given: [{is: medicine, ingredient: ketoconazole}], expect: silent}
"""
US_ONLY = """\
id: dosing.limit
revision: 1
status: shadow
title: Above the US maximum
owner: oncology-pharmacy
effective: {from: 2026-01-01, review_by: 2027-01-01}
evidence: {level: A, note: label}
sources: [trial]
occasions: [order-sign]
params:
  most: {value: $targets.cml.only_us_mg, unit: mg}
when:
  - order: {is: order, daily_mg: {above: $most}}
then:
  matter: dose
  severity: info
  summary: "{order.daily_mg} mg is above {most} mg"
  detail: The label ends there.
tests:
  - {name: above, given: [{is: order, daily_mg: 800}], expect: {fires: 800 mg is above 600 mg}}
  - {name: at, given: [{is: order, daily_mg: 600}], expect: silent}
  - {name: unreadable, given: [{is: order}], expect: undecided}
"""

TEXTS = {
    "rulebook.yaml": RULEBOOK,
    "drug.yaml": DRUG,
    "sources.yaml": SOURCES,
    "tables/targets.yaml": TARGETS,
    "tables/override_reasons.yaml": REASONS,
    "terminology/medicines.yaml": MEDICINES,
    "terminology/labs.yaml": LABS,
    "terminology/conditions.yaml": CONDITIONS,
    "trough/low.yaml": LOW,
    "interactions/inducer.yaml": PAIR,
    "interactions/quiet.yaml": QUIET,
    "dosing/limit.yaml": US_ONLY,
}


def files(changes: Mapping[str, str | None] | None = None) -> dict[str, bytes]:
    """The small rulebook's files, some replaced, added or (None) left out."""
    texts = {**TEXTS, **(changes or {})}
    return {name: text.encode() for name, text in texts.items() if text is not None}


def rulebook(changes: Mapping[str, str | None] | None = None) -> Rulebook:
    """The small rulebook, loaded with its tests."""
    return load_files(files(changes), with_tests=True)


def scene(*given: Mapping[str, Value]) -> list[Fact]:
    """Facts as tests write them (`is` names the kind), completed with neutral ones."""
    kinds = catalogue().kinds
    facts = []
    for entry in given:
        values = dict(entry)
        kind = kinds[str(values.pop("is"))]
        facts.append(with_neutral_values(kind, values))
    present = {fact.kind for fact in facts}
    facts += [with_neutral_values(k, {}) for k in catalogue() if k.one and k.name not in present]
    return facts


CML = {"is": "course", "disease": "cml"}
LOW_LEVEL = {
    "is": "level", "gate": "trough", "trough_ng_ml": 720, "age_days": 2, "reported": "720 ng/mL",
    "reference": "Observation/1",
}  # fmt: skip
RIFAMPICIN = {"is": "medicine", "ingredient": "rifampicin", "name": "Rifampicin", "current": True}
INDUCER = {"is": "interaction", "ingredient": "rifampicin", "effect": "inducer"}

"""The one decision path: every caller assesses a patient here and nowhere else."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from cds import __version__
from cds.assess.assessment import Assessment, Versions
from cds.assess.body import creatinine_clearance
from cds.assess.case import Patient
from cds.assess.contradictions import contradicting_results
from cds.assess.correction import corrected_by_model
from cds.assess.course import read_therapy
from cds.assess.exposure import ModelLibrary, evaluate_exposure
from cds.assess.facts import Basis, derive_facts
from cds.assess.gate import gate_levels
from cds.assess.indication import indication_of
from cds.assess.measured import beside_the_measured
from cds.assess.policy import policy_for
from cds.assess.remembered import REMEMBERED, Remembered
from cds.assess.tables import tables_for, usual_doses
from cds.assess.under_way import level_under_way
from cds.clinical.record import PatientRecord
from cds.clinical.setting import Setting
from cds.rulebook import Rulebook


def assess(
    record: PatientRecord,
    rulebook: Rulebook,
    models: ModelLibrary,
    setting: Setting,
    *,
    now: datetime,
    memory: Remembered = REMEMBERED,
) -> Assessment:
    """Assess one patient's therapy; pure, and the only way a decision is made.

    `memory` may hold what the models said before; it spares their work and changes no result.
    The policy is chosen, the course and the levels are read, the model is asked, and only then the
    rules decide over facts in which all of that is known or honestly missing.
    """
    tables = tables_for(rulebook, setting.jurisdiction)
    indication, disease = indication_of(record)
    therapy = read_therapy(
        record,
        indication=(indication, disease),
        usual_daily_mg=usual_doses(tables, indication, disease),
        adult_from_years=float(tables.dosing["child"]["below_years"]),
        now=now,
    )
    clearance = creatinine_clearance(record, now)
    policy = policy_for(
        tables,
        rulebook.drug,
        indication=indication,
        disease=disease,
        population=therapy.course.population,
        crcl_ml_min=clearance.ml_min if clearance else None,
        on_dialysis=any(
            c.active and c.confirmed and "dialysis" in c.keys for c in record.conditions
        ),
    )
    gated = gate_levels(record, therapy, tables)
    patient = Patient(record, therapy, gated, policy, tables, setting, now)
    exposure = evaluate_exposure(patient, models, memory)
    gated = corrected_by_model(gated, exposure, therapy)
    exposure = beside_the_measured(exposure, gated, policy, tables)
    under_way = level_under_way(record, therapy, gated, tables, now)
    contradictions = contradicting_results(record, rulebook.terminology, tables, now)
    problems = (*record.problems, *therapy.problems, *contradictions)
    facts = derive_facts(
        Basis(
            record=replace(record, labs=tuple(lab.past_its_bound() for lab in record.labs)),
            setting=setting,
            therapy=therapy,
            policy=policy,
            tables=tables,
            drug=rulebook.drug,
            terminology=rulebook.terminology,
            levels=gated,
            exposure=exposure,
            problems=problems,
            under_way=under_way,
            now=now,
        )
    )
    return Assessment(
        record=record,
        setting=setting,
        now=now,
        policy=policy,
        course=therapy.course,
        levels=gated,
        exposure=exposure,
        problems=problems,
        facts=facts,
        verdict=rulebook.evaluate(facts, setting),
        versions=Versions(
            code=__version__,
            rulebook=rulebook.revision,
            rulebook_version=rulebook.version,
            models={name: models[name].digest for name in policy.model_ids if name in models},
        ),
        under_way=under_way,
    )

"""What another rulebook would change: the words, and what becomes of patients.

`imatinib-tdm rules diff` and the page that compares revisions both come through here, and both
decide as a hook call does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from cds.assess.exposure import ModelLibrary
from cds.clinical.finding import Finding
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Rulebook
from cds.rulebook.diff import Change, PatientChange, compare, compare_patients
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge
from cds.store import CipherError, Store

Cases = Mapping[str, EvaluationInput]
"""Name of a case -> what the decision is made from."""


class Effect(Struct, frozen=True):
    """What differs between two rulebooks."""

    changes: tuple[Change, ...]
    patients: tuple[PatientChange, ...]
    """Only those for whom something differs."""
    asked: int
    """How many cases were decided with both."""


def effect(before: Rulebook, after: Rulebook, models: ModelLibrary, cases: Cases) -> Effect:
    """Compare two rulebooks in words and over cases."""
    patients = compare_patients(
        before, after, cases, lambda book, given: findings(given, Knowledge(book, models))
    )
    return Effect(compare(before, after), patients, len(cases))


def findings(given: EvaluationInput, knowledge: Knowledge) -> tuple[Finding, ...]:
    """What the rules conclude in one case; nothing when the drug appears nowhere."""
    assessment = decide(given, knowledge).assessment
    return () if assessment is None else assessment.verdict.findings


def story_cases(directory: Path, jurisdiction: Jurisdiction) -> dict[str, EvaluationInput]:
    """The story patients at each hook they tell of; `directory` holds `hooks` and `patients`."""
    cases = {}
    for file in sorted((directory / "hooks").glob("*.json")):
        request: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        patient = directory / "patients" / f"{file.stem.partition('.')[0]}.json"
        moment = json.loads(patient.read_text(encoding="utf-8"))["timestamp"]
        cases[file.stem] = EvaluationInput(
            evaluation="00000000-0000-4000-8000-000000000000",
            at=datetime.fromisoformat(moment),
            client="story",
            base_url="",
            setting=Setting(Occasion(request["hook"]), jurisdiction),
            patient_id=request["context"]["patientId"],
            context=request["context"],
            resources=request["prefetch"],
        )
    return cases


def recent_cases(store: Store, most: int, client: str | None) -> dict[str, EvaluationInput]:
    """The newest recorded decisions whose input is still kept; patient data."""
    cases: dict[str, EvaluationInput] = {}
    for row in store.recent_decisions(most):
        if client is not None and row["client"] != client:
            continue
        try:
            stored = store.decision(str(row["evaluation"]))
        except CipherError:
            continue  # written under another key: for this service it does not exist
        if stored is not None and stored.body is not None:
            cases[stored.evaluation] = EvaluationInput.from_json(stored.body["input"])
    return cases

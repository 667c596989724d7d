"""What a process does with its part of a cohort: a row for each patient, or what would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import orjson
from msgspec import Struct

from cds.clinical.finding import Finding
from cds.clinical.setting import Setting
from cds.cohort.dispatch import Job
from cds.cohort.export import Subject, resources_at
from cds.cohort.row import LOST, Row, row_of
from cds.rulebook import load
from cds.rulebook.diff import PatientChange, compare_patients
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge, load_models
from cds.services.whole_record import whole_record_input
from cds.telemetry import error_fields

Result = TypeVar("Result")


class Plan(Struct, frozen=True):
    """What is done for everyone: by which rulebooks, in which setting, at which moment.

    `at` is the moment of assessment where the export names none.
    """

    rulebooks: tuple[Path, ...]
    setting: Setting
    at: datetime
    fixed: bool = False
    """`at` counts even where the export names a moment of its own."""


class Changed(Struct, frozen=True):
    """What another rulebook changes for a patient; `lost` says why that is not known."""

    patient: str
    change: PatientChange | None = None
    lost: str | None = None


def rows(plan: Plan) -> Job[Subject, Row]:
    """The job that assesses each patient by the one rulebook of the plan."""
    lost = partial(_lost_row, plan)
    return Job(partial(_enter, plan), partial(_each, plan, _row, lost), partial(lost, why=_ENDED))


def changes(plan: Plan) -> Job[Subject, Changed]:
    """The job that compares the two rulebooks of the plan for each patient."""
    work = partial(_each, plan, _change, _lost_change)
    return Job(partial(_enter, plan), work, partial(_lost_change, why=_ENDED))


class _DisagreementError(Exception):
    """The two evaluators disagree about a patient."""


_ENDED = "the process that read this record ended"
_knowledge: dict[Plan, tuple[Knowledge, ...]] = {}
"""Of this process: loaded once, for all its parts."""


def _enter(plan: Plan) -> None:
    models = load_models()
    _knowledge.clear()
    _knowledge[plan] = tuple(Knowledge(load(path), models) for path in plan.rulebooks)


def _each(
    plan: Plan,
    assess: Callable[[Plan, Subject], Result],
    lost: Callable[[Subject, str], Result],
    part: Sequence[Subject],
) -> list[Result]:
    done = []
    for subject in part:
        try:
            done.append(assess(plan, subject))
        except orjson.JSONDecodeError:
            done.append(lost(subject, "the export changed while it was read"))
        except _DisagreementError:
            done.append(lost(subject, "the two rule evaluators disagree"))
        except OSError as error:
            done.append(lost(subject, f"the export cannot be read: {error.strerror}"))
        except Exception as error:  # noqa: BLE001 - a defect of ours is told of in this row alone
            fields = error_fields(error)
            why = f"defect {fields['error_type']} at {fields['error_at']}"
            done.append(lost(subject, why))
    return done


def _row(plan: Plan, subject: Subject) -> Row:
    (knowledge,) = _knowledge[plan]
    given = _input(plan, subject, knowledge)
    return row_of(subject.name, given.at, decide(given, knowledge))


def _change(plan: Plan, subject: Subject) -> Changed:
    old, new = _knowledge[plan]
    given = {subject.name: _input(plan, subject, old)}
    found = compare_patients(
        old.rulebook,
        new.rulebook,
        given,
        lambda book, one: _findings(one, Knowledge(book, old.models)),
    )
    return Changed(subject.name, found[0] if found else None)


def _findings(given: EvaluationInput, knowledge: Knowledge) -> tuple[Finding, ...]:
    """What the rules conclude; silence of evaluators that disagree is no conclusion."""
    assessment = decide(given, knowledge).assessment
    if assessment is None:
        return ()
    if not assessment.verdict.agreed:
        raise _DisagreementError
    return assessment.verdict.findings


def _input(plan: Plan, subject: Subject, knowledge: Knowledge) -> EvaluationInput:
    return whole_record_input(
        subject.patient_id,
        resources_at(subject.places),
        knowledge.rulebook,
        plan.setting,
        at=plan.at if plan.fixed or subject.at is None else subject.at,
        client="cohort",
    )


def _lost_row(plan: Plan, subject: Subject, why: str) -> Row:
    return Row(subject.name, subject.at or plan.at, LOST, why)


def _lost_change(subject: Subject, why: str) -> Changed:
    return Changed(subject.name, lost=why)

"""`rules diff --patients`: what becomes different for the patients of an export."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds.cli._common import tell
from cds.cli._screen import counted, progress_of
from cds.settings import Settings

if TYPE_CHECKING:
    from cds.rulebook.diff import PatientChange


def tell_patients(old: Path, new: Path, patients: Path, processes: int, settings: Settings) -> None:
    """Print the differences of each patient, and how often each rule makes one."""
    from cds.cli.cohort import read_export, read_rulebook, setting_of, tell_unread
    from cds.cohort.dispatch import dispatch
    from cds.cohort.work import Plan, changes

    export = read_export(patients, read_rulebook(old))
    plan = Plan((old, new), setting_of(settings, None), datetime.now().astimezone())
    touched, lost = 0, 0
    appears: Counter[str] = Counter()
    vanishes: Counter[str] = Counter()
    done = dispatch(export.subjects, changes(plan), processes)
    for one in progress_of(done, len(export.subjects), "assessing"):
        if one.lost is not None:
            lost += 1
            tell(f"{one.patient}: could not be assessed: {one.lost}")
        elif one.change is not None:
            touched += 1
            _tell(one.change)
            appears.update(_rules(one.change.appears))
            vanishes.update(_rules(one.change.vanishes))
    click.echo(f"{touched} of {counted(len(export.subjects), 'patient')} differ")
    for rule in sorted(appears.keys() | vanishes.keys()):
        click.echo(f"  {rule}: appears for {appears[rule]}, vanishes for {vanishes[rule]}")
    tell_unread(export)
    if lost or export.unread:
        raise SystemExit(1)


def _tell(change: PatientChange) -> None:
    tell(f"{change.patient}:")
    for sign, lines in (("+", change.appears), ("-", change.vanishes)):
        for line in lines:
            tell(f"  {sign} {line}")
    for was, now in change.changes:
        tell(f"  ~ {was}\n    {now}")


def _rules(lines: tuple[str, ...]) -> set[str]:
    return {line.partition(" ")[0] for line in lines}

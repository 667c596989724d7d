"""Everything the linter says about a rulebook directory, in file order."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from cds.rulebook.content import Content, Files, read_content, read_directory
from cds.rulebook.lint_logic import check_logic
from cds.rulebook.lint_tables import check_tables
from cds.rulebook.lint_tests import check_tests
from cds.rulebook.lint_text import check_snooze, check_texts
from cds.rulebook.remarks import Level, Remark, Remarks, RulebookError
from cds.rulebook.rule import Rule, Status
from cds.rulebook.rulebook import Rulebook


def lint(path: Path | str, *, today: date | None = None) -> tuple[Remark, ...]:
    """Lint a directory; without `today` nothing is said about dates."""
    directory = Path(path)
    try:
        files = read_directory(directory)
    except RulebookError as error:
        return error.remarks
    return lint_files(files, root=directory.name, today=today)


def lint_files(
    files: Files, *, root: str = "rules", today: date | None = None
) -> tuple[Remark, ...]:
    """Lint the bytes of a rulebook's files."""
    remarks = Remarks()
    content = read_content(files, remarks, root=root)
    if content is not None:
        check_content(content, remarks, today)
    return tuple(remarks)


def check_content(
    content: Content,
    remarks: Remarks,
    today: date | None,
    changed: frozenset[str] | None = None,
) -> None:
    """What goes beyond the shape of single files; with `changed`, about these rules only."""
    rulebook = Rulebook(content)
    check_tables(content, remarks)
    check_logic(content.rules, content.jurisdictions, remarks, changed)
    for rule in content.rules:
        if changed is not None and rule.id not in changed:
            continue
        softer = None if rule.status is Status.ACTIVE else Level.WARNING
        check_texts(rulebook, rule, remarks, softer)
        check_snooze(rule, remarks, softer)
        check_tests(rule, content.default_jurisdiction, remarks, softer)
        if today is not None:
            _check_dates(rule, today, remarks)


def _check_dates(rule: Rule, today: date, remarks: Remarks) -> None:
    place = rule.places.get("effective", rule.place)
    if rule.review_by < today and rule.status is not Status.RETIRED:
        cure = "review the rule and set review_by, or retire it"
        remarks.add("RB601", place, f"review was due by {rule.review_by}", cure)
    if rule.effective_from > today and rule.status is Status.ACTIVE:
        cure = "set status: draft or shadow until then"
        remarks.add("RB602", place, f"effective only from {rule.effective_from}", cure)
    if rule.review_by <= rule.effective_from:
        remarks.add("RB603", place, "review_by is not after the effective date", "mend the dates")

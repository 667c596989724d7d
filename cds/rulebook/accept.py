"""Decide whether an edited rulebook may serve: it must read, pass the linter, and its own tests."""

from __future__ import annotations

from datetime import date

from cds.rulebook.cases import run_tests
from cds.rulebook.content import Content, Files, read_content
from cds.rulebook.lint import check_content
from cds.rulebook.remarks import Remarks, RulebookError
from cds.rulebook.rule import Rule
from cds.rulebook.rulebook import Rulebook

# A change in one of these may change what any rule says.
_EVERYWHERE = ("rulebook.yaml", "terminology/labs.yaml")


def accept(files: Files, *, root: str, today: date, serving: Rulebook | None = None) -> Rulebook:
    """The rulebook of these files, or RulebookError with everything that refuses it.

    Only what the edit touches is tested again: rules whose file changed, and rules that read
    another number because a table changed. What serves has passed before.
    """
    remarks = Remarks()
    before = {} if serving is None else serving.content.files
    edited = frozenset(name for name in files if before.get(name) != files[name])
    content = _sound(read_content(files, remarks, root=root, with_tests=edited), remarks)
    touched = _touched(content, serving)
    paths = frozenset(rule.place.file.removeprefix(f"{root}/") for rule in touched)
    if not paths <= edited:  # a table changed: the rules that read it are tested too
        content = _sound(read_content(files, remarks, root=root, with_tests=paths), remarks)
    rulebook = Rulebook(content)
    names = frozenset(rule.id for rule in touched)
    check_content(content, remarks, today, names)
    chosen = [rule for rule in content.rules if rule.id in names]
    for result in run_tests(rulebook, chosen):
        if (remark := result.remark()) is not None:
            remarks.extend([remark])
    if remarks.errors:
        raise RulebookError(remarks.errors)
    return rulebook


def _sound(content: Content | None, remarks: Remarks) -> Content:
    if content is None or remarks.errors:
        raise RulebookError(remarks.errors)
    return content


def _touched(content: Content, serving: Rulebook | None) -> tuple[Rule, ...]:
    """The rules that an edit may have changed, by file or by the numbers they read."""
    if serving is None:
        return content.rules
    before, after = serving.content.files, content.files
    if any(before.get(name) != after.get(name) for name in _EVERYWHERE):
        return content.rules
    old = {rule.id: rule for rule in serving.rules}
    root = content.root
    return tuple(
        rule
        for rule in content.rules
        if rule.id not in old
        or old[rule.id].params != rule.params
        or _bytes(before, rule, root) != _bytes(after, rule, root)
    )


def _bytes(files: Files, rule: Rule, root: str) -> bytes | None:
    return files.get(rule.place.file.removeprefix(f"{root}/"))

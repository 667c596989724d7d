"""Read one rule file into a Rule; every mistake is noted with its place, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from cds.clinical.finding import Matter, Severity
from cds.clinical.setting import Occasion
from cds.rulebook.facts import Catalogue, FactError, Value, quantise
from cds.rulebook.read_tests import read_tests
from cds.rulebook.read_when import WhenReader
from cds.rulebook.remarks import Place, Remarks, did_you_mean
from cds.rulebook.rule import Approval, Conclusion, Param, Rule, Snooze, Status, Template
from cds.rulebook.shape import Entries
from cds.rulebook.source import Node
from cds.rulebook.tables import NoCellError, Tables, unit_of_field
from cds.rulebook.template import read_template

SHOW = ("level", "dose-table", "adherence", "exposure", "interaction-table")
SUGGEST = (
    "raise-dose",
    "lower-dose",
    "milder-dose",
    "order-level",
    "missing-level",
    "hold-drug",
    "cancel-order",
    "replace-dose",
)
LONGEST_SNOOZE_DAYS = 365
EVIDENCE_LEVELS = ("A", "B", "C", "P")

_ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_TABLE_PATH = re.compile(r"\$([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)+)")


class Surroundings(Struct, frozen=True):
    """What a rule file may refer to."""

    catalogue: Catalogue
    tables: Tables
    jurisdictions: tuple[str, ...]
    sources: frozenset[str]
    override_reasons: frozenset[str]


def read_rule(root: Node, file: str, around: Surroundings, remarks: Remarks) -> Rule | None:
    """The rule in one file, or None when too much of it is missing to go on."""
    before = len(remarks.errors)
    entries = Entries(root, remarks, "the rule")
    if root.mapping is None:
        return None
    identity = _identity(entries, file)
    row = entries.text("row", required=False)
    revision = entries.integer("revision")
    status = entries.choice("status", Status)
    title, owner = entries.text("title"), entries.text("owner")
    effective = entries.inner("effective")
    starts = effective.day("from") if effective else None
    review = effective.day("review_by") if effective else None
    if effective:
        effective.done()
    level, note = _evidence(entries)
    sources = _sources(entries, around)
    occasions = entries.words("occasions", list(Occasion))
    jurisdictions = (
        entries.words("jurisdictions", around.jurisdictions, required=False) or around.jurisdictions
    )
    params = _params(entries, around, jurisdictions)
    when = WhenReader(around.catalogue, remarks).read(entries.nodes("when"))
    then = _conclusion(entries, around)
    approvals = _approvals(entries)
    tests = read_tests(entries.nodes("tests", required=False), around.catalogue, remarks)
    entries.done()
    if not (identity and status and title and owner and level and occasions and when):
        _incomplete(entries, before)
        return None
    if revision is None or starts is None or review is None or then is None:
        _incomplete(entries, before)
        return None
    return Rule(
        id=identity, revision=revision, status=status, title=title, owner=owner,
        effective_from=starts, review_by=review, evidence_level=level, evidence_note=note,
        sources=sources, occasions=occasions, jurisdictions=jurisdictions, params=params,
        when=when, then=then, tests=tests, place=root.place, row=row, approvals=approvals,
        places=entries.key_places,
    )  # fmt: skip


def _incomplete(entries: Entries, errors_before: int) -> None:
    """Say that something is missing, unless it has been said."""
    if len(entries.remarks.errors) == errors_before:
        entries.remarks.add("RB102", entries.place, "the rule is not complete")


def _identity(entries: Entries, file: str) -> str:
    identity = entries.text("id") or ""
    group, _, slug = file.removesuffix(".yaml").rpartition("/")
    wanted = f"{group.rpartition('/')[2]}.{slug}"
    place = entries.key_places.get("id", entries.place)
    if identity and not _ID.fullmatch(identity):
        cure = "write group.some-slug in lower case"
        entries.remarks.add("RB104", place, f"id '{identity}' is not usable", cure)
    elif identity and identity != wanted:
        cure = f"the file is for '{wanted}'; rename one of them"
        entries.remarks.add("RB105", place, f"id '{identity}' does not match the file", cure)
    return identity


def _evidence(entries: Entries) -> tuple[str, str]:
    evidence = entries.inner("evidence")
    if evidence is None:
        return "", ""
    level, note = evidence.text("level") or "", evidence.text("note") or ""
    if level and level not in EVIDENCE_LEVELS:
        place = evidence.key_places["level"]
        entries.remarks.add("RB104", place, f"evidence level '{level}'", "write A, B, C or P")
    evidence.done()
    return level, note


def _sources(entries: Entries, around: Surroundings) -> tuple[str, ...]:
    nodes = entries.nodes("sources", required=False)
    place = entries.key_places.get("sources", entries.place)
    if not nodes:
        cure = "add sources: [key of sources.yaml]"
        entries.remarks.add("RB305", place, "the rule names no source", cure)
    for node in nodes:
        check_source(str(node.scalar), node.place, around.sources, entries.remarks)
    return tuple(str(node.scalar) for node in nodes if node.is_scalar)


def check_source(key: str, place: Place, known: frozenset[str], remarks: Remarks) -> None:
    """Note a key that sources.yaml does not have."""
    if key not in known:
        remarks.add("RB304", place, f"no source '{key}' in sources.yaml", did_you_mean(key, known))


def _params(
    entries: Entries, around: Surroundings, jurisdictions: tuple[str, ...]
) -> Mapping[str, Param]:
    node = entries.node("params", required=False)
    if node is None:
        return {}
    if node.mapping is None:
        entries.remarks.add("RB103", node.place, "params must be a mapping of names")
        return {}
    found = {}
    for name, body in node.mapping.items():
        place = node.key_places[name]
        if not _NAME.fullmatch(str(name)):
            entries.remarks.add("RB104", place, f"'{name}' cannot name a parameter")
            continue
        param = _param(str(name), body, place, around, jurisdictions, entries.remarks)
        if param is not None:
            found[param.name] = param
    return found


def _param(
    name: str,
    body: Node,
    place: Place,
    around: Surroundings,
    jurisdictions: tuple[str, ...],
    remarks: Remarks,
) -> Param | None:
    entries = Entries(body, remarks, f"param {name}")
    node = entries.node("value")
    unit = entries.text("unit", required=False)
    source = entries.text("source", required=False)
    entries.text("note", required=False)
    entries.done()
    if node is None:
        return None
    raw = node.scalar
    path = _TABLE_PATH.fullmatch(raw) if isinstance(raw, str) else None
    values: dict[str, Value | None] = {}
    try:
        for jurisdiction in jurisdictions:
            cell = around.tables.cell(path.group(1), jurisdiction) if path else raw
            values[jurisdiction] = _value(cell)
    except NoCellError as error:
        remarks.add("RB303", node.place, str(error))
        return None
    except FactError as error:
        remarks.add("RB104", node.place, f"param {name}: {error}")
        return None
    numeric = any(isinstance(v, float | int) and not isinstance(v, bool) for v in values.values())
    if raw is None:
        remarks.add("RB102", node.place, f"param {name} has no value", "write value: ...")
        return None
    if numeric and unit is None:
        cure = "add unit: ('1' for a plain number)"
        remarks.add("RB102", place, f"param {name} has no unit", cure)
    in_name = unit_of_field(path.group(1)) if path else None
    if numeric and unit and in_name and in_name != unit:
        cure = f"write unit: {in_name}"
        remarks.add("RB308", place, f"param {name} is in {unit}, the table in {in_name}", cure)
    if path is None and source is None:
        remarks.add("RB305", place, f"param {name} names no source", "add source: or use a table")
    if source is not None:
        check_source(source, entries.key_places["source"], around.sources, remarks)
    return Param(name, values, unit, source, path.group(1) if path else None, place)


def _value(cell: object) -> Value | None:
    if cell is None or isinstance(cell, bool | str):
        return cell
    if isinstance(cell, int | float):
        return quantise(cell)
    raise FactError("a parameter is one number, code or true/false")


def _conclusion(entries: Entries, around: Surroundings) -> Conclusion | None:
    then = entries.inner("then")
    if then is None:
        return None
    remarks = entries.remarks
    silent = then.boolean("silent")
    matter = then.choice("matter", Matter)
    if silent:
        reason = _template(then, "reason")
        then.done()
        if matter is None or reason is None:
            return None
        return Conclusion(matter, Severity.INFO, reason, Template((), reason.place), silent=True)
    severity = then.text("severity")
    names = [member.indicator for member in Severity]
    if severity is not None and severity not in names:
        place = then.key_places["severity"]
        remarks.add("RB104", place, f"severity '{severity}'", did_you_mean(severity, names))
        severity = None
    summary, detail = _template(then, "summary"), _template(then, "detail")
    subject = _template(then, "subject", required=False)
    show = then.words("show", SHOW, required=False)
    suggest = then.words("suggest", SUGGEST, required=False)
    reasons = then.nodes("override_reasons", required=False)
    for node in reasons:
        if str(node.scalar) not in around.override_reasons:
            cure = did_you_mean(node.scalar, around.override_reasons)
            remarks.add("RB406", node.place, f"override reason '{node.scalar}'", cure)
    snooze = _snooze(then, remarks)
    then.done()
    if matter is None or severity is None or summary is None or detail is None:
        return None
    return Conclusion(
        matter, Severity[severity.upper()], summary, detail, subject, show, suggest,
        tuple(str(node.scalar) for node in reasons), snooze=snooze,
    )  # fmt: skip


def _snooze(then: Entries, remarks: Remarks) -> Snooze | None:
    snooze = then.inner("snooze", required=False)
    if snooze is None:
        return None
    days, why = snooze.integer("days"), snooze.text("why", required=False)
    snooze.done()
    place = snooze.key_places.get("days", snooze.place)
    if days is not None and not 0 <= days <= LONGEST_SNOOZE_DAYS:
        cure = f"write 0 to {LONGEST_SNOOZE_DAYS}"
        remarks.add("RB104", place, f"a snooze of {days} days", cure)
        return None
    return None if days is None else Snooze(days, why, place)


def _template(then: Entries, key: str, *, required: bool = True) -> Template | None:
    text = then.text(key, required=required)
    if text is None:
        return None
    text = text.strip() if key != "detail" else text.strip("\n")
    return read_template(text, then.key_places[key], then.remarks)


def _approvals(entries: Entries) -> tuple[Approval, ...]:
    found = []
    for node in entries.nodes("approvals", required=False):
        row = Entries(node, entries.remarks, "an approval")
        name, role, on = row.text("name"), row.text("role"), row.day("on")
        row.done()
        if name and role and on:
            found.append(Approval(name, role, on))
    return tuple(found)

"""A JSON Schema of rule files, made from the catalogue, so that editors complete and check YAML."""

from __future__ import annotations

from typing import Any

from cds.clinical.finding import Matter, Severity
from cds.clinical.setting import Jurisdiction, Occasion
from cds.rulebook.facts import Attribute, AttributeType, Catalogue, Kind
from cds.rulebook.read_rule import EVIDENCE_LEVELS, LONGEST_SNOOZE_DAYS, SHOW, SUGGEST
from cds.rulebook.rule import Status
from cds.rulebook.rulebook import Rulebook

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_DATE: Schema = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_PARAM: Schema = {
    "type": "string",
    "pattern": r"^\$[a-z][a-z0-9_]*$",
    "description": "A parameter of this rule",
}


def rule_schema(catalogue: Catalogue, rulebook: Rulebook | None = None) -> Schema:
    """The schema of a rule file; with a rulebook, its sources and keys are known too."""
    terms = {} if rulebook is None else rulebook.content.vocabulary.keys
    sources: Schema = {"type": "string"}
    if rulebook is not None:
        sources = {"enum": sorted(rulebook.content.sources)}
    definitions: Schema = {"source": sources, "param": _PARAM, "text": _TEXT}
    for kind in catalogue:
        definitions[f"pattern-{kind.name}"] = _pattern(kind, terms)
        definitions[f"none-{kind.name}"] = _pattern(kind, terms, negated=True)
        definitions[f"fact-{kind.name}"] = _fact(kind)
    definitions["pattern"] = {"oneOf": [_ref(f"pattern-{kind.name}") for kind in catalogue]}
    definitions["none"] = {"oneOf": [_ref(f"none-{kind.name}") for kind in catalogue]}
    definitions["fact"] = {"oneOf": [_ref(f"fact-{kind.name}") for kind in catalogue]}
    definitions["binding"] = _one_entry(
        {"none": _ref("none")}, {r"^(?!none$|any_of$)[a-z][a-z0-9_]*$": _ref("pattern")}
    )
    any_of = {"type": "array", "minItems": 2, "items": _list(_ref("binding"))}
    definitions["condition"] = _one_entry(
        {"none": _ref("none"), "any_of": any_of},
        {r"^(?!none$|any_of$)[a-z][a-z0-9_]*$": _ref("pattern")},
    )
    required = [
        "id", "revision", "status", "title", "owner", "effective", "evidence", "sources",
        "occasions", "when", "then", "tests",
    ]  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A clinical rule",
        **_object(_rule_properties(), required),
        "$defs": definitions,
    }


def _rule_properties() -> Schema:
    param = _object(
        {"value": {"type": ["string", "number", "boolean"]}, "unit": _TEXT,
         "source": _ref("source"), "note": _TEXT},
        ["value"],
    )  # fmt: skip
    return {
        "id": {"type": "string", "pattern": r"^[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*$"},
        "row": _TEXT,
        "revision": {"type": "integer", "minimum": 1},
        "status": {"enum": [status.value for status in Status]},
        "title": _TEXT,
        "owner": _TEXT,
        "effective": _object({"from": _DATE, "review_by": _DATE}, ["from", "review_by"]),
        "approvals": _list(
            _object({"name": _TEXT, "role": _TEXT, "on": _DATE}, ["name", "role", "on"])
        ),
        "evidence": _object(
            {"level": {"enum": list(EVIDENCE_LEVELS)}, "note": _TEXT}, ["level", "note"]
        ),
        "sources": {**_list(_ref("source")), "minItems": 1},
        "occasions": {**_list({"enum": [word.value for word in Occasion]}), "minItems": 1},
        "jurisdictions": _list({"enum": [word.value for word in Jurisdiction]}),
        "params": {
            "type": "object",
            "patternProperties": {"^[a-z][a-z0-9_]*$": param},
            "additionalProperties": False,
        },
        "when": {**_list(_ref("condition")), "minItems": 1},
        "then": {"oneOf": [_speaking(), _silent()]},
        "tests": _list(_test()),
    }


def _speaking() -> Schema:
    properties: Schema = {
        "matter": {"enum": [matter.value for matter in Matter]},
        "severity": {"enum": [severity.indicator for severity in Severity]},
        "subject": _TEXT,
        "summary": _TEXT,
        "detail": _TEXT,
        "show": _list({"enum": list(SHOW)}),
        "suggest": _list({"enum": list(SUGGEST)}),
        "override_reasons": _list(_TEXT),
        "snooze": _object(
            {
                "days": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": LONGEST_SNOOZE_DAYS,
                    "description": "Days an answer keeps it quiet in the same state",
                },
                "why": {**_TEXT, "description": "Needed when longer than the severity's days"},
            },
            ["days"],
        ),
        "silent": {"const": False},
    }
    return _object(properties, ["matter", "severity", "summary", "detail"])


def _silent() -> Schema:
    properties: Schema = {
        "silent": {"const": True},
        "matter": {"enum": [matter.value for matter in Matter]},
        "reason": _TEXT,
    }
    return _object(properties, ["silent", "matter", "reason"])


def _test() -> Schema:
    expect = {
        "oneOf": [
            {"enum": ["fires", "silent", "undecided"]},
            _object({"fires": _TEXT}, ["fires"]),
            _object({"undecided": _TEXT}, ["undecided"]),
        ]
    }
    properties = {
        "name": _TEXT,
        "given": _list(_ref("fact")),
        "expect": expect,
        "jurisdiction": {"enum": [word.value for word in Jurisdiction]},
        "occasion": {"enum": [word.value for word in Occasion]},
    }
    return _object(properties, ["name", "given", "expect"])


def _pattern(kind: Kind, terms: Any, *, negated: bool = False) -> Schema:
    conditions = {
        name: _condition(attribute, terms)
        for name, attribute in kind.attributes.items()
        if attribute.always or not negated
    }
    alternatives = {**_object(conditions, []), "minProperties": 1}
    properties = {
        "is": {"const": kind.name, "description": kind.meaning},
        **conditions,
        "any_of": {"type": "array", "minItems": 2, "items": alternatives},
    }
    return _object(properties, ["is"])


def _condition(attribute: Attribute, terms: Any) -> Schema:
    words: Schema = {"known": {"type": "boolean"}}
    bare: list[Schema] = []
    if attribute.is_number:
        for word in ("below", "at_most", "above", "at_least", "not"):
            words[word] = _ref("param")
        bare = [_ref("param")]
    elif attribute.type is AttributeType.BOOLEAN:
        bare = [{"type": "boolean"}]
        words["not"] = {"type": "boolean"}
    elif attribute.comparable:
        code = _code(attribute, terms)
        bare = [code]
        words.update({"not": code, "one_of": _list(code), "not_one_of": _list(code)})
        words["same_as"] = {"type": "string", "pattern": r"^[a-z0-9_]+\.[a-z0-9_]+$"}
    mapping = {**_object(words, []), "minProperties": 1}
    unit = f" ({attribute.unit})" if attribute.unit else ""
    return {"description": f"{attribute.meaning}{unit}", "anyOf": [*bare, mapping]}


def _code(attribute: Attribute, terms: Any) -> Schema:
    known = attribute.values or sorted(terms.get(attribute.terms, ()))
    return {"anyOf": [{"enum": list(known)}, _ref("param")]} if known else {"type": "string"}


def _fact(kind: Kind) -> Schema:
    types: dict[AttributeType, Schema] = {
        AttributeType.NUMBER: {"type": "number"},
        AttributeType.INTEGER: {"type": "integer"},
        AttributeType.BOOLEAN: {"type": "boolean"},
        AttributeType.CODE: {"type": "string"},
        AttributeType.TEXT: {"type": "string"},
    }
    properties: Schema = {"is": {"const": kind.name, "description": kind.meaning}}
    for name, attribute in kind.attributes.items():
        value = {"enum": list(attribute.values)} if attribute.values else types[attribute.type]
        properties[name] = {**value, "description": attribute.meaning}
    return _object(properties, ["is"])


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _one_entry(properties: Schema, patterns: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}

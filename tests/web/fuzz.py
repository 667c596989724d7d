"""Hypothesis strategies: requests from the JSON Schema, and real requests with damage."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.web.patients import concerned_request
from tests.web.requests import SERVICE_OF

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "request.schema.json").read_text())
HOOKS = sorted(SERVICE_OF)
KEYS = ("patient", "medications", "levels", "labs", "conditions", "statements", "other")

ANY_TEXT = st.text(max_size=20) | st.sampled_from(
    ["imatinib", "400 mg", "2026-01-01", "Patient/p-1", "<html>", "1e400", "\x00", "𝕬", "-0"]
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT
)
JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def from_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that satisfy the part of JSON Schema which the request schema uses."""
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([from_schema(option) for option in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "string":
        return _strings(schema)
    if kind == "integer":
        return st.integers(1, 10**6)
    if kind == "array":
        items = from_schema(schema.get("items", {}))
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)
    if kind == "object":
        return _objects(schema)
    return st.none() if kind == "null" else JSON


def _strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("\\s", " "), fullmatch=True).map(
            lambda text: text[:80]
        )
    return st.text(min_size=schema.get("minLength", 0), max_size=12)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    required = set(schema.get("required", ()))
    known = {name: from_schema(part) for name, part in schema.get("properties", {}).items()}
    mandatory = {name: known.get(name, JSON) for name in required}
    optional = {name: part for name, part in known.items() if name not in required}
    fixed = st.fixed_dictionaries(mandatory, optional=optional)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        more = st.dictionaries(st.sampled_from(KEYS), from_schema(extra), max_size=4)
        return st.tuples(fixed, more).map(lambda pair: {**pair[1], **pair[0]})
    return fixed


@st.composite
def schema_requests(draw: st.DrawFn) -> tuple[str, Any]:
    """A service and a request that the schema allows for one of its hooks."""
    hook = draw(st.sampled_from(HOOKS))
    request = draw(from_schema({k: v for k, v in SCHEMA.items() if k != "allOf"}))
    request["hook"] = hook
    for part in SCHEMA["allOf"]:
        if part["if"]["properties"]["hook"]["const"] == hook:
            request["context"] = draw(from_schema(part["then"]["properties"]["context"]))
    if "fhirAuthorization" in request:
        request.setdefault("fhirServer", "https://ehr.example.org/r4")
    return SERVICE_OF[hook], request


REAL = {hook: concerned_request(hook) for hook in HOOKS}


@st.composite
def damaged_requests(draw: st.DrawFn) -> tuple[str, Any]:
    """A real request about a patient on the drug with one to four fields dropped or replaced."""
    hook = draw(st.sampled_from(HOOKS))
    request = copy.deepcopy(REAL[hook])
    for _ in range(draw(st.integers(1, 4))):
        paths = list(_paths(request))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        place = request
        for name in path[:-1]:
            place = place[name]
        if draw(st.booleans()):
            place[path[-1]] = draw(JSON)
        elif isinstance(place, dict):
            del place[path[-1]]
        else:
            place.pop(path[-1])
    return SERVICE_OF[hook], request


def _paths(value: Any, path: tuple = ()) -> Any:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))

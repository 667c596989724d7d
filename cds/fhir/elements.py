"""Typed access to the elements of a FHIR resource held as JSON.

The R4B models are the gate (see `validate`), but the readers read the JSON behind it: a clinical
time without a zone, which the models refuse, must stay as written, and a decimal keeps its digits.
The models also let pass what is not FHIR JSON (a JSON string for an element, a number written as
text); these getters do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from cds.clinical.codes import Code, Concept
from cds.fhir.problems import ReadError
from cds.fhir.systems import KNOWN_AS

Element = Mapping[str, Any]

UCUM = "http://unitsofmeasure.org"

LONGEST_TEXT = 20_000
"""Characters of one text that is read: reading takes time, and reports for people are shorter."""
_NOTHING = Concept()
_NO_QUANTITY = Decimal("1e15")
"""Above any count, amount or concentration in any unit: a fault of what sent it."""


def element(parent: Element, name: str) -> Element | None:
    """The complex element `name`, or None if absent. Raises ReadError if it is something else."""
    found = parent.get(name)
    if found is None or isinstance(found, dict):
        return found
    raise _malformed(name)


def elements(parent: Element, name: str) -> list[Element]:
    """The repeating complex element `name`. Raises ReadError if it is something else."""
    found = parent.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _malformed(name)
    for item in found:
        if not isinstance(item, dict):
            raise _malformed(name)
    return found


def text(parent: Element, name: str) -> str | None:
    """The string or code `name`, or None if absent. Raises ReadError if it is something else, or
    longer than anything that is read."""
    found = parent.get(name)
    if found is None:
        return None
    if isinstance(found, str):
        if len(found) > LONGEST_TEXT:
            raise _too_long(name)
        return found
    raise _malformed(name)


def texts(parent: Element, name: str) -> list[str]:
    """The repeating string or code `name`. Raises ReadError if it is something else."""
    found = parent.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise _malformed(name)
    return found


def number(parent: Element, name: str) -> Decimal | None:
    """The number `name`, or None if absent. Raises ReadError for what no quantity can be."""
    found = parent.get(name)
    if found is None:
        return None
    value: Decimal | None = None
    if isinstance(found, Decimal) and found.is_finite():
        value = found
    elif isinstance(found, int) and not isinstance(found, bool):
        value = Decimal(found)
    elif isinstance(found, float) and isfinite(found):
        value = Decimal(repr(found))
    if value is None or abs(value) >= _NO_QUANTITY:
        raise _malformed(name)
    return value


def flag(parent: Element, name: str) -> bool | None:
    """The boolean `name`, or None if absent. Raises ReadError if it is something else."""
    found = parent.get(name)
    if found is None or isinstance(found, bool):
        return found
    raise _malformed(name)


def concept(found: Element | None) -> Concept:
    """A CodeableConcept as codes and all the words that came with it."""
    if found is None:
        return _NOTHING
    codes: list[Code] = []
    said = text(found, "text")
    words = [said] if said else []
    for coding in elements(found, "coding"):
        code = text(coding, "code")
        if code:
            codes.append(Code(_system(coding), code))
        shown = text(coding, "display")
        if shown and shown not in words:
            words.append(shown)
    if sum(map(len, words)) > LONGEST_TEXT:
        raise _too_long("display")
    return Concept(tuple(codes), " | ".join(words) or None)


def codes_of(found: Element | None) -> list[Code]:
    """The codes of a CodeableConcept, for a look-up that does not need its words."""
    if found is None:
        return []
    return [
        Code(_system(coding), code)
        for coding in elements(found, "coding")
        if (code := text(coding, "code"))
    ]


def code_of(coding: Element) -> Code:
    """The code of a Coding, its system under the name the rulebook uses."""
    return Code(_system(coding), text(coding, "code") or "")


def _system(coding: Element) -> str:
    stated = text(coding, "system") or ""
    return KNOWN_AS.get(stated, stated)


def display(found: Element | None) -> str | None:
    """The words by which a person would call a CodeableConcept."""
    if found is None:
        return None
    name = text(found, "text")
    codings = elements(found, "coding")
    for coding in codings:
        shown = text(coding, "display")
        name = name or shown
    return name or next(filter(None, (text(coding, "code") for coding in codings)), None)


def word(raw: Element, name: str) -> str:
    """The string `name` of a resource that was not validated, or "" for anything else."""
    found = raw.get(name)
    return found if isinstance(found, str) else ""


def reference_of(resource: Element) -> str:
    """How problems and findings refer to a resource: `Type/id`, or the type alone without an id."""
    kind = resource.get("resourceType")
    name = kind if isinstance(kind, str) and kind else "Resource"
    identity = resource.get("id")
    return f"{name}/{identity}" if isinstance(identity, str) and identity else name


def referred(found: Element | None) -> str | None:
    """The target of a Reference, if it is a literal one."""
    return text(found, "reference") if found is not None else None


def local_reference(target: str) -> str:
    """`Type/id` from a relative, absolute or versioned literal reference; others unchanged."""
    parts = target.split("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) >= 2 else target


def copy_of(value: Any) -> Any:
    """A copy of a JSON value that shares nothing that can be changed."""
    if isinstance(value, dict):
        return {key: copy_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_of(item) for item in value]
    return value


def notes(resource: Element) -> Iterator[str]:
    """The texts of all annotations."""
    for note in elements(resource, "note"):
        written = text(note, "text")
        if written:
            yield written


def _too_long(name: str) -> ReadError:
    message = f"Element {name} has more than {LONGEST_TEXT} characters; it was not read."
    return ReadError("text-too-long", message, name)


def _malformed(name: str) -> ReadError:
    return ReadError(
        "resource-unreadable", f"Element {name} does not have the type FHIR gives it.", name
    )

"""Read the tests that stand inside a rule file."""

from __future__ import annotations

from cds.clinical.setting import Jurisdiction, Occasion
from cds.rulebook.facts import Catalogue, Fact, FactError, Kind, Value
from cds.rulebook.remarks import Remarks, did_you_mean
from cds.rulebook.rule import Given, Outcome, RuleTest
from cds.rulebook.shape import Entries, attribute_cure
from cds.rulebook.source import Node

_EXPECTATIONS = (Outcome.FIRED, Outcome.SILENT, Outcome.UNDECIDED)
_WORDS = {"fires": Outcome.FIRED, "silent": Outcome.SILENT, "undecided": Outcome.UNDECIDED}


def read_tests(
    nodes: tuple[Node, ...], catalogue: Catalogue, remarks: Remarks
) -> tuple[RuleTest, ...]:
    """Every test that can be understood."""
    tests = []
    for node in nodes:
        entries = Entries(node, remarks, "a test")
        name = entries.text("name")
        given = [_given(item, catalogue, remarks) for item in entries.nodes("given")]
        expected = _expectation(entries)
        jurisdiction = _word(entries, "jurisdiction", tuple(Jurisdiction))
        occasion = _word(entries, "occasion", tuple(Occasion))
        entries.done()
        if name is None or expected is None or None in given:
            continue
        facts = tuple(fact for fact in given if fact is not None)
        outcome, text = expected
        tests.append(RuleTest(name, facts, outcome, text, jurisdiction, occasion, node.place))
    return tuple(tests)


def _word(entries: Entries, key: str, allowed: tuple[str, ...]) -> str | None:
    value = entries.text(key, required=False)
    if value is not None and value not in allowed:
        place = entries.key_places[key]
        entries.remarks.add("RB104", place, f"{key} '{value}'", did_you_mean(value, allowed))
        return None
    return None if value is None else str(value)


def _expectation(entries: Entries) -> tuple[Outcome, str | None] | None:
    node = entries.node("expect")
    if node is None:
        return None
    word, text = node.scalar, None
    if node.mapping is not None and len(node.mapping) == 1:
        ((word, value),) = node.mapping.items()
        text = str(value.scalar) if value.is_scalar and value.scalar is not None else None
    if word in _WORDS:
        return _WORDS[str(word)], text
    cure = "write fires, silent, undecided, {fires: text} or {undecided: binding.attribute}"
    entries.remarks.add("RB104", node.place, "what is expected is not clear", cure)
    return None


def _given(node: Node, catalogue: Catalogue, remarks: Remarks) -> Given | None:
    if node.mapping is None or "is" not in node.mapping:
        remarks.add("RB103", node.place, "a given fact is {is: kind, attribute: value}")
        return None
    word = str(node.mapping["is"].scalar)
    kind = catalogue.kinds.get(word)
    if kind is None:
        cure = did_you_mean(word, catalogue.kinds)
        remarks.add("RB201", node.mapping["is"].place, f"unknown kind of fact '{word}'", cure)
        return None
    values: dict[str, Value] = {}
    for key, value in node.mapping.items():
        if key == "is":
            continue
        attribute = kind.attributes.get(str(key))
        if attribute is None:
            cure = attribute_cure(str(key), kind)
            place = node.key_places[key]
            remarks.add("RB202", place, f"{kind.name} has no attribute '{key}'", cure)
            continue
        try:
            values[attribute.name] = attribute.accept(value.plain())
        except FactError as error:
            remarks.add("RB204", value.place, str(error))
    return Given(kind.name, values, node.place)


def with_neutral_values(kind: Kind, values: dict[str, Value]) -> Fact:
    """A fact in which every attribute that is always known has a value."""
    for name, attribute in kind.attributes.items():
        if attribute.always and name not in values:
            values[name] = attribute.neutral()
    return Fact(kind.name, values)

"""Read the `when` of a rule: patterns, negations, alternatives and the words of a condition."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cds.rulebook.facts import Attribute, AttributeType, Catalogue, Kind
from cds.rulebook.remarks import Place, Remarks, did_you_mean
from cds.rulebook.rule import (
    Alternatives,
    Choice,
    Comparison,
    Condition,
    JoinRef,
    Operand,
    ParamRef,
    Pattern,
    Word,
)
from cds.rulebook.shape import attribute_cure, shown
from cds.rulebook.source import Node

_BINDING = re.compile(r"[a-z][a-z0-9_]{0,30}")
_PARAM = re.compile(r"\$([a-z][a-z0-9_]*)")
_NOT_A_BINDING = frozenset({"any_of", "all_of", "none", "is", "not"})
_WORDS = {word.value for word in Word if word is not Word.IS} | {"any_of"}


class WhenReader:
    """Reads conditions against the catalogue; what is wrong is noted and left out."""

    def __init__(self, catalogue: Catalogue, remarks: Remarks) -> None:
        self._catalogue, self._remarks = catalogue, remarks

    def read(self, nodes: tuple[Node, ...]) -> tuple[Condition, ...]:
        """All conditions of a rule; all must hold."""
        bound: dict[str, Kind] = {}
        conditions: list[Condition] = []
        for node in nodes:
            conditions.extend(self._condition(node, bound))
        return tuple(conditions)

    def _condition(self, node: Node, bound: dict[str, Kind]) -> Iterator[Condition]:
        entry = self._single_entry(node)
        if entry is None:
            return
        name, body = entry
        if name != "any_of":
            pattern = self._pattern(name, body, bound)
            if pattern is not None:
                yield pattern
            return
        options, after = [], []
        for item in body.items or ():
            inner = dict(bound)
            members = item.items if item.items is not None else (item,)
            found = [self._single_entry(member) for member in members]
            patterns = [self._pattern(*pair, inner) for pair in found if pair is not None]
            options.append(tuple(pattern for pattern in patterns if pattern is not None))
            after.append(inner)
        if len(options) < 2:
            self._remarks.add("RB103", body.place, "any_of needs at least two alternatives")
            return
        for inner in after:  # later patterns may join with whatever some alternative binds
            bound.update(inner)
        yield Alternatives(tuple(options), node.place)

    def _single_entry(self, node: Node) -> tuple[str, Node] | None:
        if node.mapping is None or len(node.mapping) != 1:
            cure = "write - name: {is: kind, ...}"
            self._remarks.add("RB103", node.place, "a condition is one name with a pattern", cure)
            return None
        ((name, body),) = node.mapping.items()
        return str(name), body

    def _pattern(self, name: str, body: Node, bound: dict[str, Kind]) -> Pattern | None:
        if body.mapping is None or "is" not in body.mapping:
            cure = f"write {name}: {{is: kind, ...}}"
            self._remarks.add(
                "RB102", body.place, f"pattern '{name}' does not say what it is", cure
            )
            return None
        word = str(body.mapping["is"].scalar)
        kind = self._catalogue.kinds.get(word)
        if kind is None:
            cure = did_you_mean(word, self._catalogue.kinds)
            place = body.mapping["is"].place
            self._remarks.add("RB201", place, f"unknown kind of fact '{word}'", cure)
            return None
        negated = name == "none"
        if not negated:
            self._check_binding(name, body.place, bound)
        conditions: list[Comparison | Choice] = []
        for key, value in body.mapping.items():
            if key == "any_of":
                choice = self._choice(kind, value, bound)
                if choice is not None:
                    conditions.append(choice)
            elif key != "is":
                place = body.key_places[key]
                conditions.extend(self._attribute(kind, str(key), value, place, bound))
        if not negated:
            bound[name] = kind
        return Pattern(None if negated else name, kind.name, tuple(conditions), body.place)

    def _check_binding(self, name: str, place: Place, bound: dict[str, Kind]) -> None:
        if not _BINDING.fullmatch(name) or name in _NOT_A_BINDING:
            cure = "use a short lower-case word"
            self._remarks.add("RB211", place, f"'{name}' cannot name a binding", cure)
        elif name in bound:
            self._remarks.add("RB211", place, f"'{name}' is bound twice", "use another name")

    def _choice(self, kind: Kind, node: Node, bound: dict[str, Kind]) -> Choice | None:
        alternatives = []
        for item in node.items or ():
            comparisons: list[Comparison] = []
            for key, value in (item.mapping or {}).items():
                place = item.key_places[key]
                comparisons.extend(self._attribute(kind, str(key), value, place, bound))
            if item.mapping is None:
                self._remarks.add("RB103", item.place, "an alternative is {attribute: condition}")
            alternatives.append(tuple(comparisons))
        if len(alternatives) < 2:
            self._remarks.add("RB103", node.place, "any_of needs at least two alternatives")
            return None
        return Choice(tuple(alternatives), node.place)

    def _attribute(
        self, kind: Kind, name: str, node: Node, place: Place, bound: dict[str, Kind]
    ) -> Iterator[Comparison]:
        attribute = kind.attributes.get(name)
        if attribute is None:
            cure = attribute_cure(str(name), kind)
            self._remarks.add("RB202", place, f"{kind.name} has no attribute '{name}'", cure)
            return
        if node.mapping is None:
            operand = self._operand(attribute, Word.IS, node, bound)
            if operand is not None:
                yield Comparison(name, Word.IS, operand, node.place)
            return
        for key, value in node.mapping.items():
            if key not in _WORDS or key == "any_of":
                cure = did_you_mean(key, _WORDS - {"any_of"})
                self._remarks.add(
                    "RB203", node.key_places[key], f"unknown condition word '{key}'", cure
                )
                continue
            word = Word(str(key))
            operand = self._operand(attribute, word, value, bound)
            if operand is not None:
                yield Comparison(name, word, operand, value.place)

    def _operand(
        self, attribute: Attribute, word: Word, node: Node, bound: dict[str, Kind]
    ) -> Operand | None:
        value = node.scalar
        if word is Word.KNOWN:
            if not isinstance(value, bool):
                self._wrong_type(attribute, node, "known takes true or false")
                return None
            return value
        if not attribute.comparable:
            cure = "show it in the text, or ask whether it is known"
            self._remarks.add("RB208", node.place, f"{attribute.name} is never compared", cure)
            return None
        if word is Word.SAME_AS:
            return self._join(attribute, node, bound)
        if word in (Word.ONE_OF, Word.NOT_ONE_OF):
            return self._several(attribute, node)
        if isinstance(value, int | float) and not isinstance(value, bool):
            cure = f"name it in params with unit and source, and write ${attribute.name}"
            self._remarks.add("RB206", node.place, f"number {value} in a condition", cure)
            return None
        if isinstance(value, str) and (match := _PARAM.fullmatch(value)):
            return ParamRef(match.group(1))
        if word not in (Word.IS, Word.NOT):
            self._wrong_type(attribute, node, f"{word} takes a $param")
            return None
        if attribute.type is AttributeType.BOOLEAN and isinstance(value, bool):
            return value
        if attribute.type is AttributeType.CODE and isinstance(value, str):
            self.check_code(attribute, value, node.place)
            return value
        self._wrong_type(attribute, node, f"{attribute.name} is a {attribute.type}")
        return None

    def _several(self, attribute: Attribute, node: Node) -> tuple[str, ...] | None:
        if attribute.type is not AttributeType.CODE or not node.items:
            self._wrong_type(attribute, node, "one_of takes a list of codes of a code attribute")
            return None
        for item in node.items:
            if isinstance(item.scalar, str):
                self.check_code(attribute, item.scalar, item.place)
            else:
                self._wrong_type(attribute, item, "a code is a word")
        return tuple(dict.fromkeys(str(item.scalar) for item in node.items))

    def _join(self, attribute: Attribute, node: Node, bound: dict[str, Kind]) -> JoinRef | None:
        binding, _, name = str(node.scalar).partition(".")
        other = bound[binding].attributes.get(name) if binding in bound else None
        if other is None:
            known = [f"{b}.{a}" for b, kind in bound.items() for a in kind.attributes]
            cure = did_you_mean(node.scalar, known) if known else "bind the other fact first"
            self._remarks.add("RB210", node.place, f"same_as: no earlier {node.scalar}", cure)
            return None
        codes = all(a.type is AttributeType.CODE and a.always for a in (attribute, other))
        if not codes:
            cure = "join by codes that every fact of the kind has"
            self._remarks.add(
                "RB210", node.place, f"same_as: {node.scalar} is not such a code", cure
            )
            return None
        return JoinRef(binding, name)

    def check_code(self, attribute: Attribute, value: str, place: Place) -> None:
        """Note a code outside the closed set of an attribute (open sets are the linter's)."""
        if attribute.values and value not in attribute.values:
            cure = did_you_mean(value, attribute.values)
            self._remarks.add("RB207", place, f"{attribute.name} is never '{value}'", cure)

    def _wrong_type(self, attribute: Attribute, node: Node, wanted: str) -> None:
        value = "a list or mapping" if not node.is_scalar else shown(node.scalar)
        cure = f"{attribute.name} is a {attribute.type}"
        self._remarks.add("RB204", node.place, f"{wanted}, not {value}", cure)

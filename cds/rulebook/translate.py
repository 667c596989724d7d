"""Translate conjunctions into the rules, and facts into the messages, that durable-rules is given.

What reaches durable-rules is kept plain, because each plainness avoids a defect or saves time:

- Only attributes that a rule compares: finite numbers of four decimals, booleans and codes. Never
  a text of the record, never a name that an author chose.
- Facts of which there is one per patient travel in one message, the scene. Most patterns are about
  them, and one pattern over one message costs far less than joins over ten.
- Set membership and presence are flags worked out here: `one_of` would multiply the rules, and a
  lone test for absence can loop.
- Facts of a negated kind are sent again under a second name, before all others: negation depends
  on the order of arrival, and must not share its kind with positive patterns.
- A fact whose key no pattern names is left out.
- Patterns over one kind are dealt out to several names of it. While durable-rules matches one
  message it stacks every branch that is still open, and fails at the sixty-fifth; the branches of
  one name can be no more than its patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from cds.rulebook.conditions import MAX_COMPARISONS, Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import AttributeType, Catalogue, Value
from cds.rulebook.rule import Word

MAX_PATTERNS_OF_A_NAME = 60
_SCENE = "scene "
_NEGATED = "not "

Numbered = Sequence[tuple[str, Mapping[str, Value]]]
"""Facts as kind and values, in the order in which they are numbered."""

_OPERATORS = {
    Word.NOT: "$neq", Word.BELOW: "$lt", Word.AT_MOST: "$lte", Word.ABOVE: "$gt",
    Word.AT_LEAST: "$gte",
}  # fmt: skip


_Fact = tuple[int, Mapping[str, Value]]
"""Its number and what it says."""


class Scene:
    """Facts arranged once for all translations."""

    __slots__ = ("_by_kind", "joint", "single")

    def __init__(self, facts: Numbered, catalogue: Catalogue) -> None:
        self._by_kind: dict[str, list[_Fact]] = {}
        self.single: dict[str, int] = {}
        """The number of the only fact, by kind."""
        self.joint: dict[str, Value] = {}
        """What all single facts say."""
        for number, (kind, values) in enumerate(facts):
            if catalogue.kinds[kind].one:
                self.single[kind] = number
                self.joint.update({f"{kind}__{name}": value for name, value in values.items()})
            self._by_kind.setdefault(kind, []).append((number, values))

    def of(self, kind: str) -> Sequence[_Fact]:
        """The facts of a kind with their numbers."""
        return self._by_kind.get(kind, ())


class Sent(Struct, frozen=True):
    """Messages in order, and for each the number of its fact (-1: the joint message)."""

    messages: list[dict[str, Any]]
    numbers: list[int]


class _Stream(Struct):
    """What messages of one name carry."""

    name: str
    attributes: set[str] = field(default_factory=set)
    flags: dict[Atom, str] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)
    """By attribute, the codes that patterns ask for."""
    patterns: int = 0
    keyed: dict[str, int] = field(default_factory=dict)
    """By attribute, how many patterns ask for codes; if all do, other facts are left out."""

    def complete(self) -> _Channel:
        """The same, when every rule has been added."""
        return _Channel(
            self.name,
            tuple(sorted(self.attributes)),
            tuple((flag, atom.attribute, *_asked(atom)) for atom, flag in self.flags.items()),
            tuple(
                (attribute, frozenset(self.keys[attribute]))
                for attribute, count in self.keyed.items()
                if count == self.patterns
            ),
        )


class _Channel(Struct, frozen=True):
    """A complete stream, laid out for sending."""

    name: str
    attributes: tuple[str, ...]
    flags: tuple[tuple[str, str, frozenset[str] | None, bool], ...]
    """Flag, attribute, the codes asked about (None: whether it is known), and what must hold."""
    keys: tuple[tuple[str, frozenset[str]], ...]

    def wanted(self, facts: Sequence[_Fact]) -> Sequence[_Fact]:
        """The facts that some pattern could match, as far as its keys tell."""
        for attribute, codes in self.keys:
            facts = [fact for fact in facts if fact[1].get(attribute) in codes]
        return facts

    def message(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """What the patterns need to know of a fact."""
        message: dict[str, Any] = {"kind": self.name}
        for name in self.attributes:
            if name in values:
                message[name] = values[name]
        for flag, attribute, codes, wanted in self.flags:
            known = attribute in values
            holds = known if codes is None else known and values[attribute] in codes
            if holds is wanted and (known or codes is None):
                message[flag] = True
        return message


class Translation:
    """The rules of one program, and how facts become its messages."""

    def __init__(self, conjunctions: Mapping[int, Conjunction], catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._streams: dict[str, list[_Stream]] = {}
        """By kind, by negated kind and by scene: the streams, of which the last is filling up."""
        self._layouts: dict[int, list[int | str]] = {}
        self.rules: dict[str, Any] = {}
        for number, conjunction in conjunctions.items():
            if not self._binds_one_twice(conjunction):
                self.rules[f"r{number}"] = self._rule(number, conjunction)
        bases = sorted(self._streams, key=lambda base: not base.startswith(_NEGATED))
        self._channels = [
            (None if base.startswith(_SCENE) else base.removeprefix(_NEGATED), stream.complete())
            for base in bases
            for stream in self._streams[base]
        ]
        """Negated kinds first; without a kind, those of the joint message."""

    def facts_of(self, number: int, matched: Mapping[int, int], scene: Scene) -> tuple[int, ...]:
        """The facts of a match, in the order of the conjunction's positive patterns."""
        return tuple(
            scene.single[part] if isinstance(part, str) else matched[part]
            for part in self._layouts[number]
        )

    def send(self, scene: Scene) -> Sent:
        """The messages of a scene, negated kinds first."""
        messages: list[dict[str, Any]] = []
        numbers: list[int] = []
        for kind, channel in self._channels:
            facts = ((-1, scene.joint),) if kind is None else channel.wanted(scene.of(kind))
            for number, values in facts:
                messages.append(channel.message(values))
                numbers.append(number)
        return Sent(messages, numbers)

    def _binds_one_twice(self, conjunction: Conjunction) -> bool:
        """Two patterns over the only fact of a kind: two bindings never share a fact."""
        kinds = [p.kind for p in conjunction.positive if self._catalogue.kinds[p.kind].one]
        return len(kinds) != len(set(kinds))

    def _rule(self, number: int, conjunction: Conjunction) -> dict[str, Any]:
        scenes, names = self._scenes(conjunction)
        streams = [self._stream(f"{_SCENE}{at}", 1) for at in range(len(scenes))]
        kinds = [p.kind for at, p in enumerate(conjunction.positive) if names[at][0] >= len(scenes)]
        # One name for all patterns of a kind, or two bindings could share one fact.
        named = {kind: self._stream(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)}
        layout: list[int | str] = []
        patterns = [
            {f"b{at}": self._scene(scene, stream)}
            for at, (scene, stream) in enumerate(zip(scenes, streams, strict=True))
        ]
        for position, pattern in enumerate(conjunction.positive):
            at = names[position][0]
            if at < len(scenes):
                layout.append(pattern.kind)
                continue
            layout.append(at)
            patterns.append({f"b{at}": self._pattern(pattern, named[pattern.kind], names)})
        for at, pattern in enumerate(conjunction.negative):
            stream = self._stream(_negated(pattern.kind), 1)
            patterns.append({f"n{at}$not": self._pattern(pattern, stream, names)})
        for pattern in (*conjunction.positive, *conjunction.negative):
            for atom in pattern.atoms:
                if isinstance(atom.value, Join):  # it reads an attribute of another fact
                    at, prefix = names[atom.value.position]
                    kind = conjunction.positive[atom.value.position].kind
                    stream = streams[at] if at < len(scenes) else named[kind]
                    stream.attributes.add(prefix + atom.value.attribute)
        self._layouts[number] = layout
        return {"all": patterns}

    def _stream(self, base: str, patterns: int) -> _Stream:
        """The stream that takes so many patterns more."""
        streams = self._streams.setdefault(base, [])
        if not streams or streams[-1].patterns + patterns > MAX_PATTERNS_OF_A_NAME:
            streams.append(_Stream(f"{base} {len(streams)}"))
        streams[-1].patterns += patterns
        return streams[-1]

    def _scenes(
        self, conjunction: Conjunction
    ) -> tuple[list[list[FlatPattern]], dict[int, tuple[int, str]]]:
        """Gather single kinds into as few patterns as the limit of comparisons allows.

        Returns them, and for each position the pattern it ends up in with the prefix of its
        attributes there.
        """
        scenes: list[list[FlatPattern]] = []
        names: dict[int, tuple[int, str]] = {}
        for position, pattern in enumerate(conjunction.positive):
            joins = any(isinstance(atom.value, Join) for atom in pattern.atoms)
            if not self._catalogue.kinds[pattern.kind].one or joins:
                continue
            taken = sum(len(other.atoms) for other in scenes[-1]) if scenes else 0
            if not scenes or taken + len(pattern.atoms) > MAX_COMPARISONS:
                scenes.append([])
            scenes[-1].append(pattern)
            names[position] = (len(scenes) - 1, f"{pattern.kind}__")
        others = [at for at in range(len(conjunction.positive)) if at not in names]
        names.update({position: (len(scenes) + at, "") for at, position in enumerate(others)})
        return scenes, names

    def _scene(self, patterns: list[FlatPattern], stream: _Stream) -> dict[str, Any]:
        terms: list[dict[str, Any]] = [{"kind": stream.name}]
        for pattern in patterns:
            for atom in pattern.atoms:
                whole = Atom(f"{pattern.kind}__{atom.attribute}", atom.word, atom.value)
                terms.append(_term(whole, stream, {}))
        return {"$and": terms} if len(terms) > 1 else terms[0]

    def _pattern(
        self, pattern: FlatPattern, stream: _Stream, names: Mapping[int, tuple[int, str]]
    ) -> dict[str, Any]:
        for attribute, codes in self._codes(pattern).items():
            stream.keys.setdefault(attribute, set()).update(codes)
            stream.keyed[attribute] = stream.keyed.get(attribute, 0) + 1
        terms: list[dict[str, Any]] = [{"kind": stream.name}]
        terms.extend(_term(atom, stream, names) for atom in pattern.atoms)
        return {"$and": terms} if len(terms) > 1 else terms[0]

    def _codes(self, pattern: FlatPattern) -> dict[str, set[str]]:
        """By attribute, the codes a pattern allows (of codes that are always known)."""
        found: dict[str, set[str]] = {}
        for atom in pattern.atoms:
            attribute = self._catalogue.attribute(pattern.kind, atom.attribute)
            if attribute.type is AttributeType.CODE and attribute.always:
                if atom.word is Word.IS and isinstance(atom.value, str):
                    found.setdefault(atom.attribute, set()).add(atom.value)
                elif atom.word is Word.ONE_OF and isinstance(atom.value, frozenset):
                    found.setdefault(atom.attribute, set()).update(atom.value)
        return found


def _term(atom: Atom, stream: _Stream, names: Mapping[int, tuple[int, str]]) -> dict[str, Any]:
    if isinstance(atom.value, frozenset) or atom.word is Word.KNOWN:
        return {stream.flags.setdefault(atom, f"flag{len(stream.flags)}"): True}
    stream.attributes.add(atom.attribute)
    if isinstance(atom.value, Join):
        at, prefix = names[atom.value.position]
        return {atom.attribute: {f"b{at}": prefix + atom.value.attribute}}
    if atom.word is Word.IS:
        return {atom.attribute: atom.value}
    return {_OPERATORS[atom.word]: {atom.attribute: atom.value}}


def _asked(atom: Atom) -> tuple[frozenset[str] | None, bool]:
    """What a flag says: membership of codes, or presence, and whether it must hold or fail."""
    if isinstance(atom.value, frozenset):
        return atom.value, atom.word is Word.ONE_OF
    return None, atom.value is True


def _negated(kind: str) -> str:
    return _NEGATED + kind


def largest(sent: Iterable[Mapping[str, Any]]) -> int:
    """The most properties that any message has."""
    return max((len(message) for message in sent), default=0)

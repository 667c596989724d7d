"""durable-rules, fenced: the only file that knows it.

durable-rules 2.0.28 is used as a pure matcher through its C module, in the one pattern that was
measured safe. Each guard answers a reproduced defect:

- only flat conjunctions reach it: `$or` matches wrongly, and `delete_state` crashes without the
  `_open` fact that fires first;
- only attributes that a rule compares reach it, as finite numbers of four decimals, booleans or
  codes - never text of a patient, never a name an author chose;
- set membership and presence are flags computed here (`one_of` would multiply the rules, `$nex`
  can loop);
- facts of a negated kind are asserted again under a second name, before all others: negation is
  order dependent and must not share a kind with positive patterns;
- `_all` takes every fact, or one fact that no rule mentions silences the whole batch;
- `_end` fires last and proves that every match was delivered;
- session ids come from a small pool and are deleted each time: ids are compared by a 32-bit hash;
- one lock per program: a C call is atomic, a sequence of calls is not.
"""

from __future__ import annotations

import itertools
import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import durable_rules_engine as engine

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Value
from cds.rulebook.rule import Word

FIRING_LIMIT = 5000
MAX_ATTRIBUTES = 200
"""Of one fact, flags included; more than 255 properties crash the JSON reader."""
_SESSIONS = 512
_OPERATORS = {
    Word.NOT: "$neq", Word.BELOW: "$lt", Word.AT_MOST: "$lte", Word.ABOVE: "$gt",
    Word.AT_LEAST: "$gte",
}  # fmt: skip

Hit = tuple[int, tuple[int, ...]]
"""Number of the conjunction, and the facts matched in the order of its positive patterns."""


class EngineError(Exception):
    """durable-rules did something it must not; the program is not to be used again."""


class Program:
    """Conjunctions compiled into one durable-rules ruleset."""

    def __init__(self, conjunctions: Sequence[Conjunction]) -> None:
        self._flags = _Flags()
        self._compared: dict[str, set[str]] = {}
        self._negated: set[str] = set()
        rules: dict[str, Any] = {
            f"r{number}": self._rule(conjunction) for number, conjunction in enumerate(conjunctions)
        }
        rules["_all"] = {"all": [{"m": {"$ex": {"kind": 1}}}], "count": 60000}
        rules["_open"] = {"all": [{"m": {"kind": "_open"}}]}
        rules["_end"] = {"pri": 65000, "all": [{"m": {"kind": "_end"}}]}
        self._lock = threading.Lock()
        self._session = itertools.count()
        try:
            self._handle = engine.create_ruleset("r", json.dumps(rules, ensure_ascii=False))
        except Exception as error:  # the C module raises bare Exception
            raise EngineError(f"ruleset refused: {error}") from error
        # When the last request has let go of this program its memory in C is given back.
        self._close = weakref.finalize(self, engine.delete_ruleset, self._handle)
        self._close.atexit = False

    def close(self) -> None:
        """Give the memory back after a running evaluation has finished."""
        with self._lock:
            self._close()

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return not self._close.alive

    def hits(self, facts: Sequence[tuple[str, Mapping[str, Value]]]) -> frozenset[Hit]:
        """Every match, or EngineError."""
        messages = self._messages(facts)
        with self._lock:
            if self.closed:
                raise EngineError("the program is closed")
            try:
                return self._run(messages)
            except EngineError:
                raise
            except Exception as error:  # the C module raises bare Exception
                raise EngineError(f"{type(error).__name__}: {error}") from error

    def _run(self, messages: list[dict[str, Any]]) -> frozenset[Hit]:
        session = f"s{next(self._session) % _SESSIONS}"
        for number, message in enumerate(messages):
            message["id"], message["sid"] = number + 2, session
        opening = f'{{"kind":"_open","id":1,"sid":"{session}"}}'
        code, offset = engine.assert_fact(self._handle, opening)
        fired = engine.start_action_for_state(self._handle, offset)
        if code != 0 or not fired or engine.complete_and_start_action(self._handle, offset):
            raise EngineError("the session did not open")
        try:
            payload = json.dumps(messages, ensure_ascii=False, allow_nan=False)
            code, offset = engine.assert_facts(self._handle, payload)
            if code != 0:
                raise EngineError(f"facts refused with {code}")
            return self._drain(offset, {message["id"]: message["n"] for message in messages})
        finally:
            engine.delete_state(self._handle, session)

    def _drain(self, offset: int, numbers: Mapping[int, int]) -> frozenset[Hit]:
        found: set[Hit] = set()
        started = engine.start_action_for_state(self._handle, offset)
        text = started[1] if started else None
        last = None
        for _ in range(FIRING_LIMIT):
            if not text:
                break
            ((last, matched),) = json.loads(text).items()
            if last != "_end":
                positions = sorted((int(name[1:]), fact["id"]) for name, fact in matched.items())
                found.add((int(last[1:]), tuple(numbers[identity] for _, identity in positions)))
            text = engine.complete_and_start_action(self._handle, offset)
        if last != "_end" or text:
            raise EngineError("not every match was delivered")
        return frozenset(found)

    def _messages(self, facts: Sequence[tuple[str, Mapping[str, Value]]]) -> list[dict[str, Any]]:
        first: list[dict[str, Any]] = []
        then: list[dict[str, Any]] = []
        for number, (kind, values) in enumerate(facts):
            for name, messages in ((_negated(kind), first), (kind, then)):
                compared = self._compared.get(name)
                if compared is None:
                    continue
                message: dict[str, Any] = {"kind": name, "n": number}
                message.update((key, values[key]) for key in compared if key in values)
                message.update(self._flags.of(name, values))
                if len(message) > MAX_ATTRIBUTES:
                    raise EngineError(f"a {kind} fact has {len(message)} attributes")
                messages.append(message)
        return [*first, *then, {"kind": "_end", "n": -1}]

    def _rule(self, conjunction: Conjunction) -> dict[str, Any]:
        for pattern in (*conjunction.positive, *conjunction.negative):
            for atom in pattern.atoms:
                if isinstance(atom.value, Join):  # a join reads an attribute of another fact
                    other = conjunction.positive[atom.value.position].kind
                    self._compared.setdefault(other, set()).add(atom.value.attribute)
        patterns = [
            {f"b{number}": self._pattern(pattern, pattern.kind)}
            for number, pattern in enumerate(conjunction.positive)
        ]
        patterns += [
            {f"n{number}$not": self._pattern(pattern, _negated(pattern.kind))}
            for number, pattern in enumerate(conjunction.negative)
        ]
        return {"all": patterns}

    def _pattern(self, pattern: FlatPattern, kind: str) -> dict[str, Any]:
        compared = self._compared.setdefault(kind, set())
        terms: list[dict[str, Any]] = [{"kind": kind}]
        terms.extend(self._term(atom, kind, compared) for atom in pattern.atoms)
        return {"$and": terms} if len(terms) > 1 else terms[0]

    def _term(self, atom: Atom, kind: str, compared: set[str]) -> dict[str, Any]:
        if isinstance(atom.value, frozenset) or atom.word is Word.KNOWN:
            return {self._flags.name(kind, atom): True}
        compared.add(atom.attribute)
        if isinstance(atom.value, Join):
            return {atom.attribute: {f"b{atom.value.position}": atom.value.attribute}}
        if atom.word is Word.IS:
            return {atom.attribute: atom.value}
        return {_OPERATORS[atom.word]: {atom.attribute: atom.value}}


class _Flags:
    """Set membership and presence, as properties that are there when true."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, Atom], str] = {}
        self._by_kind: dict[str, list[tuple[Atom, str]]] = {}

    def name(self, kind: str, atom: Atom) -> str:
        if (kind, atom) not in self._names:
            self._names[kind, atom] = name = f"flag{len(self._names)}"
            self._by_kind.setdefault(kind, []).append((atom, name))
        return self._names[kind, atom]

    def of(self, kind: str, values: Mapping[str, Value]) -> dict[str, bool]:
        return {name: True for atom, name in self._by_kind.get(kind, ()) if _holds(atom, values)}


def _holds(atom: Atom, values: Mapping[str, Value]) -> bool:
    value = values.get(atom.attribute)
    if atom.word is Word.KNOWN:
        return (value is not None) is atom.value
    if value is None or not isinstance(atom.value, frozenset):
        return False
    return (value in atom.value) is (atom.word is Word.ONE_OF)


def _negated(kind: str) -> str:
    return f"not {kind}"

"""durable-rules, fenced: the only file that knows it.

durable-rules 2.0.28 is used as a pure matcher through its C module, in the one pattern that was
measured safe. Each guard answers a reproduced defect:

- only flat conjunctions and plain messages reach it (see `translate`): `$or` matches wrongly,
  numbers such as 1e-05 crash it;
- `_open` fires first: without it `delete_state` frees an uninitialised pointer;
- `_all` takes every fact: one fact that no rule mentions would silence the whole batch;
- `_end` fires last and proves that every match was delivered;
- session ids come from a small pool and are deleted each time: ids are compared by a 32-bit hash,
  and a session keeps megabytes;
- one lock per program: a C call is atomic, a sequence of calls is not;
- no `Host`: it starts threads that steal matches.
"""

from __future__ import annotations

import itertools
import json
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence

import durable_rules_engine as engine

from cds.rulebook.conditions import Conjunction
from cds.rulebook.deal import Tally, alike
from cds.rulebook.facts import catalogue
from cds.rulebook.gate import Gates, needs_of
from cds.rulebook.translate import Numbered, Scene, Sent, Translation, largest

FIRING_LIMIT = 5000
MAX_PROPERTIES = 200
"""Of one message; more than 255 crash the JSON reader of durable-rules."""
_SESSIONS = 512
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

Hit = tuple[int, tuple[int, ...]]
"""Number of the conjunction, and the facts matched in the order of its positive patterns."""


class EngineError(Exception):
    """durable-rules did something it must not; the program is not to be used again."""


class Program:
    """Conjunctions compiled into rulesets of durable-rules, of which an evaluation asks a few.

    A session in durable-rules takes time and memory for every join of its ruleset, whatever is
    asserted. So conjunctions with like needs stand together in small rulesets, facts go only to
    those in which something could match, and what is asked of nearly every patient comes to stand
    together once more. Where a conjunction stands changes nothing about what it matches.
    """

    def __init__(self, conjunctions: Sequence[Conjunction]) -> None:
        needs = [needs_of(conjunction) for conjunction in conjunctions]
        self._conjunctions = conjunctions
        self._gates = Gates(needs)
        self._lock = threading.Lock()
        self._closed = False
        self._tally = Tally()
        self._dealt = self._compiled(alike(needs))
        self._often: dict[int, _Ruleset] = {}

    def close(self) -> None:
        """Give the memory back after a running evaluation has finished."""
        with self._lock:
            self._closed = True
            for ruleset in {*self._dealt.values(), *self._often.values()}:
                ruleset.close()

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._closed

    def hits(self, facts: Numbered) -> frozenset[Hit]:
        """Every match, or EngineError."""
        scene = Scene(facts, catalogue())
        opened = self._gates.open(facts)
        with self._lock:
            if self.closed:
                raise EngineError("the program is closed")
            try:
                if self._tally.note(opened):
                    self._often = self._compiled(self._tally.often)
                asked = {self._often.get(number) or self._dealt[number] for number in opened}
                return frozenset(hit for ruleset in asked for hit in ruleset.hits(scene))
            except EngineError:
                raise
            except Exception as error:  # the C module raises bare Exception
                raise EngineError(f"{type(error).__name__}: {error}") from error

    def _compiled(self, dealt: Iterable[Sequence[int]]) -> dict[int, _Ruleset]:
        """The ruleset of each conjunction."""
        rulesets: dict[int, _Ruleset] = {}
        for numbers in dealt:
            ruleset = _Ruleset({number: self._conjunctions[number] for number in numbers})
            rulesets.update(dict.fromkeys(numbers, ruleset))
        return rulesets


class _Ruleset:
    """One ruleset of durable-rules; its caller holds the lock."""

    def __init__(self, conjunctions: Mapping[int, Conjunction]) -> None:
        self._translation = Translation(conjunctions, catalogue())
        rules = {
            **self._translation.rules,
            "_all": {"all": [{"m": {"$ex": {"kind": 1}}}], "count": 60000},
            "_open": {"all": [{"m": {"kind": "_open"}}]},
            "_end": {"pri": 65000, "all": [{"m": {"kind": "_end"}}]},
        }
        self._session = itertools.count()
        try:
            self._handle = engine.create_ruleset("r", _JSON.encode(rules))
        except Exception as error:  # the C module raises bare Exception
            raise EngineError(f"ruleset refused: {error}") from error
        # When the last request has let go of this ruleset its memory in C is given back.
        self.close = weakref.finalize(self, engine.delete_ruleset, self._handle)
        self.close.atexit = False

    def hits(self, scene: Scene) -> set[Hit]:
        """Every match in one session, which is deleted afterwards."""
        sent = self._translation.send(scene)
        if largest(sent.messages) > MAX_PROPERTIES:
            raise EngineError(f"a message of {largest(sent.messages)} properties")
        session = f"s{next(self._session) % _SESSIONS}"
        opening = f'{{"kind":"_open","id":1,"sid":"{session}"}}'
        code, offset = engine.assert_fact(self._handle, opening)
        fired = engine.start_action_for_state(self._handle, offset)
        if code != 0 or not fired or engine.complete_and_start_action(self._handle, offset):
            raise EngineError("the session did not open")
        try:
            messages = [*sent.messages, {"kind": "_end"}]
            for number, message in enumerate(messages):
                message["id"], message["sid"] = number + 2, session
            code, offset = engine.assert_facts(self._handle, _JSON.encode(messages))
            if code != 0:
                raise EngineError(f"facts refused with {code}")
            return self._drain(offset, sent, scene)
        finally:
            engine.delete_state(self._handle, session)

    def _drain(self, offset: int, sent: Sent, scene: Scene) -> set[Hit]:
        found: set[Hit] = set()
        started = engine.start_action_for_state(self._handle, offset)
        text = started[1] if started else None
        last = None
        for _ in range(FIRING_LIMIT):
            if not text:
                break
            ((last, matched),) = json.loads(text).items()
            if last != "_end":
                facts = {int(name[1:]): sent.numbers[m["id"] - 2] for name, m in matched.items()}
                number = int(last[1:])
                found.add((number, self._translation.facts_of(number, facts, scene)))
            text = engine.complete_and_start_action(self._handle, offset)
        if last != "_end" or text:
            raise EngineError("not every match was delivered")
        return found

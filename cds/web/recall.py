"""Make a recorded evaluation again, so that people can look at it.

The ledger keeps the input and not the curves; the same `decide` that answered gives them back.
What comes out is compared with what was answered then, and a page says so when they differ.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from cds.assess import Assessment
from cds.services import Services
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge, KnowledgeError, knowledge_of_revision
from cds.services.record import is_input
from cds.store import CipherError, StoredDecision
from cds.store.jsontext import canonical

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEPT = 16
"""Evaluations held per process: one page asks for its pictures a moment later."""


class NotRecalled(Exception):  # noqa: N818 - an answer, not a defect
    """The evaluation cannot be shown; the message says why, `gone` that it is not there at all."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class Recalled(Struct, frozen=True):
    """An evaluation as it was made, with everything needed to ask further."""

    stored: StoredDecision
    assessment: Assessment
    knowledge: Knowledge
    cards: tuple[dict[str, Any], ...]
    """As they were answered."""
    same: bool
    """Whether making it again gives the cards that were answered then."""


class Recall:
    """Finds evaluations in the ledger and makes them again."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: OrderedDict[str, tuple[str, Recalled]] = OrderedDict()
        self._knowledge: dict[str, Knowledge] = {}
        self._lock = threading.Lock()

    def find(self, evaluation: str, may_see: Callable[[StoredDecision], bool]) -> Recalled:
        """Return an evaluation, or raise NotRecalled; one that may not be seen is not there."""
        stored = self._stored(evaluation, may_see)
        with self._lock:
            found = self._kept.get(evaluation)
            if found is not None and found[0] == stored.input_digest:
                self._kept.move_to_end(evaluation)
                return found[1]
        recalled = self._made_again(stored)
        with self._lock:
            self._kept[evaluation] = (stored.input_digest, recalled)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return recalled

    def _stored(self, evaluation: str, may_see: Callable[[StoredDecision], bool]) -> StoredDecision:
        """The ledger is asked every time: what is past its retention must not live on in memory."""
        nothing = NotRecalled(
            "There is no such evaluation of the patient whose chart you opened last.", gone=True
        )
        if not _UUID.fullmatch(evaluation):
            raise nothing
        try:
            stored = self._services.store.decision(evaluation)
        except CipherError:
            raise nothing from None  # written under another key: here it does not exist
        if stored is None or not may_see(stored):
            raise nothing
        if stored.body is None:
            raise NotRecalled("The content of this evaluation is past its retention time.")
        return stored

    def _made_again(self, stored: StoredDecision) -> Recalled:
        body = stored.body or {}
        given = body["input"]
        if not is_input(given, stored.input_digest):
            raise NotRecalled("The recorded input does not match its digest.")
        knowledge = self._knowledge_of(stored.rulebook_revision)
        decision = decide(EvaluationInput.from_json(given), knowledge)
        if decision.assessment is None:
            raise NotRecalled("The monitored medicine does not appear in this record.")
        recorded = body["response"]
        return Recalled(
            stored=stored,
            assessment=decision.assessment,
            knowledge=knowledge,
            cards=tuple(recorded["cards"]),
            same=canonical(decision.response) == canonical(recorded),
        )

    def _knowledge_of(self, revision: str) -> Knowledge:
        current = self._services.knowledge
        if current.rulebook.revision == revision:
            return current
        if revision not in self._knowledge:
            try:
                loaded = knowledge_of_revision(self._services.settings, revision)
            except KnowledgeError:
                raise NotRecalled("The rulebook of this evaluation cannot be read.") from None
            if loaded.rulebook.revision != revision:
                raise NotRecalled(
                    f"It was made with rulebook revision {revision[:12]}, which is no longer here."
                )
            self._knowledge = {revision: loaded}  # old revisions are looked at one at a time
        return self._knowledge[revision]

"""What the models said about a case, remembered for minutes (ADR 10).

Opening a chart, choosing an order and signing it ask the models the same question within minutes.
An answer follows from the question alone, so one that was given need not be worked out again. What
is kept are numbers about a fit, on a clock without a date: no id, no name and no reference. The key
is a digest with random bytes that never leave the process.
"""

from __future__ import annotations

import secrets
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, TypeVar

from msgspec import Struct

import pk

_PLACES: Final = 128
"""Answers; a patient takes about four, and the largest of them a quarter of a mebibyte."""
_KEPT_FOR: Final = timedelta(minutes=30)
_DIGEST_BYTES: Final = 16

Answer = TypeVar("Answer")


class Remembered:
    """Answers by what they follow from; the one that was not asked for longest goes first.

    Threads may share it: two that ask the same at once both work it out, to the same answer. An
    answer is shared by all who ask, so nobody may change it.
    """

    def __init__(self, places: int = _PLACES, kept_for: timedelta = _KEPT_FOR) -> None:
        self._key = secrets.token_bytes(blake2b.MAX_KEY_SIZE)
        self._places, self._kept_for = places, kept_for
        self._answers: OrderedDict[bytes, tuple[datetime, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def about(
        self,
        case: pk.Case,
        models: Iterable[pk.PopulationModel],
        options: pk.FitOptions,
        now: datetime,
    ) -> About:
        """What was said about a case by these models, in this order; what is too old is dropped."""
        self._drop_old(now)
        digests = [(model.id, model.digest) for model in models]
        return About(self, self._digest(*written(case), repr((options, digests)).encode()), now)

    def recall(
        self, subject: bytes, question: object, work_out: Callable[[], Answer], now: datetime
    ) -> Answer:
        """The answer to a question about a subject, worked out if it is not remembered.

        A question is a value whose `repr` says all there is to it.
        """
        key = self._digest(subject, repr(question).encode())
        with self._lock:
            found = self._answers.pop(key, None)
            if found is not None:
                self._answers[key] = now, found[1]
                answer: Answer = found[1]
                return answer
        answer = work_out()
        with self._lock:
            self._answers[key] = now, answer
            while len(self._answers) > self._places:
                self._answers.popitem(last=False)
        return answer

    def _drop_old(self, now: datetime) -> None:
        """Longest unasked stands first; a time ahead is of a clock that was set back."""
        earliest, latest = now - self._kept_for, now + self._kept_for
        with self._lock:
            while self._answers:
                oldest = next(iter(self._answers))
                if earliest <= self._answers[oldest][0] <= latest:
                    return
                del self._answers[oldest]

    def _digest(self, *parts: bytes) -> bytes:
        digest = blake2b(key=self._key, digest_size=_DIGEST_BYTES)
        for part in parts:
            digest.update(len(part).to_bytes(8))
            digest.update(part)
        return digest.digest()


class About(Struct, frozen=True):
    """The memory, as far as it concerns one case, the models asked and how they are fitted."""

    memory: Remembered
    subject: bytes
    now: datetime

    def recall(self, question: object, work_out: Callable[[], Answer]) -> Answer:
        """The answer to a question about the case, worked out if it is not remembered."""
        return self.memory.recall(self.subject, question, work_out, self.now)


def written(case: pk.Case) -> tuple[bytes, ...]:
    """Everything that makes a case, as bytes: two cases are written alike only if they are.

    Doses are many, and their numbers are quicker to take as they stand than to write out.
    """
    doses = array("d", chain.from_iterable(case.doses))
    return doses.tobytes(), repr([getattr(case, name) for name in _OTHER_PARTS]).encode()


_OTHER_PARTS: Final = tuple(name for name in pk.Case.__struct_fields__ if name != "doses")
REMEMBERED: Final = Remembered()
"""The memory of this process."""

"""Which resources passed the R4B models before, remembered by a digest of their form.

Whether a resource passes the models depends on its form alone (see `form`), so a form that passed
once need not be asked about again (ADR 8): the same result again within minutes, or another
patient's result of the same test. Nothing of a patient is kept: a form lacks most of what is a
patient's own, its digest is keyed with random bytes that never leave the process, so that it cannot
be compared with anything outside, and the resource itself is read anew each time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

_DIGEST_BYTES: Final = 16
_PLACES: Final = 32_768
"""Room for about a thousand requests of a usual size, in half a mebibyte."""


class Passed:
    """A table of fixed size; each digest has one place, and the latest to claim it stands there.

    Reading or writing one place is a single step of the interpreter, so threads may share it. A
    torn or overwritten place only lets a resource be asked about again.
    """

    def __init__(self, places: int = _PLACES) -> None:
        self._key = secrets.token_bytes(blake2b.MAX_KEY_SIZE)
        self._places = places
        self._table = bytearray(places * _DIGEST_BYTES)

    def __contains__(self, digest: bytes) -> bool:
        at = self._place(digest)
        return self._table[at : at + _DIGEST_BYTES] == digest

    def add(self, digest: bytes) -> None:
        """Remember that a resource passed."""
        at = self._place(digest)
        self._table[at : at + _DIGEST_BYTES] = digest

    def forget(self) -> None:
        """Ask about everything again, as after a start."""
        self._table[:] = bytes(len(self._table))

    def digest(self, shape: bytes) -> bytes:
        """The keyed digest of the form of a resource."""
        return self._digest(shape)

    def digest_of_all(self, resources: Iterable[bytes]) -> bytes:
        """The keyed digest of `written` resources as they are: it is that of no single form."""
        return self._digest(b"\n".join((b"", *resources)))

    def _digest(self, content: bytes) -> bytes:
        return blake2b(content, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _place(self, digest: bytes) -> int:
        return int.from_bytes(digest[:8]) % self._places * _DIGEST_BYTES

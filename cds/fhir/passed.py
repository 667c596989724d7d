"""Which resources passed the R4B models before, remembered by digest and nothing else.

Opening a chart, choosing an order and signing it send the same results and orders again within
minutes. Whether a resource passes the models depends on its content alone, so content that passed
once need not be asked about again (ADR 8). Nothing of a patient is kept: a digest is keyed with
random bytes that never leave the process, so that it cannot be compared with anything outside, and
the resource itself is read anew each time.
"""

from __future__ import annotations

import secrets
import threading
from hashlib import blake2b
from typing import Final

from cds.fhir.elements import Element

_DIGEST_BYTES: Final = 32
_MOST: Final = 16_384
"""About 600 requests of a usual size; 3 MB at most."""


class Passed:
    """A bounded set of digests; the oldest make room for new ones. Safe to share by threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._key = secrets.token_bytes(blake2b.MAX_KEY_SIZE)
        self._digests: dict[bytes, None] = {}
        self._changing = threading.Lock()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def digest(self, resource: Element) -> bytes:
        """The keyed digest of a resource as JSON values; differs wherever a value or type does.

        `repr` of JSON values is unambiguous: strings are quoted, and 1, 1.0, True and Decimal("1")
        are written differently. Another order of keys is another digest, which merely costs time.
        """
        written = repr(resource).encode("utf-8", errors="surrogatepass")
        return blake2b(written, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def add(self, digest: bytes) -> None:
        """Remember that a resource passed."""
        with self._changing:
            self._digests[digest] = None
            if len(self._digests) > self._most:
                del self._digests[next(iter(self._digests))]

"""What a dosage text was read as, remembered under a digest of the text (ADR 10).

Order systems print the same few sentences for everybody, and a reading follows from its text and
the names of the drug, which state nothing. What is kept are amounts, counts and frequencies: no
text and no word of one, and nothing of whose order it was. The key of the digest is random bytes
that never leave the process.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from cds.clinical.terminology import Drug
from cds.fhir.dose_text import TextDosage, read_text
from cds.fhir.products import without_names

_DIGEST_BYTES: Final = 16
_PLACES: Final = 256
_Key = tuple[bytes, frozenset[str] | None]
"""The digest of a text, and the names that were taken to state nothing in it."""


class DoseTextMemory:
    """Readings of dosage texts; when all places are taken, it begins anew.

    Threads may share it: two that read the same text at once both read it, to the same end.
    """

    def __init__(self, places: int = _PLACES) -> None:
        self._key = secrets.token_bytes(blake2b.MAX_KEY_SIZE)
        self._places = places
        self._readings: dict[_Key, TextDosage] = {}

    def __len__(self) -> int:
        return len(self._readings)

    def read(self, written: str, drug: Drug | None = None) -> TextDosage:
        """What the text states, as `read_text` says it; names of the `drug` in it state nothing."""
        key = self._digest(written), drug.names if drug is not None else None
        reading = self._readings.get(key)
        if reading is None:
            reading = read_text(without_names(written, drug) if drug is not None else written)
            if reading.changes is None:  # else it quotes words of the text
                self._keep(key, reading)
        return reading

    def _keep(self, key: _Key, reading: TextDosage) -> None:
        if len(self._readings) >= self._places:
            self._readings.clear()
        self._readings[key] = reading

    def _digest(self, written: str) -> bytes:
        text = written.encode(errors="surrogatepass")  # JSON may hold half a character
        return blake2b(text, key=self._key, digest_size=_DIGEST_BYTES).digest()


DOSE_TEXTS: Final = DoseTextMemory()
"""The memory of this process."""

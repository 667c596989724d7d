"""Encryption of the clinical content that the ledger keeps for replay.

AES-256-GCM with a random nonce and the row's identity as associated data, so a body can neither be
read without the key nor moved to another row. The same key gives the keyed digest under which a
patient is looked up, so that the tables hold no patient identifier in the clear.

Bodies are compressed before they are encrypted, in the zlib format: written by ISA-L in a fifth of
zlib's time, because a clinician waits for it, and read by zlib, as are bodies that zlib wrote.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import tempfile
import zlib
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from isal import isal_zlib

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PLAIN_LIMIT = 64 * 1024 * 1024


class CipherError(Exception):
    """A key cannot be used, or a body cannot be opened with it."""


class Cipher:
    """Seals and opens bodies with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise CipherError(f"the ledger key must be {_KEY_BYTES} bytes, this one has {len(key)}")
        self._aead = AESGCM(_derive(key, b"ledger body"))
        self._patient_key = hmac.new(_derive(key, b"patient key"), digestmod="sha256")
        self._mac = hmac.new(_derive(key, b"message authentication"), digestmod="sha256")

    def seal(self, plain: bytes, row: str) -> bytes:
        """Compress and encrypt `plain` for the row named `row`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, isal_zlib.compress(plain, level=1), row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """Decrypt what `seal` wrote for the same row."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            compressed = self._aead.decrypt(nonce, text, row.encode())
        except (InvalidTag, ValueError):
            raise CipherError("the body was written with another ledger key") from None
        return zlib.decompressobj().decompress(compressed, _PLAIN_LIMIT)

    def patient_key(self, client: str, patient: str) -> str:
        """Return the keyed digest that stands for a patient of a client."""
        message = f"{client}\x00{patient}".encode("utf-8", errors="surrogatepass")
        return _code(self._patient_key, message)

    def mac(self, purpose: str, *parts: str) -> str:
        """Return a code that only this key can make, for these parts and this purpose."""
        message = json.dumps([purpose, *parts]).encode()
        return _code(self._mac, message)

    def confirms(self, code: str, purpose: str, *parts: str) -> bool:
        """Whether `code` is what `mac` gives; takes the same time wherever they differ."""
        made = self.mac(purpose, *parts)
        return hmac.compare_digest(code.encode("utf-8", errors="surrogatepass"), made.encode())


def parse_key(text: str) -> bytes:
    """Read a key written as 64 hexadecimal digits or as base64."""
    text = text.strip()
    try:
        key = (
            bytes.fromhex(text)
            if len(text) == 2 * _KEY_BYTES
            else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error):
        raise CipherError("the ledger key is neither 64 hexadecimal digits nor base64") from None
    if len(key) != _KEY_BYTES:
        raise CipherError(f"the ledger key must be {_KEY_BYTES} bytes, this one has {len(key)}")
    return key


def read_or_create_key(path: Path) -> bytes:
    """Read the key file, or create it readable by its owner only (the laptop default).

    The file appears complete or not at all, because several processes may start at once.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".ledger-key-")
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(os.urandom(_KEY_BYTES).hex() + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its key is the one
        finally:
            Path(draft).unlink()
    return parse_key(path.read_text(encoding="ascii"))


def _code(keyed: hmac.HMAC, message: bytes) -> str:
    code = keyed.copy()
    code.update(message)
    return code.hexdigest()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose, "sha256")

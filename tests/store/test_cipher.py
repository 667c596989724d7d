"""Keys and sealed bodies."""

from __future__ import annotations

import base64
import random
import stat
import zlib
from pathlib import Path

import pytest

from cds.store import Cipher, CipherError, read_or_create_key
from cds.store.cipher import parse_key

KEY = bytes(range(32))


def test_a_sealed_body_opens_only_for_its_own_row():
    cipher = Cipher(KEY)
    sealed = cipher.seal(b"text", "row-1")

    assert cipher.open(sealed, "row-1") == b"text"
    with pytest.raises(CipherError):
        cipher.open(sealed, "row-2")


@pytest.mark.parametrize("damage", [b"", b"short", bytes(64)])
def test_a_damaged_body_is_refused(damage: bytes):
    with pytest.raises(CipherError):
        Cipher(KEY).open(damage, "row-1")


@pytest.mark.parametrize(
    "plain",
    [b"", b"x", b"abc" * 1_000_000, random.Random(1).randbytes(200_000)],
    ids=["nothing", "one byte", "much of the same", "nothing alike"],
)
def test_a_body_is_kept_in_the_zlib_format_whoever_wrote_it(plain: bytes):
    cipher = Cipher(KEY)
    sealed = cipher.seal(plain, "row-1")
    nonce, kept = sealed[:12], sealed[12:]
    aead = cipher._aead

    assert zlib.decompress(aead.decrypt(nonce, kept, b"row-1")) == plain  # as earlier versions read
    earlier = nonce + aead.encrypt(nonce, zlib.compress(plain, level=1), b"row-1")
    assert cipher.open(earlier, "row-1") == cipher.open(sealed, "row-1") == plain


def test_the_patient_key_differs_by_client_and_by_ledger_key():
    assert Cipher(KEY).patient_key("a", "bc") != Cipher(KEY).patient_key("ab", "c")
    assert Cipher(KEY).patient_key("a", "b") != Cipher(bytes(32)).patient_key("a", "b")


def test_a_key_may_be_hexadecimal_or_base64():
    assert parse_key(KEY.hex()) == KEY
    assert parse_key(base64.b64encode(KEY).decode() + "\n") == KEY


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31, base64.b64encode(b"short").decode()])
def test_a_key_of_another_form_is_refused(text: str):
    with pytest.raises(CipherError):
        parse_key(text)


def test_the_key_file_is_created_once_and_readable_by_its_owner_only(tmp_path: Path):
    path = tmp_path / "new" / "ledger.key"

    key = read_or_create_key(path)

    assert read_or_create_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["ledger.key"]

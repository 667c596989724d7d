"""What a value must be, whichever setting it stands in: an address, a time zone."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, SecretStr

_OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def https(url: str) -> str:
    if urlsplit(url).scheme != "https":
        raise ValueError("must be an https URL")
    return _plain(url)


def https_or_own(url: str) -> str:
    """An https address, or http where it cannot leave this machine."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname in _OWN_MACHINE:
        return _plain(url)
    return https(url)


def _plain(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("must be an https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry a user, a query or a fragment")
    return url.rstrip("/")


def known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; use a name such as Europe/Zurich") from None
    return name


def _not_empty(secret: SecretStr) -> SecretStr:
    # An empty secret is what everybody sends who sends none.
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty; leave it out instead")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_not_empty)]
"""A secret that is one."""

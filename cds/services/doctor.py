"""Look at a FHIR server as the service would use it, and say what to fix."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from msgspec import Struct

from cds.fhir.client import FetchError, FhirClient
from cds.fhir.prefetch import PrefetchKey, fill, prefetch_keys
from cds.rulebook import Rulebook

_PATIENCE_S = 10.0
_SLOW_S = 0.5
_EXPIRES_SOON_DAYS = 30
_RESULT_PARAMETERS = frozenset({"_count", "_sort", "_id"})


class Check(Struct, frozen=True):
    """One thing that was looked at. `cure` says what to do when it is not fine."""

    name: str
    state: str
    """`ok`, `warning` or `failed`."""
    message: str
    cure: str | None = None


def examine(
    base: str,
    rulebook: Rulebook,
    *,
    token: str | None = None,
    patient: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Check]:
    """Check reachability, TLS, capability, searches, codes and speed; yields as it goes."""
    base = base.rstrip("/")
    yield _transport_security(base, look=transport is None)
    with FhirClient(base, time.monotonic() + _PATIENCE_S, token, transport=transport) as client:
        started = time.monotonic()
        try:
            capability = client.get("metadata")
        except FetchError as error:
            yield Check("reachable", "failed", error.message, _CURES.get(error.reason))
            return
        yield Check("reachable", "ok", f"answered in {_ms(started)} ms")
        yield _version(capability)
        keys = prefetch_keys(rulebook.drug, rulebook.terminology)
        yield from _searches(capability, keys)
        if patient is None:
            yield Check(
                "data", "warning", "not looked at", "pass --patient ID of a patient on the drug"
            )
            return
        yield from _data(client, keys, patient)


def _transport_security(base: str, *, look: bool) -> Check:
    parts = urlsplit(base)
    if parts.scheme != "https":
        return Check(
            "tls",
            "warning",
            "the address is not https",
            "registered clients need https; plain http works on loopback only",
        )
    if not look:
        return Check("tls", "ok", "https")
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=_PATIENCE_S) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return Check(
            "tls",
            "failed",
            f"the certificate is not trusted: {error.verify_message}",
            "install the hospital's CA in the system trust store (SSL_CERT_FILE)",
        )
    except OSError as error:
        return Check(
            "tls", "failed", f"no connection: {type(error).__name__}", "check host, port, firewall"
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    left = (ends - datetime.now(UTC)).days
    if left < _EXPIRES_SOON_DAYS:
        return Check("tls", "warning", f"the certificate ends in {left} days", "renew it")
    return Check("tls", "ok", f"{version}, certificate valid for {left} days")


def _version(capability: Mapping[str, Any]) -> Check:
    if capability.get("resourceType") != "CapabilityStatement":
        return Check(
            "fhir-version",
            "failed",
            f"/metadata is a {capability.get('resourceType')}",
            "give the FHIR R4 base of the server, without /metadata",
        )
    version = str(capability.get("fhirVersion", "unknown"))
    if version.startswith(("4.0", "4.3")):
        return Check("fhir-version", "ok", version)
    return Check("fhir-version", "failed", f"FHIR {version}", "use the server's R4 endpoint")


def _searches(capability: Mapping[str, Any], keys: tuple[PrefetchKey, ...]) -> Iterator[Check]:
    """Compare what the templates ask with what the server declares."""
    declared: dict[str, set[str]] = {}
    rest = capability.get("rest")
    for part in rest if isinstance(rest, list) else ():
        for resource in part.get("resource", []):
            names = {p.get("name") for p in resource.get("searchParam", [])}
            declared.setdefault(resource.get("type"), set()).update(names)
    for key in keys:
        name = f"search {key.name}"
        if key.resource_type not in declared:
            yield Check(
                name,
                "failed" if key.required else "warning",
                f"{key.resource_type} is not declared",
                "advice is made without it and says so"
                if not key.required
                else "without it no advice is possible: enable it on the server",
            )
            continue
        asked = {n for n, _ in parse_qsl(key.template.partition("?")[2])} - _RESULT_PARAMETERS
        missing = sorted(asked - declared[key.resource_type])
        if missing:
            yield Check(
                name,
                "warning",
                f"{key.resource_type} does not declare the search parameter {', '.join(missing)}",
                "let the client prefetch this key itself",
            )
        else:
            yield Check(name, "ok", key.resource_type)


def _data(client: FhirClient, keys: tuple[PrefetchKey, ...], patient: str) -> Iterator[Check]:
    """Run each template for one patient: does it work, is it fast, are the codes found?"""
    for key in keys:
        started = time.monotonic()
        try:
            found = client.get(fill(key.template, {"patientId": patient}))
        except FetchError as error:
            state = "failed" if key.required else "warning"
            yield Check(f"data {key.name}", state, error.message, _CURES.get(error.reason))
            continue
        seconds = time.monotonic() - started
        count = _matches(found)
        if seconds > _SLOW_S:
            yield Check(
                f"data {key.name}",
                "warning",
                f"{count} found, but in {round(seconds * 1000)} ms",
                "let the client prefetch this key: a hook call has 1.5 s in all",
            )
        elif key.name in ("levels", "labs") and count == 0:
            yield Check(
                f"data {key.name}",
                "warning",
                "none found under the codes of the rulebook",
                "if this patient has some, add the laboratory's own codes in rules/site.yaml",
            )
        else:
            yield Check(f"data {key.name}", "ok", f"{count} found in {round(seconds * 1000)} ms")


def _matches(found: Mapping[str, Any]) -> int:
    if found.get("resourceType") != "Bundle":
        return 1
    entries = found.get("entry")
    return len(entries) if isinstance(entries, list) else 0


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


_CURES = {
    "unreachable": "check the address, DNS, proxy and firewall from this machine",
    "timeout": "check the network path; a hook call can wait for one second at most",
    "not-authorised": "pass a token with --token, or check its scopes",
    "not-found": "check that the address is the FHIR base",
    "redirect": "use the address it redirects to: redirects are never followed",
    "not-json": "the server must answer application/fhir+json",
    "not-fhir": "the address is not a FHIR server's base",
    "compressed": "turn off compression for this service: compressed answers are refused",
}

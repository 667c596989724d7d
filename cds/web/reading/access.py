"""The client's FHIR server and the token for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cds.services.call import FhirAccess
from cds.web.reading.reader import Reader

_URL = re.compile(r"https?://\S+")


def read_fhir_access(reader: Reader, body: Mapping[str, Any]) -> FhirAccess | None:
    server = body.get("fhirServer")
    authorization = body.get("fhirAuthorization")
    if server is None:
        if authorization is not None:
            reader.wrong("fhirServer", "fhirAuthorization needs a fhirServer", "required")
        return None
    if not isinstance(server, str) or not _URL.fullmatch(server):
        reader.wrong("fhirServer", "fhirServer must be an http(s) URL")
        return None
    if authorization is None:
        return FhirAccess(server)
    if not isinstance(authorization, dict):
        reader.wrong("fhirAuthorization", "fhirAuthorization must be an object", "structure")
        return None
    return FhirAccess(server, _access_token(reader, authorization))


def _access_token(reader: Reader, authorization: Mapping[str, Any]) -> str | None:
    token = authorization.get("access_token")
    # The token goes into a header: anything but visible ASCII could start another one.
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        reader.wrong("fhirAuthorization.access_token", "access_token is required", "required")
        return None
    if authorization.get("token_type") != "Bearer":
        reader.deviates("fhirAuthorization.token_type", "token-type", "token_type must be Bearer")
    expires = authorization.get("expires_in")
    if isinstance(expires, int) and expires <= 0:
        reader.wrong("fhirAuthorization.expires_in", "the access token has expired")
    elif not isinstance(expires, int) or isinstance(expires, bool):
        reader.deviates(
            "fhirAuthorization.expires_in", "token-lifetime", "expires_in must be an integer"
        )
    for name in ("scope", "subject"):
        if not isinstance(authorization.get(name), str) or not authorization[name]:
            reader.deviates(f"fhirAuthorization.{name}", f"token-{name}", f"{name} is required")
    return token


def check_same_patient(reader: Reader, body: Mapping[str, Any], patient: str | None) -> None:
    """A token for one patient must not come with the context of another."""
    authorization = body.get("fhirAuthorization")
    granted = authorization.get("patient") if isinstance(authorization, dict) else None
    if patient is None or granted is None:
        return
    place = "fhirAuthorization.patient"
    if granted == "" and reader.deviates(place, "empty-value", "must be omitted, not empty"):
        return
    if not isinstance(granted, str) or granted.removeprefix("Patient/") != patient:
        reader.wrong(place, "the token is for another patient")

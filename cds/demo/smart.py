"""The demo hospital as a registered EHR: it signs its calls, and its users, as SMART describes.

Enough of SMART App Launch (https://hl7.org/fhir/smart-app-launch/) for one app on one machine: the
user is always the same and always agrees. What a real EHR checks is checked here too, so that a
service which does it wrongly does not get in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Blueprint, Response, abort, redirect, request
from msgspec import Struct

USER = "Practitioner/dr-demo"
CLIENT_ID = "imatinib-tdm"
_KEY_ID = "demo-hospital"
_ALGORITHM = "ES384"
_LIFE = timedelta(minutes=5)


class Opened(Struct, frozen=True):
    """What is open in the EHR when it launches an app."""

    patient: str | None
    app_context: str | None = None
    user: str = USER


@dataclass
class SmartServer:
    """Signs in whoever uses the EHR at `base`, for the app at `app` (its public base address)."""

    base: str
    app: str
    now: Callable[[], datetime]
    secret: str | None = None
    """The app's secret, where it is a confidential client."""
    opened: dict[str, Opened] = field(default_factory=dict)
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP384R1()), repr=False
    )

    def launch_url(self, launch_page: str, opened: Opened) -> str:
        """Where the browser goes to open the app on what is open here."""
        handle = secrets.token_urlsafe(16)
        self.opened[handle] = opened
        return f"{launch_page}?{urlencode({'iss': self.base, 'launch': handle})}"

    def configuration(self) -> dict[str, Any]:
        """The discovery document."""
        return {
            "issuer": self.base,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "jwks_uri": f"{self.base}/jwks",
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["launch-ehr", "client-public", "sso-openid-connect"],
        }

    def keys(self) -> dict[str, Any]:
        """The public half of the key that signs calls and id_tokens."""
        signer = jwt.algorithms.get_default_algorithms()[_ALGORITHM]
        jwk = json.loads(signer.to_jwk(self.key.public_key()))
        return {"keys": [{**jwk, "kid": _KEY_ID, "use": "sig", "alg": _ALGORITHM}]}

    def authorize(self, asked: Mapping[str, str]) -> str:
        """Where to send the browser back to, with a code."""
        wanted = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": f"{self.app}/launch/callback",
            "aud": self.base,
            "code_challenge_method": "S256",
        }
        if any(asked.get(name) != value for name, value in wanted.items()):
            raise ValueError("not a request of the registered app")
        if asked.get("launch") not in self.opened or not asked.get("code_challenge"):
            raise ValueError("not a launch from here")
        code = secrets.token_urlsafe(16)
        self.codes[code] = dict(asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Exchange a code, once and only for whoever asked for it."""
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form.get("redirect_uri")
            or not self._is_the_app(form, authorization)
        ):
            raise ValueError("invalid_grant")
        opened = self.opened.pop(asked["launch"])
        answer = {
            "access_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": asked["scope"],
            "id_token": self.sign(self.claims(asked, opened)),
            "patient": opened.patient,
            "appContext": opened.app_context,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def claims(self, asked: Mapping[str, str], opened: Opened) -> dict[str, Any]:
        """What the id_token says."""
        return {
            "iss": self.base,
            "sub": opened.user,
            "aud": asked["client_id"],
            "nonce": asked["nonce"],
            "fhirUser": f"{self.base}/{opened.user}",
            "iat": self.now(),
            "exp": self.now() + _LIFE,
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token signed with the EHR's key."""
        head = {"kid": _KEY_ID, "typ": "JWT"}
        return jwt.encode(dict(claims), self.key, algorithm=_ALGORITHM, headers=head)

    def _is_the_app(self, form: Mapping[str, str], authorization: str | None) -> bool:
        if self.secret is None:
            return form.get("client_id") == CLIENT_ID
        pair = base64.b64encode(f"{CLIENT_ID}:{self.secret}".encode()).decode()
        return authorization == f"Basic {pair}"


@dataclass
class SignedCalls(httpx.Auth):
    """Signs each call of CDS Hooks as a registered client does."""

    server: SmartServer

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add a token for the address that is called."""
        now = self.server.now()
        claims = {
            "iss": self.server.base,
            "aud": str(request.url.copy_with(query=None)),
            "iat": now,
            "exp": now + _LIFE,
            "jti": str(uuid.uuid4()),
        }
        request.headers["Authorization"] = f"Bearer {self.server.sign(claims)}"
        yield request


def registration(server: SmartServer) -> dict[str, Any]:
    """The entry under `clients:` with which the service knows this EHR."""
    return {
        "id": "demo-hospital",
        "issuer": server.base,
        "jwks": server.keys(),
        "fhir_base": server.base,
        "reading": "lenient",
        "smart": {"client_id": CLIENT_ID, "worklist_users": [USER]},
    }


def smart_blueprint(server: Callable[[], SmartServer]) -> Blueprint:
    """The routes of the authorization server; `server` gives it once its address is known."""
    routes = Blueprint("smart", __name__, url_prefix="/fhir")

    @routes.get("/.well-known/smart-configuration")
    def configuration() -> dict[str, Any]:
        return server().configuration()

    @routes.get("/jwks")
    def jwks() -> dict[str, Any]:
        return server().keys()

    @routes.get("/authorize")
    def authorize() -> Response:
        try:
            return redirect(server().authorize(request.args), 302, Response)
        except ValueError as error:
            abort(400, str(error))

    @routes.post("/token")
    def token() -> Any:
        try:
            return server().token(request.form, request.headers.get("Authorization"))
        except ValueError:
            return {"error": "invalid_grant"}, 400

    return routes

"""Who looks at a page, and what they may see.

In the open loopback mode it is whoever sits at this machine. Where clients are registered it is a
person whom the client's EHR has signed in (`cds.web.smart`), or somebody with a link to one report
(`cds.web.signin_links`). The browser holds a random secret in a cookie that scripts cannot read;
everything else stands in the store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Response, g, request
from msgspec import Struct

from cds.services import Services
from cds.settings import ClientSettings, Limits
from cds.store import Session, StoredDecision
from cds.web.auth import Gate
from cds.web.auth.gate import LOOPBACK_CLIENT
from cds.web.auth.ratelimit import Crowd
from cds.web.errors import Refusal, refuse

_VISITOR = Limits(requests_per_second=10.0, burst=60)
_STRANGER = Limits(requests_per_second=2.0, burst=20)
_LONGEST_SECRET = 128
_LARGEST_FORM = 64 * 1024
"""Bytes of a form; a longer one would be put on the disk before anybody looks at it."""

_SIGN_IN = (
    "Open this page from the patient's chart in your EHR: follow the link of a card there. If you "
    "were signed in here before, that sign-in has ended."
)
_NO_SIGN_IN = (
    "Nobody can sign in to this service yet. An administrator can set up the launch from the EHR "
    "(`smart` of the client, see the guide “Open reports from the EHR”); until then a decision is "
    "read with `imatinib-tdm replay ID`."
)


class Visitor(Struct, frozen=True):
    """Somebody who looks at pages. `client` is None for whoever sits at this machine."""

    client: str | None
    user: str | None
    patient_key: str | None
    evaluation: str | None
    sees_all_patients: bool
    form_code: str
    """What a form of this visitor must carry: no other site can know it."""

    def may_see(self, decision: StoredDecision) -> bool:
        """Whether a decision is of this visitor's client, and there of a patient they opened."""
        if self.client is None:
            return True
        if decision.client != self.client:
            return False
        if self.evaluation is not None:
            return decision.evaluation == self.evaluation
        return self.sees_all_patients or (
            self.patient_key is not None and decision.patient_key == self.patient_key
        )


@dataclass
class Doorkeeper:
    """Lets visitors in, remembers them, and lets them go."""

    services: Services
    gate: Gate
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    _visitors: Crowd = field(default_factory=lambda: Crowd(_VISITOR))
    _strangers: Crowd = field(default_factory=lambda: Crowd(_STRANGER))

    @property
    def secure(self) -> bool:
        """Whether browsers reach this service by https."""
        return self.services.settings.public_base_url.startswith("https://")

    def admit(self) -> Visitor:
        """Return who looks at this page, or refuse in words that say what to do."""
        visitor = self._visitor()
        if visitor is None:
            raise self._not_signed_in()
        g.visitor = visitor
        return visitor

    def admit_form(self) -> Visitor:
        """Return who sent this form; one that another site made them send is refused."""
        visitor = self.admit()
        request.max_content_length = _LARGEST_FORM
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_own(origin):
            raise refuse(403, "form", "This form was sent from another site.", "Origin")
        code = request.form.get("form_code", "")
        if not secrets.compare_digest(code.encode("utf-8", "replace"), visitor.form_code.encode()):
            raise refuse(403, "form", "This form is too old. Load the page again and repeat.")
        return visitor

    def slow_down_strangers(self) -> None:
        """Refuse an address that tries the doors too often."""
        _wait(self._strangers, self._address(), self.services.clock.monotonic())

    def remember(self, response: Response, session: Session) -> Response:
        """Begin a session: under a new secret, in the place of whatever the browser held."""
        self._forget_presented()
        secret = self.new_secret()
        self.services.store.open_session(secret, session)
        self.set_cookie(response, self._name, secret, session.expires - session.created)
        return response

    def forget(self, response: Response) -> Response:
        """End the session here and in the browser."""
        self._forget_presented()
        self.drop_cookie(response, self._name)
        return response

    def set_cookie(self, response: Response, name: str, value: str, life: timedelta) -> None:
        """Set a cookie for this host alone. Lax: the EHR sends the browser here from elsewhere."""
        response.set_cookie(
            name,
            value,
            max_age=int(life.total_seconds()),
            secure=self.secure,
            httponly=True,
            samesite="Lax",
            path="/",
        )

    def drop_cookie(self, response: Response, name: str) -> None:
        """Take a cookie back."""
        response.delete_cookie(name, secure=self.secure, httponly=True, samesite="Lax", path="/")

    def cookie_name(self, name: str) -> str:
        """Under https the prefix lets no other host or plain address of the domain set it."""
        return f"__Host-{name}" if self.secure else name

    @property
    def _name(self) -> str:
        return self.cookie_name("tdm-session")

    def _address(self) -> str:
        """Where a request comes from; behind the site's own proxy, what that says last."""
        forwarded = request.headers.get("X-Forwarded-For", "")
        if forwarded and self.services.settings.server.behind_tls_proxy:
            return forwarded.rsplit(",", 1)[-1].strip()[:_LONGEST_SECRET]
        return request.remote_addr or ""

    def _visitor(self) -> Visitor | None:
        if self.gate.open_loopback:
            self.gate.admit(request, request.path)
            code = self.services.store.cipher.mac("form", LOOPBACK_CLIENT)
            return Visitor(None, None, None, None, sees_all_patients=True, form_code=code)
        secret = self._presented()
        if secret is None:
            return None
        services = self.services
        session = services.store.session(secret, services.clock.now())
        client = session and services.settings.client(session.client)
        if session is None or client is None or not _still_allowed(session, client):
            return None
        _wait(self._visitors, secret, services.clock.monotonic())
        all_of_them = client.smart.worklist_users if client.smart and session.user else ()
        return Visitor(
            client=session.client,
            user=session.user,
            patient_key=session.patient_key,
            evaluation=session.evaluation,
            sees_all_patients="*" in all_of_them or session.user in all_of_them,
            form_code=services.store.cipher.mac("form", secret),
        )

    def _presented(self) -> str | None:
        secret = request.cookies.get(self._name)
        return secret if secret and len(secret) <= _LONGEST_SECRET else None

    def _forget_presented(self) -> None:
        secret = self._presented()
        if secret is not None:
            self.services.store.close_session(secret)

    def _not_signed_in(self) -> Refusal:
        clients = self.services.settings.clients
        can = any(client.report_link != "none" for client in clients)
        return refuse(403, "sign-in", _SIGN_IN if can else _NO_SIGN_IN)

    def _is_own(self, origin: str) -> bool:
        own = urlsplit(self.services.settings.public_base_url)
        return origin in {f"{own.scheme}://{own.netloc}", request.host_url.rstrip("/")}


def _still_allowed(session: Session, client: ClientSettings) -> bool:
    """A session lasts no longer than the setting that allowed it."""
    return client.report_link == ("absolute" if session.evaluation is not None else "smart")


def _wait(crowd: Crowd, who: str, monotonic: float) -> None:
    wait = crowd.wait_for(who, monotonic)
    if wait > 0:
        refusal = refuse(429, "rate", "Too many requests; try again in a moment.")
        refusal.headers["Retry-After"] = str(max(1, round(wait)))
        raise refusal

"""SMART App Launch: the EHR opens the report of the patient whose chart is open.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch. `/launch` accepts the
registered EHRs alone and sends the browser there; it comes back to `/launch/callback` with a code.
Between the two, one random state stands in the store, bound to this browser by a cookie and used
once. The access token is not used and not kept: all that is wanted is who signs in and for whom.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NoReturn

import httpx
from flask import Blueprint, Response, redirect, request

from cds.store import Launch, Session
from cds.store.sessions import digest
from cds.telemetry import log
from cds.web.auth.keys import Fetch
from cds.web.errors import refuse
from cds.web.pages import refuse_in_words
from cds.web.signin import Doorkeeper
from cds.web.smart_ehr import Ehr, SignedIn, SignInFailed

_BACK = "/launch/callback"
_PATIENCE = timedelta(minutes=10)
_LONGEST = 3000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AGAIN = "Open the report from the patient's chart in your EHR again."

_WORDS: Mapping[str, tuple[int, str]] = {
    "issuer": (
        403,
        "This EHR is not registered here. An administrator registers its FHIR base as `fhir_base` "
        "of a client with `smart`.",
    ),
    "launch": (400, f"The EHR did not say what it has opened. {_AGAIN}"),
    "state": (403, f"This sign-in was used before, has ended, or began elsewhere. {_AGAIN}"),
    "declined": (403, f"The EHR did not allow the sign-in. {_AGAIN}"),
    "code-refused": (403, f"The EHR did not confirm the sign-in. {_AGAIN}"),
    "id-token": (403, f"The EHR did not prove who signs in. {_AGAIN}"),
    "nobody": (
        403,
        "The EHR did not say who signs in. An administrator allows this service the scopes openid "
        "and fhirUser there.",
    ),
    "not-a-professional": (403, "These pages are for health professionals."),
    "context": (404, f"The link named no evaluation of this service. {_AGAIN}"),
    "no-patient": (403, f"The EHR had no patient open. {_AGAIN}"),
    "no-evaluation": (
        404,
        "Nothing has been evaluated for this patient yet. Cards and reports appear when the chart "
        "is opened or an order is written.",
    ),
    "ehr-unreachable": (502, "The EHR cannot be reached at the moment. Try again in a minute."),
    "ehr-answer": (502, "The EHR gave an answer that cannot be used. An administrator finds the "
                   "problem in the log."),
    "ehr-endpoint": (
        502,
        "The EHR's authorization server is not where it is registered. An administrator adds its "
        "origin to `smart.origins` of the client if that is right.",
    ),
    "ehr-without-pkce": (502, "The EHR does not offer the secure sign-in (PKCE with S256)."),
    "own-key": (502, "This service cannot read its own secret. An administrator finds the problem "
                "in the log."),
}  # fmt: skip


def blueprint(
    door: Doorkeeper,
    fetch: Fetch,
    transport: httpx.BaseTransport | None = None,
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(48),
) -> Blueprint:
    """The two routes. `transport` replaces the network in tests."""
    routes = Blueprint("smart", __name__)
    services = door.services
    refuse_in_words(routes)
    ehrs = [
        Ehr(client, client.smart, fetch, transport, services.clock.monotonic)
        for client in services.settings.clients
        if client.smart is not None
    ]
    back_to = f"{services.settings.public_base_url}{_BACK}"

    @routes.get("/launch")
    def launch() -> Response:
        door.slow_down_strangers()
        issuer = request.args.get("iss", "").rstrip("/")
        ehr = next((ehr for ehr in ehrs if ehr.base == issuer), None)
        if ehr is None:
            _refuse("issuer")
        context = request.args.get("launch", "")
        if not 0 < len(context) <= _LONGEST:
            _refuse("launch", ehr)
        state, browser = new_secret(), new_secret()
        hidden = {"verifier": new_secret(), "nonce": new_secret()}
        try:
            there = ehr.authorize_url(launch=context, state=state, back_to=back_to, **hidden)
        except SignInFailed as failed:
            _refuse(failed.reason, ehr)
        now = services.clock.now()
        begun = Launch(ehr.client.id, digest(browser), now + _PATIENCE, hidden)
        services.store.begin_launch(state, begun, now)
        response = redirect(there, 302, Response)
        door.set_cookie(response, _cookie(state), browser, _PATIENCE)
        return response

    @routes.get(_BACK)
    def come_back() -> Response:
        door.slow_down_strangers()
        state = request.args.get("state", "")
        browser = request.cookies.get(_cookie(state), "")
        begun = services.store.take_launch(state) if 0 < len(state) <= _LONGEST else None
        now = services.clock.now()
        if (
            begun is None
            or begun.expires <= now
            or not secrets.compare_digest(digest(browser), begun.browser)
        ):
            _refuse("state")
        ehr = next((ehr for ehr in ehrs if ehr.client.id == begun.client), None)
        if ehr is None:
            _refuse("issuer")
        code = request.args.get("code", "")
        if "error" in request.args or not 0 < len(code) <= _LONGEST:
            _refuse("declined", ehr)
        try:
            signed_in = ehr.sign_in(code=code, back_to=back_to, now=now, **begun.secrets)
        except SignInFailed as failed:
            _refuse(failed.reason, ehr)
        response = door.remember(
            redirect(_where_to(ehr, signed_in), 303, Response), _session(ehr, signed_in)
        )
        door.drop_cookie(response, _cookie(state))
        log().info("signed-in", client=ehr.client.id, status=303)
        return response

    def _session(ehr: Ehr, signed_in: SignedIn) -> Session:
        now = services.clock.now()
        life = timedelta(minutes=ehr.smart.session_minutes)
        patient, client = signed_in.patient, ehr.client.id
        key = services.store.cipher.patient_key(client, patient) if patient else None
        return Session(client, signed_in.user, key, None, now, now + life)

    def _where_to(ehr: Ehr, signed_in: SignedIn) -> str:
        """The evaluation of the card, else the patient's newest; the page checks whose it is."""
        context, patient = signed_in.app_context, signed_in.patient
        if context is not None:
            if not _UUID.fullmatch(context):
                _refuse("context", ehr)
            return f"/evaluations/{context}"
        if patient is None:
            if _sees_all(ehr, signed_in.user):
                return "/worklist"
            _refuse("no-patient", ehr)
        newest = services.store.latest_evaluation(ehr.client.id, patient)
        if newest is None:
            _refuse("no-evaluation", ehr)
        return f"/evaluations/{newest}"

    def _cookie(state: str) -> str:
        """One for each sign-in, so that two windows do not disturb each other."""
        return door.cookie_name(f"tdm-launch-{digest(state)[:12]}")

    def _refuse(reason: str, ehr: Ehr | None = None) -> NoReturn:
        status, words = _WORDS[reason]
        services.metrics.rejected.labels(f"smart-{reason}").inc()
        client = ehr.client.id if ehr else None
        log().warning("sign-in-refused", client=client, problem=reason, status=status)
        raise refuse(status, f"smart-{reason}", words)

    return routes


def _sees_all(ehr: Ehr, user: str) -> bool:
    return bool({"*", user} & set(ehr.smart.worklist_users))

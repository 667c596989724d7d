"""Opening a report by its signed link, and signing out."""

from __future__ import annotations

import re

from flask import Blueprint, Response, redirect

from cds.store import CipherError, Session
from cds.telemetry import log
from cds.web.errors import refuse
from cds.web.pages import page, refuse_in_words
from cds.web.signin import Doorkeeper
from cds.web.signin_links import expiry_of

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blueprint(door: Doorkeeper) -> Blueprint:
    """The routes."""
    routes = Blueprint("signin", __name__)
    services = door.services
    refuse_in_words(routes)

    @routes.get("/evaluations/<evaluation>/open/<key>")
    def open_by_link(evaluation: str, key: str) -> Response:
        door.slow_down_strangers()
        session = _session(evaluation, key)
        if session is None:
            services.metrics.rejected.labels("report-link").inc()
            raise refuse(
                403, "report-link", "This link has ended or is not whole. Open the card again in "
                "your EHR and follow its link from there."
            )  # fmt: skip
        log().info("link-opened", client=session.client, evaluation=evaluation, status=303)
        # The key leaves the address bar, so that it is neither bookmarked nor copied from there.
        shown = redirect(f"/evaluations/{evaluation}", 303, Response)
        return door.remember(shown, session)

    @routes.post("/sign-out")
    def sign_out() -> Response:
        visitor = door.admit_form()
        if visitor.client is not None:
            log().info("signed-out", client=visitor.client, status=200)
        return door.forget(page("signed_out.html"))

    def _session(evaluation: str, key: str) -> Session | None:
        """What the link allows: this evaluation, until the link ends."""
        now = services.clock.now()
        try:
            stored = services.store.decision(evaluation) if _UUID.fullmatch(evaluation) else None
        except CipherError:
            stored = None  # written under another key: here it does not exist
        client = stored and services.settings.client(stored.client)
        if stored is None or client is None:
            return None
        expires = expiry_of(key, client, evaluation, services.store.cipher, now)
        if expires is None:
            return None
        return Session(client.id, None, None, evaluation, now, expires)

    return routes

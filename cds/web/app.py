"""Put the application together from the services it is given."""

from __future__ import annotations

import httpx
from flask import Flask

from cds.services import Services
from cds.settings import Limits
from cds.web import (
    board,
    cors,
    errors,
    evaluations,
    feedback,
    headers,
    hooks,
    ops,
    reports,
    rule_changes,
    rule_pages,
    signin_pages,
    smart,
    transparency,
    worklist,
)
from cds.web.auth import Gate, KeySource, TokenVerifier, fetch_keys
from cds.web.auth.gate import LOOPBACK_CLIENT
from cds.web.auth.keys import Fetch
from cds.web.auth.ratelimit import RateLimits
from cds.web.auth.tokens import RegisteredClient
from cds.web.signin import Doorkeeper


def create_app(
    services: Services, *, fetch: Fetch = fetch_keys, transport: httpx.BaseTransport | None = None
) -> Flask:
    """Build the WSGI application.

    `fetch` gets a key set from its registered address; `transport` replaces the network to the EHRs
    in which users sign in.
    """
    app = Flask("cds.web", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False  # who registers an address with a slash at its end is heard
    gate = _gate(services, fetch)
    door = Doorkeeper(services, gate)
    errors.register(app, services.metrics)
    cors.register(app, services.settings, open_loopback=gate.open_loopback)
    headers.register(app, services.settings)
    app.register_blueprint(hooks.blueprint(services, gate))
    app.register_blueprint(feedback.blueprint(services, gate))
    app.register_blueprint(ops.blueprint(services, gate))
    app.register_blueprint(board.blueprint(services, door))
    app.register_blueprint(rule_changes.blueprint(services, door))
    app.register_blueprint(rule_pages.blueprint(services, door))  # pages; text for programs follows
    app.register_blueprint(transparency.blueprint(services, gate))
    app.register_blueprint(reports.blueprint(services, door))  # pages; data for programs follow
    app.register_blueprint(evaluations.blueprint(services, door))
    app.register_blueprint(smart.blueprint(door, fetch, transport))
    app.register_blueprint(signin_pages.blueprint(door))
    app.register_blueprint(worklist.blueprint(services, door))
    return app


def _gate(services: Services, fetch: Fetch) -> Gate:
    settings = services.settings
    clock = services.clock
    limits: dict[str, Limits] = {client.id: client.limits for client in settings.clients}
    verifier = None
    if settings.clients:
        registered = [
            RegisteredClient(client, KeySource.from_settings(client, fetch))
            for client in settings.clients
        ]
        verifier = TokenVerifier(registered, services.store.use_token)
    else:
        limits[LOOPBACK_CLIENT] = settings.loopback_limits
    return Gate(
        settings,
        verifier,
        RateLimits(limits, settings.server.workers, clock.monotonic()),
        services.metrics,
        clock.now,
        clock.monotonic,
    )

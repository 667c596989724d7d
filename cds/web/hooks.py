"""Discovery and the hook calls (https://cds-hooks.hl7.org/2.0/#discovery)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cds.services import Services
from cds.services.answer import DataMissing, DeadlinePassed, LedgerUnavailable
from cds.telemetry import log
from cds.web.auth import Gate
from cds.web.body import read_json_object
from cds.web.errors import Issue, Refusal, json_response, refuse
from cds.web.reading import read_call
from cds.web.signin_links import with_signed_links

DISCOVERY = "/cds-services"


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The routes of the CDS service."""
    routes = Blueprint("hooks", __name__)

    @routes.get(DISCOVERY)
    def discovery() -> Response:
        gate.admit(request, DISCOVERY)
        return json_response({"services": [s.to_wire() for s in services.catalogue]})

    @routes.post(f"{DISCOVERY}/<service>")
    def call(service: str) -> Response:
        started = services.clock.monotonic()
        caller = gate.admit(request, f"{DISCOVERY}/{service}")
        hooks = {s.hook: s.prefetch_keys for s in services.catalogue if s.id == service}
        if not hooks:
            raise refuse(404, "unknown-service", "There is no service with this id.", "url")
        body = read_json_object(request, caller.body_bytes)
        hook_call = read_call(body, service=service, hooks=hooks, lenient=caller.lenient)
        for deviation in hook_call.deviations:
            services.metrics.deviations.labels(caller.id, deviation.code).inc()
        hook = hook_call.hook.value
        try:
            answered = services.answer(hook_call, caller, started=started)
        except DataMissing as missing:
            services.metrics.calls.labels(hook, "data-missing").inc()
            raise _data_missing(missing) from None
        except DeadlinePassed:
            services.metrics.calls.labels(hook, "deadline").inc()
            raise refuse(504, "deadline", "The answer was not ready in time.") from None
        except LedgerUnavailable:
            services.metrics.calls.labels(hook, "ledger").inc()
            raise refuse(
                503, "ledger", "The decision could not be recorded, so no advice is given."
            ) from None
        seconds = services.clock.monotonic() - started
        services.metrics.calls.labels(hook, answered.outcome).inc()
        services.metrics.latency.labels(hook).observe(seconds)
        log().info(
            "hook-answered",
            client=caller.id,
            hook=hook,
            status=200,
            evaluation=answered.evaluation,
            count=len(answered.response["cards"]),
            deviations=sorted({d.code for d in hook_call.deviations}),
            duration_ms=round(seconds * 1000, 1),
        )
        client = services.settings.client(caller.id)
        return json_response(
            with_signed_links(
                answered.response, client, services.store.cipher, services.clock.now()
            )
        )

    return routes


def _data_missing(missing: DataMissing) -> Refusal:
    """412: the data we must have were neither sent nor obtainable."""
    return Refusal(
        412,
        "data-missing",
        [Issue("required", m.why, f"prefetch.{m.key}") for m in missing.missing],
    )

"""The demo hospital's FHIR server: just enough to be read when it has told of a new level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from flask import Blueprint, Response, request

from cds.demo.compose import prefetch_for, resources_of

ENDPOINT = "demo-hospital-laboratory"


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells the service of a new result, as a server with a plain R4 Subscription does."""

    service: httpx.Client
    secret: str = field(repr=False)

    def tell(self, resource: Mapping[str, Any]) -> None:
        """Send the resource to the address that was subscribed."""
        self.service.post(
            f"/subscriptions/{ENDPOINT}",
            json=resource,
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Content-Type": "application/fhir+json",
            },
            auth=None,  # the secret of the channel, not the token of a hook call
        ).raise_for_status()


def alerts_file(fhir_base: str, secret: str) -> dict[str, Any]:
    """What the service is told of this server; alerts go to the built-in inbox alone."""
    server = {"id": "demo-hospital", "fhir_base": fhir_base, "endpoint": ENDPOINT,
              "secret": secret, "deliver": []}  # fmt: skip
    return {"servers": [server], "threads": 1}


def fhir_blueprint(bundles: Callable[[], Iterable[Mapping[str, Any]]]) -> Blueprint:
    """Read and search over the hospital's charts, each a Bundle of one patient. All synthetic."""
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")

    @routes.get("/<kind>/<identity>")
    def read(kind: str, identity: str) -> Any:
        for bundle in bundles():
            for resource in resources_of(bundle):
                if (resource["resourceType"], resource.get("id")) == (kind, identity):
                    return resource
        return _outcome(404)

    @routes.get("/<kind>")
    def search(kind: str) -> Any:
        wanted = (request.args.get("patient") or request.args.get("subject") or "").split("/")[-1]
        codes = {"code": request.args["code"]} if "code" in request.args else {}
        template = f"{kind}?{urlencode(codes)}"
        for bundle in bundles():
            patients = {r.get("id") for r in resources_of(bundle) if r["resourceType"] == "Patient"}
            if wanted and wanted in patients:
                found = prefetch_for(bundle, {"found": template})["found"]
                if found:
                    return found
        return {"resourceType": "Bundle", "type": "searchset", "total": 0}

    return routes


def _outcome(status: int) -> Response:
    body = '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}'
    return Response(body, status, content_type="application/fhir+json")

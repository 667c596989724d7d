"""What the service decides with, for everyone to read: nothing here concerns a patient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from cds.rulebook.page import index_page, rule_page
from cds.services import Services
from cds.services.dsi import source_attributes
from cds.services.knowledge_artifacts import DEVICE_ID, device, library, plan_definition
from cds.store.jsontext import encode
from cds.web.auth import Gate
from cds.web.auth.gate import refuse_strangers_to_loopback
from cds.web.errors import refuse

_FHIR = "application/fhir+json"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The routes of transparency."""
    routes = Blueprint("transparency", __name__)
    base = services.settings.public_base_url

    @routes.before_request
    def only_this_machine() -> None:
        if gate.open_loopback:
            refuse_strangers_to_loopback(request)

    @routes.get("/metadata/dsi")
    def dsi() -> Response:
        return _answer(source_attributes(services.knowledge), _JSON)

    @routes.get("/fhir/PlanDefinition")
    def plan_definitions() -> Response:
        rulebook = services.knowledge.rulebook
        return _bundle([plan_definition(rule, rulebook, base) for rule in rulebook.rules])

    @routes.get("/fhir/PlanDefinition/<rule_id>")
    def one_plan_definition(rule_id: str) -> Response:
        rulebook = services.knowledge.rulebook
        rule = _found(lambda: rulebook.rule(rule_id))
        return _answer(plan_definition(rule, rulebook, base), _FHIR)

    @routes.get("/fhir/Library")
    def libraries() -> Response:
        return _bundle([library(m, base) for m in services.knowledge.models.values()])

    @routes.get("/fhir/Library/<model_id>")
    def one_library(model_id: str) -> Response:
        return _answer(library(_found(lambda: services.knowledge.models[model_id]), base), _FHIR)

    @routes.get("/fhir/Device")
    def devices() -> Response:
        return _bundle([device(services.knowledge.rulebook)])

    @routes.get(f"/fhir/Device/{DEVICE_ID}")
    def one_device() -> Response:
        return _answer(device(services.knowledge.rulebook), _FHIR)

    @routes.get("/rules")
    def rules() -> Response:
        index = index_page(services.knowledge.rulebook)
        return _answer("\n".join([*services.rulebook_status(), "", index]), _TEXT)

    @routes.get("/rules/<rule_id>")
    def one_rule(rule_id: str) -> Response:
        rulebook = services.knowledge.rulebook
        rule = _found(lambda: rulebook.rule(rule_id.removesuffix(".md")))
        return _answer(rule_page(rulebook, rule), _TEXT)

    def _bundle(resources: list[dict[str, Any]]) -> Response:
        entries = [
            {
                "fullUrl": f"{base}/fhir/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ]
        found = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return _answer(found | ({"entry": entries} if entries else {}), _FHIR)

    return routes


def _answer(value: Any, content_type: str) -> Response:
    body = value.encode() if isinstance(value, str) else encode(value)
    response = Response(body, content_type=content_type)
    # The content changes only with the rulebook or the release: clients may ask whether it did.
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _found(find: Callable[[], Any]) -> Any:
    try:
        return find()
    except KeyError:
        raise refuse(404, "not-found", "There is nothing with this id.", "url") from None

"""The rules in the browser: find one, read it whole. Nothing here concerns a patient."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, make_response, request

from cds.report import rule_view
from cds.services import Services
from cds.web.auth import Gate
from cds.web.auth.gate import refuse_strangers_to_loopback
from cds.web.errors import refuse
from cds.web.pages import page, refuse_in_words, wants_text

_LONGEST_SEARCH = 200


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The pages of rules. Register them before the routes that give the same address as text."""
    routes = Blueprint("rule_pages", __name__)
    refuse_in_words(routes)

    @routes.before_request
    def only_this_machine() -> None:
        if gate.open_loopback:
            refuse_strangers_to_loopback(request)

    @routes.get("/rules")
    def rules() -> Response:
        if wants_text():
            return _as_text("transparency.rules")
        rulebook = services.knowledge.rulebook
        search = rule_view.Search(
            text=request.args.get("q", "")[:_LONGEST_SEARCH],
            group=request.args.get("group", ""),
            status=request.args.get("status", ""),
        )
        found = rule_view.groups(rulebook, search)
        return page(
            "rules.html",
            rulebook=rulebook,
            rulebook_status=services.rulebook_status(),
            search=search,
            groups=found,
            count=sum(len(group.rules) for group in found),
            group_names=rule_view.group_names(rulebook),
            statuses=rule_view.statuses(),
            signed=sum(bool(rule.approvals) for rule in rulebook.rules),
        )

    @routes.get("/rules/<rule_id>")
    def rule(rule_id: str) -> Response:
        if wants_text() or rule_id.endswith(".md"):
            return _as_text("transparency.one_rule", rule_id)
        rulebook = services.knowledge.rulebook
        try:
            view = rule_view.rule_view(rulebook, rule_id, services.clock.now().date())
        except KeyError:
            raise refuse(404, "not-found", "There is no rule with this id.", "url") from None
        return page(
            "rule.html", rulebook=rulebook, view=view, rule=view.rule, expected=rule_view.expected
        )

    return routes


def _as_text(endpoint: str, *arguments: str) -> Response:
    answer: Any = current_app.view_functions[endpoint](*arguments)
    return make_response(answer)

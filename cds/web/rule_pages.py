"""The rules in the browser: find one, read it whole. Nothing here concerns a patient."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, make_response, request

from cds.report import board, rule_view
from cds.services import Services
from cds.services.revisions import Revisions
from cds.store import RuleFigures
from cds.web.auth.gate import refuse_strangers_to_loopback
from cds.web.board_access import BoardReader, board_reader_or_none
from cds.web.errors import refuse
from cds.web.pages import page, refuse_in_words, wants_text
from cds.web.signin import Doorkeeper

_LONGEST_SEARCH = 200
_WEEKS = 26


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The pages of rules. Register them before the routes that give the same address as text."""
    routes = Blueprint("rule_pages", __name__)
    refuse_in_words(routes)
    revisions = Revisions(services)

    @routes.before_request
    def only_this_machine() -> None:
        if door.gate.open_loopback:
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
            source=request.args.get("source", ""),
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
            source_names=rule_view.source_names(rulebook),
            unverified=rule_view.unverified,
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
        reader = board_reader_or_none(door)
        return page(
            "rule.html",
            rulebook=rulebook,
            view=view,
            rule=view.rule,
            expected=rule_view.expected,
            figures=_figures(rule_id, reader) if reader else (),
            changes=revisions.of_rule(rule_view.file_name(rulebook, view.rule)),
            reader=reader,
            weeks=_WEEKS,
        )

    def _figures(rule_id: str, reader: BoardReader) -> tuple[RuleFigures, ...]:
        """What became of the rule lately: for one that is tried out, how often it would speak."""
        shown = board.window(_WEEKS, services.clock.now().date(), reader.client)
        return services.store.figures(shown, rule_id).rules

    return routes


def _as_text(endpoint: str, *arguments: str) -> Response:
    answer: Any = current_app.view_functions[endpoint](*arguments)
    return make_response(answer)

"""The safety board: figures of each rule, control charts, and what users wrote."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, request

from cds.report import board as view
from cds.report import rule_view
from cds.report.control_chart import ControlChart
from cds.report.plots import Shape
from cds.report.plots.control import control_picture, describe
from cds.services import Services
from cds.store import Comment, Week, Window
from cds.telemetry import log
from cds.web.board_access import BoardReader, board_reader
from cds.web.errors import refuse
from cds.web.pages import page, refuse_in_words
from cds.web.signin import Doorkeeper

_DEFAULT_WEEKS = 26
_MOST_COMMENTS = 1000
_LONGEST_SEARCH = 200
SYNTHETIC_CLIENT = "synthetic"
"""The demo's invented past stands under this client."""


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The pages, pictures and files of the board."""
    routes = Blueprint("board", __name__)
    refuse_in_words(routes)

    @routes.get("/board")
    def board() -> Response:
        reader, shown = _asked()
        laid_out = _laid_out(shown)
        rulebook = services.knowledge.rulebook
        return page(
            "board.html",
            board=laid_out,
            reader=reader,
            window=shown,
            weeks=_weeks_asked(),
            choices=view.WINDOWS,
            group=request.args.get("group", ""),
            group_names=rule_view.group_names(rulebook),
            reasons=view.reasons(laid_out.figures.rules, view.reason_names(rulebook)),
            invented=laid_out.figures.clients.get(SYNTHETIC_CLIENT, 0),
        )

    @routes.get("/board/rules/<rule_id>")
    def one_rule(rule_id: str) -> Response:
        reader, shown = _asked()
        rulebook = services.knowledge.rulebook
        weeks, laid_out = _of_rule(rule_id, shown)
        return page(
            "board_rule.html",
            rule_id=rule_id,
            rule=next((rule for rule in rulebook.rules if rule.id == rule_id), None),
            rows=laid_out.rows,
            signals=laid_out.signals,
            totals=laid_out.totals,
            reader=reader,
            window=shown,
            weeks=_weeks_asked(),
            choices=view.WINDOWS,
            charts=_charts_of(rule_id, laid_out),
            by_week=[week for week in weeks if week.begins >= shown.first],
            reasons=view.reasons(laid_out.figures.rules, view.reason_names(rulebook)),
            missing=view.missing(laid_out.figures.rules),
            invented=laid_out.figures.clients.get(SYNTHETIC_CLIENT, 0),
        )

    @routes.get("/board/rules/<rule_id>/<name>.svg")
    def picture(rule_id: str, name: str) -> Response:
        _, shown = _asked()
        if name not in view.CHARTS:
            raise refuse(404, "not-found", "There is no such picture.", "url")
        weeks, laid_out = _of_rule(rule_id, shown)
        svg = control_picture(
            laid_out.charts.get((rule_id, name), ControlChart(())),
            view.markers(laid_out.figures, weeks),
            name=f"control-{name}",
            title=f"{rule_id}: {view.CHARTS[name]}",
            says=view.SAYS[name],
            shape=Shape.NARROW if request.args.get("shape") == Shape.NARROW else Shape.WIDE,
        )
        if svg is None:
            raise refuse(404, "not-found", "There is nothing to draw of this rule.", "url")
        return Response(svg, content_type="image/svg+xml; charset=utf-8")

    @routes.get("/board/figures.csv")
    def figures_file() -> Response:
        _, shown = _asked()
        return _download(view.as_csv(_laid_out(shown)), "rule-figures.csv")

    @routes.get("/board/weeks.csv")
    def weeks_file() -> Response:
        _, shown = _asked()
        return _download(view.weeks_as_csv(services.store.weeks(shown)), "rule-weeks.csv")

    @routes.post("/board/comments")
    def comments() -> Response:
        """Asked by a form that is posted: what is searched for may itself name a patient."""
        reader = board_reader(door, form=True)
        shown = view.window(_weeks_asked(), _today(), reader.client)
        if not reader.comments:
            raise refuse(403, "comments", "Comments are shown only to those who may read them.")
        text = request.form.get("q", "")[:_LONGEST_SEARCH]
        rule = request.form.get("rule", "")[:_LONGEST_SEARCH]
        read = services.store.comments(shown, _MOST_COMMENTS)
        found = view.found(read, text, rule)
        log().info("comments-read", client=reader.name, count=len(found), status=200)
        return page(
            "board_comments.html",
            text=text,
            rule_id=rule,
            found=found,
            read=len(read),
            most=_MOST_COMMENTS,
            window=shown,
            weeks=_weeks_asked(),
            reason_of=_reason_of(view.reason_names(services.knowledge.rulebook)),
            invented_client=SYNTHETIC_CLIENT,
        )

    def _asked() -> tuple[BoardReader, Window]:
        reader = board_reader(door)
        return reader, view.window(_weeks_asked(), _today(), reader.client)

    def _today() -> date:
        return services.clock.now().date()

    def _laid_out(shown: Window) -> view.Board:
        store, rulebook = services.store, services.knowledge.rulebook
        return view.board(store.figures(shown), store.weeks(view.before(shown)), shown, rulebook)

    def _of_rule(rule_id: str, shown: Window) -> tuple[list[Week], view.Board]:
        store, rulebook = services.store, services.knowledge.rulebook
        weeks = store.weeks(view.before(shown), rule_id)
        figures = store.figures(shown, rule_id)
        if not figures.rules and all(rule.id != rule_id for rule in rulebook.rules):
            raise refuse(404, "not-found", "No rule with this id was asked.", "url")
        return weeks, view.board(figures, weeks, shown, rulebook)

    return routes


def _weeks_asked() -> int:
    text = request.values.get("weeks", "")
    if not text:
        return _DEFAULT_WEEKS
    if text not in {str(weeks) for weeks in view.WINDOWS}:
        choices = ", ".join(str(weeks) for weeks in view.WINDOWS)
        raise refuse(400, "weeks", f"weeks: choose one of {choices}.", "query")
    return int(text)


def _charts_of(rule_id: str, laid_out: view.Board) -> list[dict[str, Any]]:
    """Address and words of each control chart of a rule that has a week to show."""
    found = []
    for name in view.CHARTS:
        chart = laid_out.charts.get((rule_id, name))
        if chart is None or not chart.points:
            continue
        address = f"/board/rules/{rule_id}/{name}.svg?weeks={_weeks_asked()}"
        found.append(
            {
                "title": {"fired": "How often it fired", "undecided": "How often it could not "
                          "decide"}[name],
                "words": describe(chart, view.SAYS[name]),
                "judged": chart.judged,
                "wide": address,
                "narrow": f"{address}&shape=narrow",
            }
        )  # fmt: skip
    return found


def _reason_of(names: dict[tuple[str, str], str]) -> Any:
    def words(comment: Comment) -> str:
        return names.get(comment.reason, comment.reason[1]) if comment.reason else ""

    return words


def _download(body: str, name: str) -> Response:
    response = Response(body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

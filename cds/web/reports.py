"""The level report behind the link of each card, with its pictures and files.

It holds patient data: `cds.web.signin` says who may see which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, make_response, request

from cds.report import Shape, WhatIf, WhatIfError, imagine, level_report, picture, read_what_if
from cds.report.diagnostic_report import diagnostic_report
from cds.report.export import as_csv, as_json
from cds.report.plots import FIGURES
from cds.report.what_if import REASONS, Imagined
from cds.services import Services
from cds.telemetry import log
from cds.web.errors import refuse
from cds.web.looks import note
from cds.web.pages import page, refuse_in_words, wants_data
from cds.web.recall import NotRecalled, Recall, Recalled
from cds.web.signin import Doorkeeper

_FILES = {
    "report.json": ("application/json", as_json),
    "report.csv": ("text/csv; charset=utf-8", as_csv),
}


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The routes of the report. Register them before those that answer the same address as data."""
    routes = Blueprint("reports", __name__, static_folder="static", static_url_path="/static")
    recall = Recall(services)
    refuse_in_words(routes)

    @routes.get("/evaluations/<evaluation>")
    def report(evaluation: str) -> Response:
        if wants_data():  # the record of the decision, for programs
            answer: Any = current_app.view_functions["evaluations.evaluation"](evaluation)
            return make_response(answer)
        recalled = _recalled(evaluation, "report")
        question = _question()
        imagined = _imagined(recalled, question) if question.asked else None
        knowledge, assessment = recalled.knowledge, recalled.assessment
        log().info("report-shown", evaluation=evaluation, client=recalled.stored.client, status=200)
        return page(
            "report.html",
            evaluation=evaluation,
            recalled=recalled,
            report=level_report(assessment, knowledge.rulebook, imagined),
            original=level_report(assessment, knowledge.rulebook) if imagined else None,
            question=question,
            imagined=imagined,
            figures=_figures(evaluation, imagined, recalled),
            reasons=REASONS,
        )

    @routes.get("/evaluations/<evaluation>/<figure>.svg")
    def drawn(evaluation: str, figure: str) -> Response:
        recalled = _recalled(evaluation)
        if figure not in FIGURES:
            raise refuse(404, "not-found", "There is no such picture.", "url")
        question = _question()
        imagined = _imagined(recalled, question)
        narrow = request.args.get("shape") == Shape.NARROW
        svg = picture(
            imagined.assessment,
            figure,
            shape=Shape.NARROW if narrow else Shape.WIDE,
            imagined=imagined.option,
            sample_h=question.sample_h,
        )
        if svg is None:
            raise refuse(404, "not-found", "This evaluation has nothing to draw here.", "url")
        return Response(svg, content_type="image/svg+xml; charset=utf-8")

    @routes.get("/evaluations/<evaluation>/<any('report.json', 'report.csv'):name>")
    def file(evaluation: str, name: str) -> Response:
        recalled = _recalled(evaluation, name)
        content_type, write = _FILES[name]
        body = write(level_report(recalled.assessment, recalled.knowledge.rulebook))
        return _download(body, content_type, f"level-{name}")

    @routes.get("/evaluations/<evaluation>/diagnostic-report.json")
    def fhir(evaluation: str) -> Response:
        recalled = _recalled(evaluation, "diagnostic-report.json")
        report = level_report(recalled.assessment, recalled.knowledge.rulebook)
        body = json.dumps(diagnostic_report(report, evaluation), ensure_ascii=False, indent=2)
        return _download(body, "application/fhir+json", "diagnostic-report.json")

    def _recalled(evaluation: str, shown: str | None = None) -> Recalled:
        """The evaluation; that it is `shown` is recorded (of a page's pictures it was already)."""
        visitor = door.admit()
        try:
            found = recall.find(evaluation, visitor.may_see)
        except NotRecalled as why:
            status, reason = (404, "not-found") if why.gone else (410, "not-recalled")
            raise refuse(status, reason, str(why), "url") from None
        if shown is not None:
            note(services, visitor, shown, evaluation)
        return found

    return routes


def _question() -> WhatIf:
    try:
        return read_what_if(request.args, request.args.getlist("leave-out"))
    except WhatIfError as error:
        raise refuse(400, "what-if", str(error), "query") from None


def _imagined(recalled: Recalled, question: WhatIf) -> Imagined:
    knowledge = recalled.knowledge
    try:
        return imagine(recalled.assessment, question, knowledge.rulebook, knowledge.models)
    except WhatIfError as error:
        raise refuse(400, "what-if", str(error), "query") from None


def _figures(
    evaluation: str, imagined: Imagined | None, recalled: Recalled
) -> list[dict[str, Any]]:
    """Address and words of each picture this evaluation has."""
    shown = imagined.assessment if imagined else recalled.assessment
    asked = _query(imagined.question) if imagined else {}
    found = []
    for name in FIGURES:
        if not FIGURES[name].can_draw(shown):
            continue
        address = f"/evaluations/{evaluation}/{name}.svg"
        found.append(
            {
                "name": name,
                "title": FIGURES[name].title,
                "words": FIGURES[name].words(shown, imagined.option if imagined else None),
                "wide": f"{address}?{urlencode(asked, doseq=True)}",
                "narrow": f"{address}?{urlencode({**asked, 'shape': 'narrow'}, doseq=True)}",
            }
        )
    return found


def _query(question: WhatIf) -> Mapping[str, Any]:
    """The question as the fields of its form."""
    fields = {
        "dose": question.amount_mg,
        "every": question.interval_h,
        "sample": question.sample_h,
        "leave-out": list(question.left_out),
        "reason": question.reason if question.left_out else None,
    }
    return {name: value for name, value in fields.items() if value}


def _download(body: str, content_type: str, name: str) -> Response:
    response = Response(body, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

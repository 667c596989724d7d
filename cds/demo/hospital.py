"""A small hospital in the browser: open a chart, order, see the cards, accept or override.

It is an EHR of its own on another port, with a FHIR server under `/fhir`. All it knows of the
decision support service is CDS Hooks, subscriptions, and SMART launches.
Everything is synthetic, on this machine, and forgotten when the demo ends.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from mimetypes import guess_type
from pathlib import Path
from typing import Any, NoReturn

import httpx
from flask import Flask, Response, abort, redirect, render_template, request, url_for
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from cds.demo import supply as supplies
from cds.demo.fhir import Notifier
from cds.demo.hospital_desk import Chart, Hospital
from cds.demo.hospital_fhir import Records, Refusal, fhir_blueprint
from cds.demo.hospital_orders import dosing_of, name_of
from cds.demo.smart import Opened, SignedCalls, SmartServer, smart_blueprint
from cds.demo.stories import Story
from cds.demo.supply import PATHS, SLOW_S, Sent, Server, Supply

_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_MOST_MG = 5000.0
_MOST_NG_ML = 20000.0
_LONGEST_H = 72.0
_HOST = "127.0.0.1"
_PATIENCE_S = 30.0
_ACTS = "open, select, review, sign, accept, override, level, amend, withdraw"
_KEPT = ("medicine", "amount", "sent", "server")
"""Fields of the order form that stay as they were chosen."""
_STATIC = {path.name: path.read_bytes() for path in (Path(__file__).parent / "static").iterdir()}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def create_hospital(
    stories: Sequence[Story],
    service: httpx.Client,
    now: Any = None,
    *,
    smart: SmartServer | None = None,
    notifier: Notifier | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Flask:
    """Build the hospital; `service` is a client whose base address is the service.

    With `smart` it is a registered EHR that opens reports by a launch; with a `notifier` its
    laboratory tells the service of new levels. `pause` is how its slow FHIR server waits.
    """
    app = Flask("cds.demo", static_folder=None)
    now = now or (lambda: datetime.now().astimezone())
    tell = notifier.tell if notifier else None
    hospital = Hospital(stories, service, now, tell)
    _register_records(app, Records(hospital), pause)
    app.jinja_env.filters["markdown"] = _markdown
    app.jinja_env.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    app.jinja_env.globals.update(name_of=name_of, dosing_of=dosing_of, supplies=supplies)
    # What a registered client reads must be served by https, and nothing here is.
    _register(app, hospital, names_server=smart is None)
    _register_launches(app, hospital, smart, str(service.base_url).rstrip("/"))
    if smart is not None:
        app.register_blueprint(smart_blueprint(lambda: smart))

    @app.before_request
    def only_own_pages() -> None:
        if request.method == "POST":
            origin = request.headers.get("Origin")
            if origin is not None and origin != request.host_url.rstrip("/"):
                abort(403)

    @app.get("/static/<filename>", endpoint="static")
    def static(filename: str) -> Response:
        # From memory: werkzeug's server leaves a file open when a browser goes away meanwhile.
        if filename not in _STATIC:
            abort(404)
        return Response(_STATIC[filename], content_type=guess_type(filename)[0])

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(httpx.TransportError)
    def unreachable(_error: httpx.TransportError) -> tuple[str, int]:
        return render_template("unreachable.html"), 502

    return app


@contextmanager
def running_hospital(
    stories: Sequence[Story],
    service_url: str,
    port: int = 0,
    *,
    smart: SmartServer | None = None,
    secret: str | None = None,
) -> Iterator[str]:
    """Serve the hospital on loopback until the block ends; yields its address.

    `secret` is that of the channel on which its laboratory tells of new levels.
    """
    auth = SignedCalls(smart) if smart else None
    with httpx.Client(
        base_url=service_url, timeout=_PATIENCE_S, trust_env=False, auth=auth
    ) as client:
        notifier = Notifier(client, secret) if secret else None
        app = create_hospital(stories, client, smart=smart, notifier=notifier)
        server = hospital_server(app, port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{_HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def hospital_server(app: Flask, port: int) -> BaseWSGIServer:
    """Return a server on loopback that is ready to run; port 0 takes a free one."""
    return make_server(_HOST, port, app, threaded=True, request_handler=_Quiet)


class _Quiet(WSGIRequestHandler):
    """Keeps no access log: addresses name patients, and the terminal is for what to do next."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _markdown(text: str) -> Markup:
    """Return a card's detail as HTML: CommonMark with tables, in which HTML stays text.

    The alignment of a column comes as an inline style, which the pages forbid; a class says it.
    """
    parsed = _MARKDOWN.parse(text)
    for token in parsed:
        if "right" in str(token.attrs.pop("style", "")):
            token.attrs["class"] = "number"
    return Markup(_MARKDOWN.renderer.render(parsed, _MARKDOWN.options, {}))  # noqa: S704


def _register_records(app: Flask, records: Records, pause: Callable[[float], None]) -> None:
    """The same records thrice: well served, slowly, and not at all."""

    def wait() -> None:
        pause(SLOW_S)

    def fail() -> None:
        raise Refusal(503)

    app.register_blueprint(fhir_blueprint(records, PATHS[Server.ANSWERS]))
    app.register_blueprint(fhir_blueprint(records, PATHS[Server.SLOW], wait))
    app.register_blueprint(fhir_blueprint(records, PATHS[Server.FAILING], fail))


def _register(app: Flask, hospital: Hospital, *, names_server: bool) -> None:
    """The pages: every change is a POST that ends in a redirect, so that reloading repeats none."""

    @app.get("/")
    def patients() -> str:
        return render_template("patients.html", charts=hospital.charts.values())

    @app.get("/patients/<story>")
    def chart(story: str) -> str:
        found = _chart(story)
        if found.exchange is None:
            found = hospital.reopen(story)
        return render_template(
            "chart.html",
            chart=found,
            products=hospital.products.values(),
            story=found.story,
            chosen=_supply(request.args),
            names_server=names_server,
            subscribed=hospital.is_subscribed,
        )

    @app.post("/patients/<story>/<any(" + _ACTS + "):act>")
    def act(story: str, act: str) -> Any:
        found, form = _chart(story), request.form
        again: dict[str, Any] = {}
        match act:
            case "open":
                hospital.reopen(story)
            case "select":
                again = {name: form[name] for name in _KEPT if name in form}
                supply = _supply(form, request.host_url.rstrip("/") if names_server else "")
                product = hospital.products.get(form.get("medicine", "")) or _bad("medicine")
                amount = _number(form.get("amount"), _MOST_MG)
                per_day = int(_number(form.get("per_day"), 4))
                hospital.select(found, product, amount, per_day, supply)
            case "review":
                hospital.review(found)
            case "sign":
                hospital.sign(found)
            case "accept":
                hospital.accept(found, _shown(found), form.get("suggestion", ""))
            case "override":
                comment = form.get("comment", "").strip()[:500]
                hospital.override(found, _shown(found), form.get("reason", ""), comment)
            case "amend":
                ng_ml = _number(form.get("ng_ml"), _MOST_NG_ML)
                hospital.amend(found, _standing(found), ng_ml)
            case "withdraw":
                hospital.withdraw(found, _standing(found))
            case _:
                ng_ml = _number(form.get("ng_ml"), _MOST_NG_ML)
                hospital.file_level(found, ng_ml, _number(form.get("hours"), _LONGEST_H))
        # The choice stays in this visitor's address and nowhere else.
        return redirect(url_for("chart", story=story, _anchor="cards", **again), code=303)

    def _chart(story: str) -> Chart:
        return hospital.charts.get(story) or abort(404)

    def _standing(found: Chart) -> Mapping[str, Any]:
        levels = {one["id"]: one for one in found.levels if one["status"] != "entered-in-error"}
        return levels.get(request.form.get("level", "")) or abort(409)

    def _shown(found: Chart) -> str:
        card = request.form.get("card", "")
        if all(shown["uuid"] != card for shown in found.cards):
            abort(409)  # the card left the screen in another window
        return card


def _register_launches(
    app: Flask, hospital: Hospital, smart: SmartServer | None, service: str
) -> None:
    """What opens in the service: by a launch where the hospital is registered, else directly."""

    @app.get("/patients/<story>/report/<card>")
    def report(story: str, card: str) -> Any:
        chart = hospital.charts.get(story) or abort(404)
        shown = next((c for c in chart.cards if c["uuid"] == card), None) or abort(404)
        link = next((one for one in shown.get("links", ()) if one.get("type") == "smart"), None)
        if smart is None or link is None or link["url"] != f"{service}/launch":
            abort(404)
        opened = Opened(chart.patient_id, link.get("appContext"))
        return redirect(smart.launch_url(link["url"], opened), code=303)

    @app.get("/worklist")
    def worklist() -> Any:
        page = f"{service}/worklist"
        if smart is not None:
            page = smart.launch_url(f"{service}/launch", Opened(None))
        return redirect(page, code=303)


def _supply(chosen: Mapping[str, str], at: str = "") -> Supply:
    try:
        return Supply(
            Sent(chosen.get("sent", Sent.ALL)), Server(chosen.get("server", Server.ANSWERS)), at
        )
    except ValueError:
        return _bad("sent or server")


def _number(text: str | None, most: float) -> float:
    try:
        value = float((text or "").replace(",", "."))
    except ValueError:
        value = 0.0
    return value if 0.0 < value <= most else _bad("number")


def _bad(field: str) -> NoReturn:
    abort(400, f"{field} cannot be used")

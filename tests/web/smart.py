"""An EHR with an authorization server of its own, and a browser that goes through it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from cds.demo.smart import Opened, SmartServer, registration, smart_blueprint
from cds.services import Services
from cds.web import create_app
from tests.web.fakes import FakeClock
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS
from tests.web.tokens import BASE, claims, ec_key, sign

ELSEWHERE = "https://elsewhere.example.org/r4"
"""The FHIR base of another client, south."""
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@dataclass
class Mischief:
    """What this EHR does wrongly; nothing by default."""

    configuration: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    id_token: Callable[[Mapping[str, Any]], str] | None = None
    token_response: Response | None = None


@dataclass
class NaughtyServer(SmartServer):
    """The demo hospital's server, told to misbehave; it remembers what it was asked."""

    mischief: Mischief = field(default_factory=Mischief)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)

    def configuration(self) -> dict[str, Any]:
        changed = super().configuration() | self.mischief.configuration
        return {name: value for name, value in changed.items() if value is not ...}

    def claims(self, asked: Mapping[str, str], opened: Opened) -> dict[str, Any]:
        changed = super().claims(asked, opened) | self.mischief.claims
        return {name: value for name, value in changed.items() if value is not ...}

    def sign(self, claims: Mapping[str, Any]) -> str:
        return self.mischief.id_token(claims) if self.mischief.id_token else super().sign(claims)

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        self.forms.append({**form, "Authorization": authorization or ""})
        return super().token(form, authorization) | self.mischief.answer


@contextmanager
def running_ehr(clock: FakeClock, app: str = BASE) -> Iterator[NaughtyServer]:
    """Serve the EHR on loopback until the block ends."""
    site = Flask("tests.web.smart")
    http = make_server("127.0.0.1", 0, site, threaded=True)
    ehr = NaughtyServer(f"http://127.0.0.1:{http.server_port}/fhir", app, lambda: clock.now)
    site.register_blueprint(smart_blueprint(lambda: ehr))

    @site.before_request
    def remember() -> Response | None:
        ehr.asked.append(request.path.removeprefix("/fhir/"))
        if request.path.endswith("/token"):
            return ehr.mischief.token_response
        return None

    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield ehr
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@dataclass
class Journey:
    """One browser on its way from the EHR to a report, step by step."""

    browser: FlaskClient
    ehr: NaughtyServer

    def launch(self, patient: str | None = "p-1", **opened: Any) -> TestResponse:
        """The EHR opens the app: the first answer sends the browser to sign in."""
        url = self.ehr.launch_url(f"{BASE}/launch", Opened(patient, **opened))
        return self.get(url)

    def authorize(self, sent: TestResponse) -> str:
        """The user agrees: the address the EHR sends the browser back to."""
        assert sent.status_code == 302, sent.text
        answer = httpx.get(sent.headers["Location"], follow_redirects=False, trust_env=False)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["Location"])

    def sign_in(self, patient: str | None = "p-1", **opened: Any) -> TestResponse:
        """All of it; the answer leads to the report, or says why not."""
        return self.get(self.authorize(self.launch(patient, **opened)))

    def get(self, url: str, **options: Any) -> TestResponse:
        """A page, as a browser asks for it."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        options.setdefault("headers", {"Accept": HTML})
        return self.browser.get(path, base_url=BASE, **options)

    def post(self, path: str, **form: str) -> TestResponse:
        """A form, as a browser sends it."""
        return self.browser.post(path, base_url=BASE, data=form, headers={"Accept": HTML})


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def registered(ehr: SmartServer, **smart: Any) -> dict[str, Any]:
    """The client that this EHR is, under the name of most tests."""
    entry = registration(ehr)
    chosen = {"client_id": entry["smart"]["client_id"], **smart}
    return entry | {"id": "north", "smart": chosen}


class Hospital:
    """The service with two registered clients, and evaluations of their patients."""

    def __init__(self, services: Services, ehr: NaughtyServer, clock: FakeClock) -> None:
        self.services, self.ehr, self.clock = services, ehr, clock
        self.app = create_app(services)

    def journey(self) -> Journey:
        """A browser of its own."""
        return Journey(self.app.test_client(), self.ehr)

    def cards(self, patient: str = "p-1", client: str = "north") -> list[dict[str, Any]]:
        """What the EHR shows for an order of this patient."""
        request = json.loads(json.dumps(concerned_request()).replace("p-1", patient))
        issuer = self.ehr.base if client == "north" else ELSEWHERE
        payload = claims(ORDERS, self.clock.now, iss=issuer)
        token = self.ehr.sign(payload) if client == "north" else sign(ec_key(), payload)
        self.ehr.mischief.id_token, kept = None, self.ehr.mischief.id_token
        answer = self.app.test_client().post(
            ORDERS, json=request, headers={"Authorization": f"Bearer {token}"}
        )
        self.ehr.mischief.id_token = kept
        assert answer.status_code == 200, answer.text
        return answer.get_json()["cards"]

    def evaluation(self, patient: str = "p-1", client: str = "north") -> str:
        """Evaluate a patient; the id."""
        card = self.cards(patient, client)[0]
        return card["extension"]["org.imatinib-tdm.evaluation"]["evaluationId"]

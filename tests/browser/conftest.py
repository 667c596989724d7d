"""Service and demo hospital on loopback, and a real Chromium that looks at them.

There is no skip: where no Chromium is found, the tests fail and say what to install.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from cds.alerts import AlertServices, attach
from cds.content import examples_dir, rules_dir
from cds.demo.fhir import Notifier, alerts_file
from cds.demo.history import invent_history
from cds.demo.hospital import create_hospital, hospital_server
from cds.demo.play import play
from cds.demo.smart import SignedCalls, SmartServer, registration
from cds.demo.stories import load_stories
from cds.services import build_services, open_store
from cds.services.clock import Clock
from cds.services.knowledge import load_knowledge
from cds.services.warmup import warm_up
from cds.settings import ClientSettings, Settings
from cds.store import Store
from cds.store.migrate import upgrade
from cds.web import create_app

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
OUTPUT = Path(__file__).parents[2] / "test-output" / "screenshots"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Watched:
    """A page, and everything it asked for or complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """No error on the console, and nothing asked for beyond this machine."""
        assert self.complaints == []
        hosts = {urlsplit(url).hostname for url in self.requests if not url.startswith("data:")}
        assert hosts <= {"127.0.0.1"}

    def picture(self, name: str, height: int | None = None) -> None:
        """Keep the page as it looks: all of it, or as much as a screen of this height shows."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_load_state("load")
        if height is not None:
            width = self.page.viewport_size["width"]
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
        self.page.screenshot(path=OUTPUT / f"{name}.png", full_page=height is None)

    def barriers(self) -> list[str]:
        """What axe finds serious or critical."""
        found: dict[str, Any] = Axe().run(self.page).response
        return [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:120]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def _serving(server: Any) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Site:
    """The service that is looked at."""

    address: str
    store: Store
    draft: Path
    """An edited copy of the rules, in which a low trough has become critical."""


@pytest.fixture(scope="session")
def service_address(site: Site) -> str:
    return site.address


@pytest.fixture(scope="session")
def past(site: Site) -> None:
    """Half a year of invented decisions and answers, as the demo invents them."""
    with httpx.Client(base_url=site.address, timeout=60, trust_env=False) as client:
        for _ in play(load_stories(examples_dir()), client, NOW):
            pass
    invent_history(site.store, [("urn:reasons", "will-monitor"), ("urn:reasons", "other")], NOW)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = make_server("127.0.0.1", 0, lambda _e, _s: [], threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    base = tmp_path_factory.mktemp("browser")
    draft = base / "draft"
    shutil.copytree(rules_dir(), draft)
    edited = draft / "trough" / "cml-below-target.yaml"
    edited.write_text(edited.read_text().replace("severity: warning", "severity: critical"))
    settings = Settings(data_dir=base, public_base_url=address, deadline_s=5, rules_draft=draft)
    knowledge = load_knowledge(settings)
    store = open_store(settings)
    upgrade(store.database)
    services = build_services(settings, store=store, knowledge=knowledge, clock=Clock(lambda: NOW))
    warm_up(knowledge, NOW)
    server.app = create_app(services)
    with _serving(server):
        yield Site(address, store, draft)
    store.database.close()
    knowledge.rulebook.close()


@pytest.fixture(scope="session")
def hospital_address(service_address: str) -> Iterator[str]:
    with httpx.Client(base_url=service_address, timeout=30.0, trust_env=False) as client:
        app = create_hospital(load_stories(examples_dir()), client, lambda: NOW)
        with _serving(hospital_server(app, 0)) as address:
            yield address


@dataclass
class Registered:
    """A hospital that is a registered EHR, and the service it launches."""

    hospital: str
    service: str
    alerts: AlertServices

    def work(self) -> None:
        """Let the service work off what the laboratory told it."""
        self.alerts.worker.drain(500)


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    def nothing(_environ: Any, _start: Any) -> list[bytes]:
        return []

    site = make_server("127.0.0.1", 0, nothing, threaded=True)
    hospital = make_server("127.0.0.1", 0, nothing, threaded=True)
    service_at, hospital_at = (f"http://127.0.0.1:{s.server_port}" for s in (site, hospital))
    smart = SmartServer(f"{hospital_at}/fhir", service_at, lambda: NOW)
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("registered"),
        public_base_url=service_at,
        deadline_s=5,
        clients=(ClientSettings.model_validate(registration(smart)),),
    )
    told = alerts_file(smart.base, "a-secret-of-the-channel") | {
        "embedded_worker": False,
        "settle_s": 0,
    }
    (settings.data_dir / "alerts.yaml").write_text(json.dumps(told))
    knowledge = load_knowledge(settings)
    store = open_store(settings)
    upgrade(store.database)
    services = build_services(settings, store=store, knowledge=knowledge, clock=Clock(lambda: NOW))
    warm_up(knowledge, NOW)
    site.app = create_app(services)
    alerts = attach(site.app, services)
    assert alerts is not None
    with httpx.Client(
        base_url=service_at, timeout=30.0, trust_env=False, auth=SignedCalls(smart)
    ) as client:
        hospital.app = create_hospital(
            load_stories(examples_dir()),
            client,
            lambda: NOW,
            smart=smart,
            notifier=Notifier(client, "a-secret-of-the-channel"),
        )
        with _serving(site), _serving(hospital):
            yield Registered(hospital_at, service_at, alerts)
    alerts.close()
    store.database.close()
    knowledge.rulebook.close()


def chromium() -> str:
    """Where Chromium stands on this machine."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail(
            "No Chromium was found. Install the package `chromium` (Debian, Ubuntu: "
            "`apt-get install chromium`), or set CHROMIUM to the program.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def look(chrome: Browser) -> Iterator[Any]:
    """Open a watched page of a width; every page of the test is checked at its end."""
    opened: list[Watched] = []

    def open_page(width: int = 1280, *, scripts: bool = True) -> Watched:
        context = chrome.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        watched = Watched(page)
        page.on("console", lambda m: m.type == "error" and watched.complaints.append(m.text))
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.on("request", lambda request: watched.requests.append(request.url))
        opened.append(watched)
        return watched

    yield open_page
    for watched in opened:
        watched.page.context.close()
    for watched in opened:
        watched.check()

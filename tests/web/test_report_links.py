"""Links that open a report without a sign-in: off by default, short, whole, and for one report."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from cds.services import Services
from cds.settings import ClientSettings, Settings
from cds.store import Cipher
from cds.telemetry import configure_logging
from cds.web import create_app
from tests.web.fakes import FakeClock
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS
from tests.web.tokens import BASE, claims, ec_key, registration, sign

SOUTH = "https://south.example.org/r4"


class Site:
    """A service whose client north allows links for ten minutes, south for none or as told."""

    def __init__(self, services: Services, clock: FakeClock) -> None:
        self.services, self.clock = services, clock
        self.app = create_app(services)

    def link(self, issuer: str | None = None) -> str:
        """The path of the link on a card."""
        changes = {"iss": issuer} if issuer else {}
        token = sign(ec_key(), claims(ORDERS, self.clock.now, **changes))
        answer = self.app.test_client().post(
            ORDERS, json=concerned_request(), headers={"Authorization": f"Bearer {token}"}
        )
        links = answer.get_json()["cards"][0].get("links", [])
        return links[0]["url"].removeprefix(BASE) if links else ""

    def browser(self) -> Callable[..., Any]:
        """A browser that asks for pages."""
        client = self.app.test_client()
        return lambda path: client.get(path, base_url=BASE, headers={"Accept": "text/html"})


@pytest.fixture
def site(make_services: Callable[..., Services], clock: FakeClock) -> Callable[..., Site]:
    def make(minutes: int | None = 10, south: int | None = None) -> Site:
        clients = (
            registration(report_link_minutes=minutes),
            registration(id="south", issuer=SOUTH, fhir_base=SOUTH, report_link_minutes=south),
        )
        chosen = tuple(ClientSettings.model_validate(client) for client in clients)
        return Site(make_services(clients=chosen, public_base_url=BASE, deadline_s=10), clock)

    return make


def test_by_default_a_card_of_a_registered_client_has_no_link_that_would_not_open(site):
    assert site(minutes=None).link() == ""


def test_a_link_opens_its_report_and_the_key_leaves_the_address_bar(site):
    here = site()
    link, get = here.link(), here.browser()

    answer = get(link)
    where = answer.headers["Location"]

    assert (answer.status_code, where) == (303, link.split("/open/")[0])
    assert get(where).status_code == 200
    assert get(f"{where}/level.svg").status_code == 200
    assert "This report only" in get(where).text


def test_the_link_carries_nothing_of_the_patient_and_the_ledger_nothing_of_the_key(site):
    here = site()
    link = here.link()
    evaluation, _, key = link.removeprefix("/evaluations/").partition("/open/")
    stored = here.services.store.decision(evaluation)

    assert "p-1" not in link
    assert key
    assert key not in str(stored.body)
    assert f"{BASE}/evaluations/{evaluation}" in str(stored.body)


def test_a_link_opens_one_report_only(site):
    here = site()
    first, second, get = here.link(), here.link(), here.browser()
    get(first)

    assert get(first.split("/open/")[0]).status_code == 200
    assert get(second.split("/open/")[0]).status_code == 404


def test_a_link_and_what_it_opened_end_together(site):
    here = site()
    link, get = here.link(), here.browser()
    get(link)
    where = link.split("/open/")[0]

    here.clock.pass_time(599)
    assert get(where).status_code == 200
    here.clock.pass_time(2)
    assert get(where).status_code == 403
    late = get(link)
    assert late.status_code == 403
    assert "Open the card again" in late.text


def tampered(link: str, other: str) -> dict[str, str]:
    base, key = link.split("/open/")
    other_base, other_key = other.split("/open/")
    second, code = key.split("-")
    flipped = ("0" if code[0] != "0" else "1") + code[1:]
    return {
        "no-code": f"{base}/open/{second}-",
        "nothing": f"{base}/open/x",
        "code-changed": f"{base}/open/{second}-{flipped}",
        "code-cut": f"{base}/open/{second}-{code[:-1]}",
        "code-upper": f"{base}/open/{second}-{code.upper()}",
        "later": f"{base}/open/{int(second) + 60}-{code}",
        "padded": f"{base}/open/0{second}-{code}",
        "much-later": f"{base}/open/999999999999-{code}",
        "other-report": f"{other_base}/open/{key}",
        "other-key": f"{base}/open/{other_key}",
        "no-report": f"/evaluations/00000000-0000-4000-8000-000000000000/open/{key}",
        "not-an-id": f"/evaluations/x/open/{key}",
    }


@pytest.mark.parametrize("how", list(tampered("a/open/1-0", "b/open/1-0")))
def test_a_link_that_is_not_whole_opens_nothing(site, how):
    here = site()
    link = here.link()
    here.clock.pass_time(1)
    other = here.link()

    answer = here.browser()(tampered(link, other)[how])

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_a_key_is_bound_to_the_client_and_ends_with_its_permission(site):
    here = site(south=10)
    link = here.link(SOUTH)
    assert here.browser()(link).status_code == 303
    forbidden, shorter = site(south=None), site(south=5)

    assert forbidden.browser()(link).status_code == 403
    assert shorter.browser()(link).status_code == 403  # made when more was allowed


def test_another_key_of_the_service_opens_nothing(site, monkeypatch):
    here = site()
    link = here.link()
    other = Cipher(bytes(32))
    monkeypatch.setattr(here.services.store.cipher, "mac", other.mac)

    assert here.browser()(link).status_code == 403


def test_a_session_of_a_link_ends_when_links_are_switched_off(site):
    here = site()
    link = here.link()
    cookie = here.browser()(link).headers["Set-Cookie"].split(";")[0]
    without = site(minutes=None).app.test_client()

    answer = without.get(link.split("/open/")[0], base_url=BASE, headers={"Cookie": cookie})

    assert answer.status_code == 403


def test_links_and_sign_in_are_not_offered_together():
    with pytest.raises(ValueError, match="opens without the sign-in"):
        ClientSettings.model_validate(
            registration(report_link_minutes=5, smart={"client_id": "imatinib-tdm"})
        )


@pytest.mark.parametrize("base", ["http://tdm.example.org", "http://10.0.0.8:8000"])
def test_links_need_an_address_that_nobody_overhears(base: str):
    client = ClientSettings.model_validate(registration(report_link_minutes=5))
    with pytest.raises(ValueError, match="must be https"):
        Settings(clients=(client,), public_base_url=base)


def test_the_key_stands_in_no_log(site, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(json_lines=True)
    here = site()
    link, get = here.link(), here.browser()
    get(link)
    get(f"{link}0")

    key = link.split("/open/")[1]
    assert "link-opened" in stream.getvalue()
    assert key not in stream.getvalue()
    assert key.split("-")[1] not in stream.getvalue()

"""Over the real service: an answered card rests, for that state only, and on every hook."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from cds.demo.compare import rules_of
from cds.rulebook.rulebook import load_files
from cds.services import build_services, prepare
from cds.services.clock import Clock
from cds.services.knowledge import Knowledge
from cds.settings import Settings
from cds.web.app import create_app
from tests.stories.conftest import story

if TYPE_CHECKING:
    from flask.testing import FlaskClient

LOW = story("cml-low-trough")
TROUGH = "trough.cml-below-target"


class Ward:
    """A service with a clock that the test turns."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.now = client, LOW.now

    def ask(self, request: dict[str, Any], service: str = "tdm-orders") -> list[dict[str, Any]]:
        """Fire a hook and return the cards."""
        answer = self.client.post(f"/cds-services/{service}", json=request)
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    def override(self, card: dict[str, Any]) -> None:
        """Say that the card was not followed."""
        entry = {
            "card": card["uuid"],
            "outcome": "overridden",
            "outcomeTimestamp": self.now.isoformat(),
            "overrideReason": {"reason": card["overrideReasons"][0]},
        }
        answer = self.client.post("/cds-services/tdm-orders/feedback", json={"feedback": [entry]})
        assert answer.status_code == 200, answer.text


@pytest.fixture
def ward(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A service that nobody has answered yet."""
    yield from _ward(knowledge, tmp_path_factory)


def _ward(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("ward"), deadline_s=10)
    prepare(settings)
    turned: list[Ward] = []

    def now() -> datetime:
        return turned[0].now if turned else LOW.now

    services = build_services(settings, clock=Clock(now=now), knowledge=knowledge)
    turned.append(Ward(create_app(services).test_client()))
    yield turned[0]
    services.close()


@pytest.fixture
def slower_ward(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The same, with a rule that rests for eight days after an answer."""
    file = "trough/cml-below-target.yaml"
    files = dict(knowledge.rulebook.content.files)
    snooze = b"  severity: warning\n  snooze: {days: 8, why: a test}\n"
    files[file] = files[file].replace(b"  severity: warning\n", snooze, 1)
    yield from _ward(Knowledge(load_files(files), knowledge.models), tmp_path_factory)


def request(hook: str = "order-sign") -> dict[str, Any]:
    """The story's signing request, told as another hook if wanted."""
    sign = next(h for h in LOW.hooks if h.hook == "order-sign").request
    sign["hook"] = hook
    if hook == "order-select":
        sign["context"]["selections"] = ["MedicationRequest/ex-anders-renewal"]
    return sign


def card_of(cards: list[dict[str, Any]], rule: str) -> dict[str, Any] | None:
    return next((card for card in cards if rule in rules_of(card)), None)


def test_what_was_answered_when_selecting_is_not_repeated_when_signing(ward: Ward) -> None:
    shown = card_of(ward.ask(request("order-select")), TROUGH)
    assert shown is not None
    assert card_of(ward.ask(request()), TROUGH) is not None, "showing alone must not snooze"
    ward.override(shown)

    signing = ward.ask(request())
    assert card_of(signing, TROUGH) is None
    assert [rules_of(card) for card in signing] == [("response.warning-6-months",)]


def test_it_rests_seven_days_and_speaks_again(ward: Ward) -> None:
    shown = card_of(ward.ask(request()), TROUGH)
    assert shown is not None
    ward.override(shown)

    ward.now = LOW.now + timedelta(days=6, hours=23)
    assert card_of(ward.ask(request()), TROUGH) is None
    ward.now = LOW.now + timedelta(days=7)
    again = card_of(ward.ask(request()), TROUGH)
    assert again is not None
    assert again["uuid"] == shown["uuid"], "the same finding keeps the same card"


def test_a_rule_may_rest_for_its_own_time(slower_ward: Ward) -> None:
    ward = slower_ward
    shown = card_of(ward.ask(request()), TROUGH)
    assert shown is not None
    ward.override(shown)

    ward.now = LOW.now + timedelta(days=7, hours=23)
    assert card_of(ward.ask(request()), TROUGH) is None
    ward.now = LOW.now + timedelta(days=8)
    assert card_of(ward.ask(request()), TROUGH) is not None


def test_a_new_level_speaks_at_once(ward: Ward) -> None:
    shown = card_of(ward.ask(request()), TROUGH)
    assert shown is not None
    ward.override(shown)

    again = card_of(ward.ask(_with_another_level(request())), TROUGH)
    assert again is not None
    assert again["uuid"] != shown["uuid"]


def _with_another_level(signing: dict[str, Any]) -> dict[str, Any]:
    """The request after a further sample, a day later, with its documented last dose."""
    changed = copy.deepcopy(signing)
    prefetch = changed["prefetch"]
    for key, part in (("levels", "effectiveDateTime"), ("administrations", "effectiveDateTime")):
        entries = prefetch[key]["entry"]
        last = max(entries, key=lambda entry: entry["resource"][part])
        fresh = copy.deepcopy(last)
        resource = fresh["resource"]
        resource["id"] += "-later"
        resource[part] = (datetime.fromisoformat(resource[part]) + timedelta(days=1)).isoformat()
        for reference in resource.get("partOf", ()):
            reference["reference"] += "-later"
        entries.append(fresh)
    return changed

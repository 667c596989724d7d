"""Subscribing: the right kind of Subscription, once, and renewed."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds.alerts.capabilities import FEED
from cds.alerts.subscription import subscribe
from tests.alerts.build import ENDPOINT, SECRET, level
from tests.alerts.conftest import Site

PUBLIC = "https://tdm.example.org"
ADDRESS = f"{PUBLIC}/subscriptions/{ENDPOINT}"


def ask(site: Site, **more: Any) -> Any:
    return subscribe(
        site.alerts.worker.remotes["north"],
        site.services.knowledge.rulebook.drug,
        PUBLIC,
        site.clock.now(),
        **more,
    )


def test_a_plain_server_gets_a_criteria_subscription_on_the_level_codes(site: Site) -> None:
    done = ask(site)
    (made,) = site.fhir.of("Subscription")
    assert not done.topic
    assert made["criteria"].startswith("Observation?code=")
    assert "http://loinc.org|57844-3" in made["criteria"]
    assert made["channel"]["endpoint"] == ADDRESS
    assert made["channel"]["header"] == [f"Authorization: Bearer {SECRET}"]
    assert "payload" not in made["channel"]


def test_a_server_with_the_patient_data_feed_gets_a_topic_subscription(site: Site) -> None:
    topic = {"url": "x", "valueCanonical": f"{FEED}|8.0.1"}
    site.fhir.capabilities = {
        "rest": [{"resource": [{"type": "Subscription", "extension": [topic]}]}]
    }
    done = ask(site)
    (made,) = site.fhir.of("Subscription")
    assert done.topic
    assert made["criteria"] == FEED
    assert made["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"
    filters = made["_criteria"]["extension"][0]["valueString"]
    assert filters.startswith("Observation?category=laboratory&code=")


@pytest.mark.parametrize("topic", [True, False])
def test_both_kinds_are_valid_fhir(site: Site, topic: bool) -> None:
    ask(site, topic=topic)
    (made,) = site.fhir.of("Subscription")
    get_fhir_model_class("Subscription").model_validate(made)


def test_subscribing_again_renews_and_adds_none(site: Site) -> None:
    first = ask(site)
    site.clock.advance(days=20)
    second = ask(site)
    assert (first.renewed, second.renewed) == (False, True)
    (made,) = site.fhir.of("Subscription")
    assert made["end"] == second.until.isoformat(timespec="seconds")
    assert second.until > first.until


def test_a_subscription_that_soon_ends_is_renewed_by_the_watch(site: Site) -> None:
    from tests.alerts.build import backport

    ask(site)
    (made,) = site.fhir.of("Subscription")
    site.fhir.put({**made, "id": "s1", "status": "active"})
    site.notify(backport("handshake"))
    site.clock.advance(days=28)
    site.alerts.watchman.look()
    renewed = site.fhir.resources["Subscription/s1"]
    assert renewed["status"] == "requested"
    assert renewed["end"] > made["end"]


@pytest.mark.parametrize("stopped", ["error", "off"])
def test_a_plain_subscription_that_stops_is_noticed_though_it_never_spoke(
    site: Site, stopped: str
) -> None:
    site.alerts.watchman.remember(site.alerts.settings.servers[0], ask(site))
    (made,) = site.fhir.of("Subscription")
    site.fhir.put({**made, "status": stopped})
    site.fhir.put(level(320))  # nobody tells us
    site.clock.advance(minutes=10)
    site.alerts.watchman.look()
    site.work()
    assert site.tasks() == []
    site.clock.advance(minutes=10)
    site.alerts.watchman.look()
    site.work()
    (made,) = site.fhir.of("Subscription")
    assert made["status"] == "requested"
    assert made["channel"]["header"] == [f"Authorization: Bearer {SECRET}"]
    assert len(site.tasks()) == 1


def test_a_server_whose_statement_is_some_megabytes_can_be_subscribed_to(site: Site) -> None:
    site.fhir.capabilities = {"text": {"div": "x" * 3_000_000}, "rest": [{"x": 1}] * 100_000}
    assert ask(site).topic is False

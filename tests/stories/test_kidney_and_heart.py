"""Doses in renal impairment under the EU label, and a heart that was ill before imatinib."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.setting import Jurisdiction
from cds.demo.compare import rules_of
from cds.services import Services, build_services, prepare
from cds.services.clock import Clock
from cds.settings import Settings
from cds.web.app import create_app
from tests.stories.chart import NOW, Chart, behind, responding, starting

Cards = Callable[[Chart], list[dict[str, Any]]]
_KIDNEY = "dosing.renal-impairment-above-start-eu"
_HEART = "safety.heart-before-start"


@pytest.fixture
def in_europe(tmp_path: Any) -> Any:
    settings = Settings(data_dir=tmp_path, deadline_s=10, jurisdiction=Jurisdiction.EU)
    services: Services = build_services(
        settings, knowledge=prepare(settings), clock=Clock(now=lambda: NOW)
    )
    client = create_app(services).test_client()

    def asked(chart: Chart) -> list[dict[str, Any]]:
        answer = client.post("/cds-services/tdm-orders", json=chart.request())
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    yield asked
    services.close()


def _spoken(cards: list[dict[str, Any]]) -> list[str]:
    return [rule for card in cards for rule in rules_of(card)]


def _stable() -> Chart:
    return responding(mg=400, times=2).lab("crcl", 18, 5)


def test_a_renewal_that_was_never_measured_is_noted_until_a_level_was_taken(
    in_europe: Cards,
) -> None:
    (card,) = in_europe(_stable().order(400, 2))
    assert rules_of(card) == (_KIDNEY,)
    assert card["indicator"] == "info"
    measured = _stable().level(1900, 12, days=40).order(400, 2)
    assert _KIDNEY not in _spoken(in_europe(measured))


def test_a_rise_is_noted_and_the_start_has_its_own_rule(in_europe: Cards) -> None:
    assert _KIDNEY in _spoken(in_europe(behind().lab("crcl", 18, 5).order(600)))
    spoken = _spoken(in_europe(starting(mg=600).lab("crcl", 18, 5)))
    assert "dosing.renal-impairment-start-eu" in spoken
    assert _KIDNEY not in spoken


def test_the_us_label_has_its_own_words(cards_of: Cards) -> None:
    assert _KIDNEY not in _spoken(cards_of(_stable().order(400, 2)))


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(lambda: starting().diagnosis("Heart failure", "I50.9", 100), id="failure"),
        pytest.param(lambda: starting().lab("lvef", 42, 10), id="ejection fraction"),
    ],
)
def test_a_heart_that_was_ill_before_the_first_dose_is_noted_once(
    chart: Callable[[], Chart], cards_of: Cards
) -> None:
    (card,) = cards_of(chart())
    assert rules_of(card) == (_HEART,)
    assert "on imatinib" not in card["summary"]


def test_under_treatment_a_low_ejection_fraction_is_a_warning(cards_of: Cards) -> None:
    spoken = _spoken(cards_of(responding().lab("lvef", 42, 10).order(400)))
    assert "toxicity.ejection-fraction" in spoken
    assert _HEART not in spoken

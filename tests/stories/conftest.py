"""The real application over the shipped rulebook, with the clock of the stories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from cds.clinical.setting import Jurisdiction
from cds.content import examples_dir
from cds.demo.stories import Story, load_stories
from cds.services import Services, build_services, prepare
from cds.services.clock import Clock
from cds.services.knowledge import Knowledge, load_knowledge
from cds.settings import Settings
from cds.web.app import create_app
from tests.stories.chart import NOW, Chart

if TYPE_CHECKING:
    from flask.testing import FlaskClient

Card = dict[str, Any]
Ask = Callable[[dict[str, Any], str], list[dict[str, Any]]]
STORIES = load_stories(examples_dir())
HOOKS = [
    pytest.param(story, hook, id=f"{story.id}.{hook.hook}")
    for story in STORIES
    for hook in story.hooks
]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation of its own; what is tested here is the answer, not how fast it comes."""
    chosen = Settings(data_dir=tmp_path_factory.mktemp("stories"), deadline_s=10)
    prepare(chosen)
    return chosen


@pytest.fixture(scope="session")
def knowledge(settings: Settings) -> Knowledge:
    """The shipped rulebook and models, loaded once."""
    return load_knowledge(settings)


@pytest.fixture(scope="session")
def client_at(
    settings: Settings, knowledge: Knowledge
) -> Iterator[Callable[[datetime], FlaskClient]]:
    """The service as it would have answered at a given moment."""
    built: list[Services] = []

    @cache
    def client(now: datetime) -> FlaskClient:
        services = build_services(settings, clock=Clock(now=lambda: now), knowledge=knowledge)
        built.append(services)
        return create_app(services).test_client()

    yield client
    for services in built:
        services.close()


@pytest.fixture
def cards_of(client_at: Callable[[datetime], FlaskClient]) -> Callable[[Chart], list[Card]]:
    """The cards about a chart under the US label."""

    def asked(chart: Chart) -> list[Card]:
        request = chart.request()
        service = {"patient-view": "tdm-patient-view"}.get(request["hook"], "tdm-orders")
        answer = client_at(NOW).post(f"/cds-services/{service}", json=request)
        assert answer.status_code == 200, answer.text
        cards: list[Card] = answer.get_json()["cards"]
        return cards

    return asked


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The cards of a request under the US or the EU label, at the moment of the charts."""
    services: dict[str, Services] = {}

    def asked(request: dict[str, Any], label: str) -> list[dict[str, Any]]:
        if label not in services:
            settings = Settings(
                data_dir=tmp_path_factory.mktemp(label),
                jurisdiction=Jurisdiction(label),
                deadline_s=10,
            )
            services[label] = build_services(
                settings, knowledge=prepare(settings), clock=Clock(now=lambda: NOW)
            )
        client = create_app(services[label]).test_client()
        service = {"patient-view": "tdm-patient-view"}.get(request["hook"], "tdm-orders")
        answer = client.post(f"/cds-services/{service}", json=request)
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    yield asked
    for built in services.values():
        built.close()


def story(identifier: str) -> Story:
    """One story by its id."""
    return next(found for found in STORIES if found.id == identifier)

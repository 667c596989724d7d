"""Assessments of the story patients, made once, and an application over a throw-away ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from cds.assess import Assessment
from cds.assess.assessment import ExposureState
from cds.clinical.setting import Occasion, Setting
from cds.content import examples_dir
from cds.demo.stories import HookExample, Story, load_stories
from cds.services import Services, build_services, open_store
from cds.services.clock import Clock
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge, load_knowledge
from cds.settings import Settings
from cds.store.migrate import upgrade
from cds.web import create_app

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def knowledge() -> Iterator[Knowledge]:
    loaded = load_knowledge(Settings())
    yield loaded
    loaded.rulebook.close()


@pytest.fixture(scope="session")
def stories() -> dict[str, Story]:
    return {story.id: story for story in load_stories(examples_dir())}


def example(stories: dict[str, Story], name: str) -> HookExample:
    """`story` or `story.hook`; the story's first hook by default."""
    story, _, hook = name.partition(".")
    return next(h for h in stories[story].hooks if hook in ("", h.hook))


@pytest.fixture(scope="session")
def assessed(knowledge: Knowledge, stories: dict[str, Story]) -> Callable[[str], Assessment]:
    """Return the assessment behind a story's request."""
    made: dict[str, Assessment] = {}

    def assess_story(name: str) -> Assessment:
        if name not in made:
            request = example(stories, name).request
            given = EvaluationInput(
                evaluation="00000000-0000-4000-8000-000000000000",
                at=stories[name.partition(".")[0]].now,
                client="loopback",
                base_url="http://127.0.0.1:8000",
                setting=Setting(Occasion(request["hook"])),
                patient_id=request["context"]["patientId"],
                context=request["context"],
                resources=request["prefetch"],
            )
            assessment = decide(given, knowledge).assessment
            assert assessment is not None
            made[name] = assessment
        return made[name]

    return assess_story


@pytest.fixture
def doubtful(assessed: Callable[[str], Assessment]) -> Assessment:
    """An assessment whose model does not explain the levels."""
    assessment = assessed("cml-low-trough")
    exposure = replace(
        assessment.exposure,
        state=ExposureState.UNRELIABLE,
        reasons=("the level is not explained by the model",),
        options=(),
        current=None,
        adherence=None,
    )
    return replace(assessment, exposure=exposure)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory, knowledge: Knowledge) -> Iterator[Services]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), deadline_s=10)
    store = open_store(settings)
    upgrade(store.database)
    yield build_services(settings, store=store, knowledge=knowledge, clock=Clock(lambda: NOW))
    store.database.close()


@pytest.fixture(scope="session")
def browser(services: Services) -> FlaskClient:
    """A client that asks like a browser asks."""
    client = create_app(services).test_client()
    client.environ_base["HTTP_ACCEPT"] = "text/html,application/xhtml+xml,*/*;q=0.8"
    return client


@pytest.fixture(scope="session")
def evaluation(
    browser: FlaskClient, services: Services, stories: dict[str, Story]
) -> Callable[[str], str]:
    """Fire a story's request and return the id that its cards link to."""
    known: dict[str, str] = {}

    def fire(name: str) -> str:
        if name not in known:
            request = example(stories, name).request
            service = next(s.id for s in services.catalogue if s.hook == request["hook"])
            answer = browser.post(f"/cds-services/{service}", json=request)
            assert answer.status_code == 200, answer.text
            known[name] = evaluation_of(services, request["hookInstance"])
        return known[name]

    return fire


def evaluation_of(services: Services, hook_instance: str) -> str:
    """Return the evaluation of one hook call; under a stopped clock all are equally recent."""
    stored = (
        services.store.decision(str(row["evaluation"]))
        for row in services.store.recent_decisions(1000)
    )
    return next(s.evaluation for s in stored if s and s.hook_instance == hook_instance)

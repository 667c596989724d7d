"""The rulebook can be edited while serving; decisions keep the revision they were made with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds import content
from cds.services import Services, build_services
from cds.services.knowledge import KnowledgeError, LiveKnowledge, knowledge_of_revision
from cds.services.replay import replay
from cds.settings import Settings
from cds.web import create_app
from tests.web.fakes import FakeClock
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS


@pytest.fixture
def settings(tmp_path: Path, data_dir: Path) -> Settings:
    shutil.copytree(content.rules_dir(), tmp_path / "rules")
    return Settings(data_dir=data_dir, rules=tmp_path / "rules")


def edit_version(settings: Settings, version: str) -> None:
    path = settings.rules / "rulebook.yaml"
    lines = path.read_text().splitlines()
    changed = [f'version: "{version}"' if x.startswith("version:") else x for x in lines]
    path.write_text("\n".join(changed) + "\n")


def test_an_edit_takes_over_and_older_decisions_still_replay(settings: Settings, clock: FakeClock):
    live = LiveKnowledge(settings, lambda: datetime.now(UTC))
    services = build_services(settings, clock=clock.clock, knowledge=live)
    client = create_app(services).test_client()
    client.post(ORDERS, json=concerned_request())
    (decision,) = services.store.recent_decisions()
    before = live.current.rulebook.revision

    edit_version(settings, "2099.1")
    while not live.look():
        assert live.status.refused is None

    announced = client.get("/cds-services").get_json()["services"][0]["extension"]
    assert announced["org.imatinib-tdm.rulebook"]["version"] == "2099.1"
    assert live.current.rulebook.revision != before
    replayed = replay(
        services.store,
        lambda revision: knowledge_of_revision(settings, revision),
        decision["evaluation"],
    )
    assert replayed.same
    assert replayed.rulebook == before
    services.close()


def test_a_broken_rulebook_keeps_the_service_from_starting_and_says_where(settings: Settings):
    (settings.rules / "rulebook.yaml").write_text("name: [")

    with pytest.raises(KnowledgeError, match=r"rulebook\.yaml"):
        LiveKnowledge(settings, lambda: datetime.now(UTC))


def test_a_missing_rulebook_is_named(tmp_path: Path, data_dir: Path):
    with pytest.raises(KnowledgeError):
        LiveKnowledge(
            Settings(data_dir=data_dir, rules=tmp_path / "none"), lambda: datetime.now(UTC)
        )


def test_two_workers_share_one_store(make_services: Callable[..., Services]):
    one, other = make_services(), make_services()
    create_app(one).test_client().post(ORDERS, json=concerned_request())

    assert len(other.store.recent_decisions()) == 1
    assert other.store.evaluations() == one.store.evaluations()

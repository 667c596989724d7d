"""The story patients: who they are, what is asked about them, and what the service must answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from ruamel.yaml import YAML


class ExpectedCard(Struct, frozen=True):
    """One card as the story demands it."""

    indicator: str
    summary: str
    rules: tuple[str, ...]
    offers: tuple[str, ...] = ()
    recommended: str | None = None


class Expected(Struct, frozen=True):
    """The cards of one request, and rows of the clinical catalogue that fire or must not."""

    cards: tuple[ExpectedCard, ...]
    rows_fire: tuple[str, ...] = ()
    rows_must_not_fire: tuple[str, ...] = ()


class HookExample(Struct, frozen=True):
    """One hook request with the answer it must get."""

    request_file: Path
    expected: Expected

    @property
    def request(self) -> dict[str, Any]:
        """The request as an EHR would send it; it stands alone, with all prefetch."""
        request: dict[str, Any] = json.loads(self.request_file.read_text(encoding="utf-8"))
        return request

    @property
    def hook(self) -> str:
        """The hook it fires."""
        return str(self.request["hook"])


class Story(Struct, frozen=True):
    """One synthetic patient at one moment."""

    id: str
    title: str
    sentence: str
    now: datetime
    patient_file: Path
    hooks: tuple[HookExample, ...]
    vignette: str | None = None

    @property
    def patient(self) -> dict[str, Any]:
        """The patient's record as a FHIR Bundle."""
        bundle: dict[str, Any] = json.loads(self.patient_file.read_text(encoding="utf-8"))
        return bundle


def load_stories(directory: Path) -> tuple[Story, ...]:
    """Read `index.yaml` and what it names; KeyError or FileNotFoundError if the set is broken."""
    index = _read_yaml(directory / "index.yaml")
    return tuple(_story(entry, directory) for entry in index["stories"])


def _story(entry: Mapping[str, Any], directory: Path) -> Story:
    patient_file = directory / "patients" / f"{entry['id']}.json"
    if not patient_file.is_file():
        raise FileNotFoundError(patient_file)
    return Story(
        id=entry["id"],
        title=entry["title"],
        sentence=entry["story"],
        now=datetime.fromisoformat(entry["now"]),
        patient_file=patient_file,
        hooks=tuple(_hook(entry["id"], hook, directory) for hook in entry["hooks"]),
        vignette=entry.get("vignette"),
    )


def _hook(story: str, hook: str, directory: Path) -> HookExample:
    expected = _read_yaml(directory / "expected" / f"{story}.{hook}.yaml")
    return HookExample(
        directory / "hooks" / f"{story}.{hook}.json",
        Expected(
            cards=tuple(
                ExpectedCard(
                    indicator=card["indicator"],
                    summary=card["summary"],
                    rules=tuple(card["rules"]),
                    offers=tuple(card.get("offers", ())),
                    recommended=card.get("recommended"),
                )
                for card in expected["cards"]
            ),
            rows_fire=tuple(expected.get("rows_fire", ())),
            rows_must_not_fire=tuple(expected.get("rows_must_not_fire", ())),
        ),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return value

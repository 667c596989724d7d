"""The same patient told in another way gets the same cards: order, copies, zones, units, years."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cds.clinical.setting import Occasion, Setting
from cds.demo.stories import HookExample, Story
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge
from tests.stories.conftest import HOOKS

Prefetch = dict[str, Any]
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")
_YEAR = re.compile(r"(?<![\w-])(?:19|20)\d\d(?=-\d\d\b)")
_BOTH_UNITS = re.compile(r"[\d.]+ ug/L \(= (\d+ ng/mL)\)")
_CALENDAR_COMES_BACK = 28  # years, while no century is crossed: same weekdays, same leap years


def _each_bundle(prefetch: Prefetch, change: Callable[[list[Any]], list[Any]]) -> Prefetch:
    """The prefetch with the entries of every Bundle changed."""
    return {
        key: value | {"entry": change(value["entry"])}
        if isinstance(value, dict) and value.get("entry")
        else value
        for key, value in prefetch.items()
    }


def backwards(prefetch: Prefetch) -> Prefetch:
    return dict(reversed(_each_bundle(prefetch, lambda entries: entries[::-1]).items()))


def twice(prefetch: Prefetch) -> Prefetch:
    return _each_bundle(prefetch, lambda entries: entries + entries)


def in_another_zone(prefetch: Prefetch) -> Prefetch:
    away = timezone(timedelta(hours=5, minutes=30))

    def told_there(found: re.Match[str]) -> str:
        return datetime.fromisoformat(found.group()).astimezone(away).isoformat()

    moved: Prefetch = json.loads(_INSTANT.sub(told_there, json.dumps(prefetch)))
    return moved


def in_other_units(prefetch: Prefetch) -> Prefetch:
    same = {"ng/mL": ("ug/L", 1), "g/dL": ("g/L", 10), "10*9/L": ("10*3/uL", 1)}

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(item) for item in value]
        if not isinstance(value, dict):
            return value
        code, amount = value.get("code"), value.get("value")
        if isinstance(code, str) and code in same and isinstance(amount, int | float):
            unit, times = same[code]
            return value | {"code": unit, "unit": unit, "value": round(amount * times, 6)}
        return {key: told(item) for key, item in value.items()}

    other: Prefetch = told(prefetch)
    return other


def _later(year: int) -> int:
    return year + _CALENDAR_COMES_BACK


def a_generation_later(text: str) -> str:
    return _YEAR.sub(lambda year: str(_later(int(year.group()))), text)


def cards_of(
    request: dict[str, Any], hook: str, now: datetime, knowledge: Knowledge
) -> list[tuple[str, str, str]]:
    """What a reader sees of the answer."""
    given = EvaluationInput(
        evaluation="told",
        at=now,
        client="test",
        base_url="",
        setting=Setting(Occasion(hook)),
        patient_id=request["context"]["patientId"],
        context=request["context"],
        resources=request["prefetch"],
    )
    cards = decide(given, knowledge).response["cards"]
    return [(card["indicator"], card["summary"], card["detail"]) for card in cards]


@pytest.mark.parametrize("tell", [backwards, twice, in_another_zone, in_other_units])
@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_order_copies_zones_and_units_change_no_card(
    story: Story, hook: HookExample, knowledge: Knowledge, tell: Callable[[Prefetch], Prefetch]
) -> None:
    told = hook.request
    otherwise = told | {"prefetch": tell(told["prefetch"])}

    cards = cards_of(otherwise, hook.hook, story.now, knowledge)

    # a level is shown as it was sent, with what was read of it
    shown = [(*card, _BOTH_UNITS.sub(r"\1", detail)) for *card, detail in cards]
    assert shown == [(*card,) for card in cards_of(told, hook.hook, story.now, knowledge)]


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_the_same_story_a_generation_later_gets_the_same_cards(
    story: Story, hook: HookExample, knowledge: Knowledge
) -> None:
    told = hook.request
    later = json.loads(a_generation_later(json.dumps(told)))

    cards = cards_of(told, hook.hook, story.now, knowledge)

    assert cards_of(
        later, hook.hook, story.now.replace(year=_later(story.now.year)), knowledge
    ) == [(indicator, summary, a_generation_later(detail)) for indicator, summary, detail in cards]

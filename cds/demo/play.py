"""Send the stories' hook requests to a running service, as an EHR would."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx
from msgspec import Struct

from cds.demo.compare import differences
from cds.demo.redate import days_to, moved
from cds.demo.stories import HookExample, Story


class Played(Struct, frozen=True):
    """One request and what came back; the response is empty when the service refused."""

    story: Story
    hook: HookExample
    response: dict[str, Any]
    milliseconds: float
    differences: tuple[str, ...]


def play(stories: Sequence[Story], client: httpx.Client, now: datetime) -> Iterator[Played]:
    """Fire every hook of every story, moved to today, at the service behind `client`.

    A refusal is an answer that was not expected; httpx.HTTPError means there is no such service.
    """
    services = _service_of_hook(client)
    for story in stories:
        for hook in story.hooks:
            request = request_for_today(story, hook, now)
            answer = client.post(f"/cds-services/{services[hook.hook]}", json=request)
            milliseconds = answer.elapsed.total_seconds() * 1000
            if not answer.is_success:
                refused = f"the service answered {answer.status_code}: {answer.text[:300]}"
                yield Played(story, hook, {}, milliseconds, (refused,))
                continue
            response: dict[str, Any] = answer.json()
            found = tuple(differences(hook.expected.cards, response))
            yield Played(story, hook, response, milliseconds, found)


def request_for_today(story: Story, hook: HookExample, now: datetime) -> dict[str, Any]:
    """Return the request as if the story happened now; each firing is an instance of its own."""
    request: dict[str, Any] = moved(hook.request, days_to(now, story.now))
    return request | {"hookInstance": str(uuid.uuid4())}


def _service_of_hook(client: httpx.Client) -> dict[str, str]:
    """Ask the service which of its endpoints answers which hook."""
    answer = client.get("/cds-services")
    answer.raise_for_status()
    return {service["hook"]: service["id"] for service in answer.json()["services"]}

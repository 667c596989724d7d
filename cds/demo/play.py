"""Send the stories' hook requests to a running service, as an EHR would."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from cds.demo.compare import differences
from cds.demo.redate import days_to, moved
from cds.demo.stories import HookExample, Story


@dataclass(frozen=True, slots=True)
class Played:
    """One request and what came back."""

    story: Story
    hook: HookExample
    response: dict[str, Any]
    milliseconds: float
    differences: tuple[str, ...]


def play(stories: Sequence[Story], client: httpx.Client, now: datetime) -> Iterator[Played]:
    """Fire every hook of every story, moved to today, at the service behind `client`.

    Raises httpx.HTTPError when the service does not answer as CDS Hooks requires.
    """
    services = _service_of_hook(client)
    for story in stories:
        for hook in story.hooks:
            request = moved(hook.request, days_to(now, story.now))
            request["hookInstance"] = str(uuid.uuid4())
            answer = client.post(f"/cds-services/{services[hook.hook]}", json=request)
            answer.raise_for_status()
            response: dict[str, Any] = answer.json()
            yield Played(
                story,
                hook,
                response,
                answer.elapsed.total_seconds() * 1000,
                tuple(differences(hook.expected.cards, response)),
            )


def _service_of_hook(client: httpx.Client) -> dict[str, str]:
    """Ask the service which of its endpoints answers which hook."""
    answer = client.get("/cds-services")
    answer.raise_for_status()
    return {service["hook"]: service["id"] for service in answer.json()["services"]}

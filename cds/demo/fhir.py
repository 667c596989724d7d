"""How the demo hospital tells the service of new levels where nothing was subscribed by command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ENDPOINT = "demo-hospital-laboratory"


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells the service of a new result, as a server with a plain R4 Subscription does."""

    service: httpx.Client
    secret: str = field(repr=False)

    def tell(self, resource: Mapping[str, Any]) -> int:
        """Send the resource to the address that was subscribed; the status of the answer."""
        answer = self.service.post(
            f"/subscriptions/{ENDPOINT}",
            json=resource,
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Content-Type": "application/fhir+json",
            },
            auth=None,  # the secret of the channel, not the token of a hook call
        )
        return answer.status_code


def alerts_file(fhir_base: str, secret: str) -> dict[str, Any]:
    """What the service is told of this server: alerts come back to the chart as Tasks."""
    server = {"id": "demo-hospital", "fhir_base": fhir_base, "endpoint": ENDPOINT,
              "secret": secret, "deliver": ["task"]}  # fmt: skip
    return {"servers": [server], "threads": 1, "settle_s": 0.1}

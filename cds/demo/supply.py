"""How a patient's data reach the service in one call: what is sent, and whom to ask for the rest.

The choice belongs to one call and travels in the address that the call names as `fhirServer`, so
that a server which is slow for one visitor is slow for nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

SLOW_S = 20.0
"""How long the slow server holds back each answer: longer than any service may wait in a hook."""


class Sent(StrEnum):
    """What of the prefetch goes with the call."""

    ALL = "all"
    WITHOUT_LABORATORY = "without-laboratory"
    NOTHING = "nothing"


class Server(StrEnum):
    """The FHIR server that the call names."""

    ANSWERS = "answers"
    SLOW = "slow"
    FAILING = "failing"
    NONE = "none"


PATHS = {Server.ANSWERS: "fhir", Server.SLOW: "fhir-slow", Server.FAILING: "fhir-failing"}
"""Where the hospital serves the same records well and badly."""

SENT = {
    Sent.ALL: "all data",
    Sent.WITHOUT_LABORATORY: "all but laboratory results",
    Sent.NOTHING: "nothing",
}
SERVERS = {
    Server.ANSWERS: "our FHIR server, which answers",
    Server.SLOW: f"our FHIR server, which is slow ({SLOW_S:.0f} s for each answer)",
    Server.FAILING: "our FHIR server, which fails (status 503)",
    Server.NONE: "no server is named",
}
"""The choices in words."""


class Supply(Struct, frozen=True):
    """The supply of one call; `at` is the hospital's own address, empty if it names no server."""

    sent: Sent = Sent.ALL
    server: Server = Server.ANSWERS
    at: str = ""

    @property
    def fhir_server(self) -> str | None:
        """The base that the call names, if any."""
        path = PATHS.get(self.server)
        return f"{self.at}/{path}" if self.at and path else None

    def prefetch(self, templates: Mapping[str, str]) -> dict[str, str]:
        """The templates that are answered with the call; a key that is left out was not sent."""
        if self.sent is Sent.NOTHING:
            return {}
        if self.sent is Sent.WITHOUT_LABORATORY:
            return {k: t for k, t in templates.items() if not t.startswith("Observation?")}
        return dict(templates)

    def told(self) -> str:
        """What was sent and who was named, in a sentence."""
        if self.sent is Sent.ALL:
            return "All the data were sent with the call; no server had to be asked."
        sent = "Nothing was sent" if self.sent is Sent.NOTHING else "No laboratory result was sent"
        return f"{sent} with the call; {_NAMED[self.server] if self.at else _NAMED[Server.NONE]}."


_NAMED = {
    Server.ANSWERS: "the service could read the rest from our FHIR server",
    Server.SLOW: "the service had to ask our FHIR server, which held back each answer for "
    f"{SLOW_S:.0f} s",
    Server.FAILING: "the service had to ask our FHIR server, which failed each time (status 503)",
    Server.NONE: "no FHIR server was named that could be asked",
}


def outcome(status: int, cards: int, milliseconds: float) -> str:
    """What the service answered and after what time, in a sentence."""
    took = f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
    if status == 200:
        count = {0: "no card", 1: "1 card"}.get(cards, f"{cards} cards")
        return f"{count} after {took}"
    return f"the service answered {status} after {took}"


def meaning(status: int) -> str:
    """What an answer without advice means for the prescriber; empty for an answer with cards."""
    if status == 200:
        return ""
    why = _MEANINGS.get(status, "The service gave no advice.")
    return f"{why} The order can be written all the same."


_MEANINGS = {
    412: "The service gives no advice without the data named here, rather than advice on a guess.",
    503: "The service could not record its decision, and says nothing that is not on record.",
    504: "The service had not decided when its time was over.",
}

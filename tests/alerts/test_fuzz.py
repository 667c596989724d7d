"""Whatever is sent: a refusal or a dead letter, never a failure, and nothing of it in the log."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.alerts.hl7v2 import Message, MessageError, read_message
from cds.alerts.mllp import MessageDesk
from cds.alerts.notification import Notification, NotificationError, read_notification
from cds.alerts.settings import AlertSettings
from cds.services.knowledge import Knowledge
from tests.alerts.build import BASE, alert_settings, backport, level, north, r5
from tests.alerts.conftest import MakeSite, Site
from tests.alerts.test_hl7 import oru

CANARY = "Canary-Doe-4711"
SEEDS = (
    backport("event-notification", (1, "Observation/level-1"), (2, "Observation/level-2")),
    backport("handshake"),
    r5((3, f"{BASE}/Observation/level-1"), (4, "DiagnosticReport/r")),
    level(320),
)
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.5, "", CANARY, "../../x", f"{BASE}/Observation/../x", [], {},
    [[]], [None], {"reference": 1}, {"reference": CANARY}, "\ud800", "9" * 40, "x" * 5000,
)  # fmt: skip


def mutated(rng: random.Random) -> Any:
    """A notification in which some values were replaced, dropped, doubled or moved."""
    body = copy.deepcopy(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 4)):
        places = list(_places(body))
        if not places:
            break
        holder, key = rng.choice(places)
        other, name = rng.choice(places)
        action = rng.randrange(4)
        if action == 0:
            holder[key] = copy.deepcopy(rng.choice(JUNK))
        elif action == 1:
            del holder[key]
        elif action == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(other[name])
    return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index
            yield from _places(item)


def test_mutated_notifications_are_each_read_or_refused(site: Site) -> None:
    rng = random.Random(20261123)
    statuses = set()
    for _ in range(400):
        raw = json.dumps(mutated(rng)).encode("utf-8", "surrogatepass")
        statuses.add(site.notify(raw))
    assert statuses <= {200, 400, 413, 415, 422}
    assert {200, 422} <= statuses


def test_ten_thousand_mutated_notifications_raise_nothing_unforeseen() -> None:
    rng = random.Random(4711)
    read = 0
    refusals: list[NotificationError] = []
    for _ in range(10_000):
        body = mutated(rng)
        try:
            found = read_notification(body if isinstance(body, dict) else {}, BASE)
        except NotificationError as refusal:
            refusals.append(refusal)
            continue
        assert isinstance(found, Notification)
        for event in found.events:
            assert all(focus.count("/") == 1 and ".." not in focus for focus in event.focuses)
        read += 1
    assert min(read, len(refusals)) > 1000
    assert {refusal.status for refusal in refusals} == {422}
    assert not any(CANARY in refusal.message for refusal in refusals)


def mutated_message(rng: random.Random) -> str:
    text = list(oru(rng.choice(("320", "<50", CANARY, "1e9", ""))))
    for _ in range(rng.randint(1, 12)):
        place = rng.randrange(len(text))
        action = rng.randrange(3)
        if action == 0:
            text[place] = rng.choice("|^~\\&\r\x0b\x1c\x00é𝄞9")
        elif action == 1:
            del text[place]
        else:
            text[place:place] = rng.choice(("|" * 40, "\rOBX|2", "\rOBR|", "\\T\\", "^^^"))
    return "".join(text)


def test_ten_thousand_mutated_messages_raise_nothing_unforeseen(knowledge: Knowledge) -> None:
    rng = random.Random(4711)
    drug = knowledge.rulebook.drug
    read = 0
    rejections: list[MessageError] = []
    for _ in range(10_000):
        try:
            found = read_message(mutated_message(rng), drug)
        except MessageError as error:
            rejections.append(error)
            continue
        assert isinstance(found, Message)
        read += 1
    assert min(read, len(rejections)) > 1000
    assert {error.ack for error in rejections} == {"AR"}
    assert not any(CANARY in error.why for error in rejections)


def test_mutated_messages_are_each_acknowledged(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(patient_identifier_system="urn:mrn")))
    desk = MessageDesk(
        site.alerts.settings.servers[0],
        site.alerts.queue,
        lambda: site.services.knowledge.rulebook.drug,
        site.clock.now,
        lambda: None,
    )
    rng = random.Random(20261123)
    codes = set()
    for _ in range(400):
        answer = desk.take(mutated_message(rng).encode("utf-8", "surrogatepass"))
        codes.add(answer.split(b"MSA|")[1][:2])
    assert codes == {b"AA", b"AR"}
    for _ in range(12):
        site.work()
        site.clock.advance(minutes=20)
    problems = [str(row.problem) for row in site.rows(limit=1000) if row.problem]
    assert [problem for problem in problems if problem.startswith("defect")] == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=400))
def test_any_bytes_are_answered(site: Site, body: bytes) -> None:
    assert site.notify(body) in (200, 400, 413, 422)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """Everything that is logged, before the allow-list would drop any of it."""
    from cds.telemetry import keep_allowed_fields

    lines: list[Any] = []

    def keep(_logger: object, _method: str, event: Any) -> Any:
        lines.append(keep_allowed_fields(None, "", dict(event)))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    yield lines
    structlog.reset_defaults()


def test_no_patient_data_reach_the_log(
    make_site: MakeSite, said: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    chosen: AlertSettings = alert_settings(north(patient_identifier_system="urn:mrn"))
    site = make_site(chosen)
    number = 0

    def file(**what: Any) -> None:
        nonlocal number
        number += 1
        changed = {"note": [{"text": CANARY}], **what}
        site.fhir.put(level(320, name=f"{CANARY}-{number}", **changed))
        site.notify(backport("event-notification", (number, f"Observation/{CANARY}-{number}")))
        site.work()

    file()
    file(subject={"reference": CANARY})
    file(patient=CANARY)
    file(valueQuantity={"value": CANARY, "unit": CANARY})
    site.fhir.down = True
    file()
    site.fhir.down = False
    site.fhir.faults.extend([500] * 3)
    file()
    site.notify(json.dumps({"resourceType": CANARY, "id": CANARY}).encode())
    site.notify(CANARY.encode(), path=f"/Observation/{CANARY}", method="PUT")
    problems = " ".join(str(row.problem) for row in site.rows())
    assert len(said) > 10
    assert CANARY not in json.dumps(said)
    assert CANARY not in caplog.text
    assert CANARY not in problems


def test_what_was_accepted_is_worked_off_whatever_it_says(site: Site) -> None:
    rng = random.Random(99)
    for _ in range(150):
        site.notify(json.dumps(mutated(rng)).encode("utf-8", "surrogatepass"))
    for _ in range(12):
        site.work()
        site.clock.advance(minutes=20)
    problems = [str(row.problem) for row in site.rows(limit=1000) if row.problem]
    assert [problem for problem in problems if problem.startswith("defect")] == []

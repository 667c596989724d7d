"""Sign-ins, sessions and acts: once, in time, unreadable in the tables, and unchangeable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from cds.store import Act, Database, DatabaseError, Episode, Launch, Session, Store
from cds.store.sessions import digest
from tests.store.build import NOW, entry

LAUNCH = Launch("north", digest("browser"), NOW + timedelta(minutes=10), {"verifier": "s3cret"})
SESSION = Session(
    "north", "Practitioner/7", "k" * 64, None, NOW, NOW + timedelta(minutes=60)
)  # fmt: skip
EPISODE = Episode("north", "k" * 64, "exposure", "", 1, "c" * 36)
ACT = Act(EPISODE, "comment", NOW, "Practitioner/7", comment="Höhe der Dosis besprochen")


def everything(database: Database) -> str:
    """All that stands in the tables of people."""
    with database.reading() as connection:
        rows = [
            row
            for table in ("launch", "web_session", "worklist_act")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    return repr([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows])


def test_a_sign_in_is_found_once(store: Store):
    store.begin_launch("state", LAUNCH, NOW)

    assert store.take_launch("other") is None
    assert store.take_launch("state") == LAUNCH
    assert store.take_launch("state") is None


def test_a_session_ends_at_its_time_and_when_it_is_closed(store: Store):
    store.open_session("secret", SESSION)

    assert store.session("secret", NOW) == SESSION
    assert store.session("secret", SESSION.expires) is None
    assert store.session(digest("secret"), NOW) is None
    store.close_session("secret")
    assert store.session("secret", NOW) is None


def test_what_is_over_is_removed(store: Store):
    store.begin_launch("state", LAUNCH, NOW)
    store.open_session("secret", SESSION)

    assert store.purge(NOW, timedelta(days=1))["sessions"] == 0
    assert store.purge(NOW + timedelta(hours=2), timedelta(days=1))["sessions"] == 2


def test_the_tables_hold_no_secret_and_no_comment_in_the_clear(store: Store, database: Database):
    store.begin_launch("the-state", LAUNCH, NOW)
    store.open_session("the-secret", SESSION)
    store.record_act(ACT)

    written = everything(database)
    for hidden in ("the-state", "the-secret", "s3cret", "besprochen"):
        assert hidden not in written


def test_acts_are_found_by_client_and_patient_in_their_order(store: Store):
    other = replace(EPISODE, patient_key="o" * 64)
    acts = [
        ACT,
        Act(EPISODE, "snooze", NOW, "Practitioner/8", until=NOW + timedelta(days=2)),
        Act(other, "acknowledge", NOW, "Practitioner/7"),
    ]
    for act in acts:
        store.record_act(act)

    assert store.acts("north") == acts
    assert store.acts("north", "o" * 64) == acts[2:]
    assert store.acts("south") == []


@pytest.mark.parametrize(
    "change", ["UPDATE worklist_act SET act = 'x'", "DELETE FROM worklist_act"]
)
def test_what_was_done_cannot_be_changed(store: Store, database: Database, change: str):
    store.record_act(ACT)

    with pytest.raises(DatabaseError), database.writing() as connection:
        connection.execute(text(change))
    assert store.acts("north") == [ACT]


def test_the_newest_decision_of_a_patient_is_found_within_one_client(store: Store):
    older, newer = entry(), entry(at=NOW + timedelta(minutes=1))
    elsewhere = entry(client="south", at=NOW + timedelta(minutes=2))
    for one in (newer, older, elsewhere):
        store.record(one)

    assert store.latest_evaluation("north", "p-1") == newer.evaluation
    assert store.latest_evaluation("north", "p-2") is None
    found = store.decision(newer.evaluation)
    assert found is not None
    assert found.patient_key == store.cipher.patient_key("north", "p-1")


def test_a_code_confirms_its_own_parts_and_purpose_only(store: Store):
    code = store.cipher.mac("report", "north", "1")

    assert store.cipher.confirms(code, "report", "north", "1")
    for purpose, *parts in (
        ("other", "north", "1"), ("report", "north1"), ("report", "north", "2"), ("report",),
    ):  # fmt: skip
        assert not store.cipher.confirms(code, purpose, *parts)
    assert not store.cipher.confirms("", "report", "north", "1")
    assert not store.cipher.confirms("\ud800é", "report", "north", "1")

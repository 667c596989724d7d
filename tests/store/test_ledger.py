"""The ledger keeps every decision, unchanged, and hides its clinical content."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text

from cds.store import (
    Cipher,
    CipherError,
    Counted,
    Database,
    DatabaseError,
    Look,
    Panel,
    PanelRule,
    Store,
    Way,
    tally,
)
from tests.store.build import NOW, card_row, entry


def test_a_decision_is_found_again_with_its_body_and_the_digits_of_its_numbers(store: Store):
    recorded = entry(body={"input": {"dose": Decimal("1.10"), "text": 'a "quoted" ü'}})

    store.record(recorded)

    found = store.decision(recorded.evaluation)
    assert found is not None
    assert found.body == recorded.body
    assert str(found.body["input"]["dose"]) == "1.10"
    assert (found.at, found.hook, found.user) == (NOW, "order-sign", "Practitioner/7")


def test_an_unknown_evaluation_is_not_found(store: Store):
    assert store.decision("00000000-0000-0000-0000-000000000000") is None


def test_the_same_card_may_be_shown_by_many_evaluations(store: Store):
    first, second = entry(), entry(at=NOW + timedelta(minutes=1))

    store.record(first)
    store.record(second)

    assert [row["evaluation"] for row in store.recent_decisions()] == [
        second.evaluation,
        first.evaluation,
    ]


def test_a_decision_with_a_broken_card_leaves_nothing_behind(store: Store):
    broken = entry(cards=(card_row(), card_row()))

    with pytest.raises(DatabaseError):
        store.record(broken)

    assert store.decision(broken.evaluation) is None


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_that_breaks_in_the_middle_of_a_decision_is_replaced(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
):
    lost, kept = entry(), entry()

    def broken(connection: Connection, *_: object) -> None:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with database.writing() as other:
            other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})

    with monkeypatch.context() as patched:
        patched.setattr(tally, "keep_panel", broken)
        with pytest.raises(DatabaseError):
            store.record(replace(lost, counted=Counted(Panel.of([PanelRule("a", 1, "active")]))))
    store.record(kept)

    assert store.answers(kept.client, kept.patient) == ()
    assert store.evaluations() == [kept.evaluation]


@pytest.mark.parametrize("table", ["ledger", "card", "feedback", "panel", "tally", "look"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET {} = {}"])
def test_the_database_refuses_to_change_what_was_recorded(
    store: Store, database: Database, table: str, change: str
):
    from tests.store.build import answer

    store.record(entry(counted=Counted(Panel.of([PanelRule("a", 1, "active")]))))
    store.add_feedback("north", "tdm-orders", [answer()], NOW)
    store.record_look(Look(NOW, "report", Way.MACHINE, None, None, None))
    column = "revision" if table in ("panel", "tally") else "client"

    with pytest.raises(DatabaseError), database.writing() as connection:
        connection.execute(text(change.format(table, column, column)))


def test_no_patient_identifier_stands_in_the_tables(store: Store, database: Database):
    store.record(entry(patient="CANARY-77", body={"input": {"patientId": "CANARY-77"}}))

    with database.reading() as connection:
        rows = [
            value
            for table in ("ledger", "ledger_body", "card")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
            for value in row
        ]

    assert not [v for v in rows if "CANARY" in str(v) or b"CANARY" in bytes(str(v), "utf-8")]


def test_a_body_cannot_be_read_with_another_key(store: Store, database: Database):
    recorded = entry()
    store.record(recorded)

    with pytest.raises(CipherError, match="another ledger key"):
        Store(database, Cipher(bytes(32))).decision(recorded.evaluation)


def test_after_the_retention_time_only_the_fact_of_the_decision_remains(store: Store):
    old, new = entry(at=NOW - timedelta(days=31)), entry()
    store.record(old)
    store.record(new)

    removed = store.purge(NOW, timedelta(days=30))

    assert removed["bodies"] == 1
    assert store.decision(old.evaluation).body is None
    assert store.decision(new.evaluation).body == new.body


def test_decisions_are_listed_from_a_time_on_oldest_first(store: Store):
    old, new = entry(at=NOW - timedelta(days=2)), entry()
    store.record(new)
    store.record(old)

    assert store.evaluations() == [old.evaluation, new.evaluation]
    assert store.evaluations(NOW - timedelta(days=1)) == [new.evaluation]

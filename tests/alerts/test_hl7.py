"""HL7 v2 results over MLLP: acknowledged when kept, and the same alert as from FHIR."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

from cds.alerts import mllp
from cds.alerts.hl7v2 import read_message
from cds.alerts.mllp import END, START, MessageDesk, listen
from cds.alerts.operator import show_work
from cds.store import DatabaseError
from tests.alerts.build import alert_settings, level, north
from tests.alerts.conftest import MakeSite, Site

HEADER = "MSH|^~\\&|LIS|LAB|TDM|H|20261123083000||ORU^R01^ORU_R01|42|P|2.5.1"
PATIENT = "PID|1||mrn-p1^^^H^MR||DOE^JANE"
ORDER = "OBR|1|P1|F1|57844-3^Imatinib^LN|||202611220800+0000|||||||||||||||202611221500+0000"


def oru(
    value: str = "320",
    unit: str = "ng/mL^^UCUM",
    status: str = "F",
    *,
    control: str = "42",
    code: str = "57844-3^Imatinib^LN",
    sampled: str = "202611220800+0000",
    patient: str = PATIENT,
) -> str:
    header = HEADER.replace("|42|", f"|{control}|")
    result = f"OBX|1|NM|{code}||{value}|{unit}|||||{status}|||{sampled}"
    return "\r".join([header, patient, ORDER, result, "NTE|1||24 h after last dose"])


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(alert_settings(north(patient_identifier_system="urn:mrn")))


@pytest.fixture
def desk(site: Site) -> MessageDesk:
    return MessageDesk(
        site.alerts.settings.servers[0],
        site.alerts.queue,
        lambda: site.services.knowledge.rulebook.drug,
        site.clock.now,
        lambda: None,
    )


def ack(desk: MessageDesk, message: str) -> str:
    """The acknowledgement code of a message."""
    answer = desk.take(message.encode())
    assert answer.startswith(START)
    assert answer.endswith(END)
    return answer.decode().split("MSA|")[1].split("|")[0]


def read(site: Site, message: str) -> dict[str, Any]:
    (result,) = read_message(message, site.services.knowledge.rulebook.drug).results
    return result.resource


def test_a_result_message_becomes_an_alert(site: Site, desk: MessageDesk) -> None:
    assert ack(desk, oru()) == "AA"
    site.work()
    (task,) = site.tasks()
    assert "320 ng/mL" in task["description"]
    assert "focus" not in task  # the server has no such Observation


def test_the_same_message_twice_says_nothing_twice(site: Site, desk: MessageDesk) -> None:
    assert [ack(desk, oru()), ack(desk, oru())] == ["AA", "AA"]
    site.work()
    assert len(site.services.store.recent_decisions()) == 1


def test_a_corrected_result_supersedes(site: Site, desk: MessageDesk) -> None:
    ack(desk, oru())
    site.work()
    ack(desk, oru("420", status="C", control="43"))
    site.work()
    (task,) = site.tasks()
    assert "420 ng/mL" in task["description"]
    assert len(site.tasks("cancelled")) == 1


def test_a_deleted_result_withdraws(site: Site, desk: MessageDesk) -> None:
    ack(desk, oru())
    site.work()
    ack(desk, oru(status="D", control="43"))
    site.work()
    assert site.tasks() == []


def test_a_result_that_the_server_files_too_counts_once(site: Site, desk: MessageDesk) -> None:
    ack(desk, oru())
    site.fhir.put(level(320, effectiveDateTime="2026-11-22T08:00:00Z"))
    site.work()
    (decision,) = site.services.store.recent_decisions()
    stored = site.services.store.decision(str(decision["evaluation"]))
    assert stored is not None
    assert stored.body is not None
    assert len(stored.body["decision"]["levels"]) == 1


def test_a_patient_who_is_admitted_later_is_waited_for(site: Site, desk: MessageDesk) -> None:
    patient = site.fhir.resources.pop("Patient/p1")
    ack(desk, oru())
    site.work()
    assert site.tasks() == []
    site.fhir.resources["Patient/p1"] = patient
    site.clock.advance(minutes=5)
    site.work()
    assert len(site.tasks()) == 1


def test_the_time_of_the_sample_is_not_the_time_of_the_report(site: Site) -> None:
    resource = read(site, oru(sampled="202611220755+0100"))
    assert resource["effectiveDateTime"] == "2026-11-22T07:55:00+01:00"
    assert resource["issued"] == "2026-11-22T15:00:00+00:00"


def test_a_time_without_a_zone_stays_without(site: Site) -> None:
    assert read(site, oru(sampled="20261122075500"))["effectiveDateTime"] == "2026-11-22T07:55:00"
    assert read(site, oru(sampled="20261122"))["effectiveDateTime"] == "2026-11-22"


def test_a_value_keeps_its_comparator_its_digits_and_its_unit(site: Site) -> None:
    quantity = read(site, oru("<50.0", "ng/mL"))["valueQuantity"]
    assert quantity == {"value": Decimal("50.0"), "comparator": "<", "unit": "ng/mL"}
    assert read(site, oru("see comment"))["valueString"] == "see comment"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("F", "final"), ("C", "corrected"), ("P", "preliminary"), ("W", "entered-in-error")],
)
def test_the_status_of_the_result_is_read(site: Site, status: str, expected: str) -> None:
    assert read(site, oru(status=status))["status"] == expected


def test_other_results_are_acknowledged_and_not_kept(site: Site, desk: MessageDesk) -> None:
    assert ack(desk, oru(code="2951-2^Sodium^LN").replace("57844-3^Imatinib^LN", "x^Na^L")) == "AA"
    assert site.rows() == []


@pytest.mark.parametrize(
    "message",
    [
        *("", "MSH", "PID|1", "\x00"),
        oru().replace("ORU^R01", "ADT^A01"),
        oru(patient="PID|1|||"),
        f"{oru()}\r{oru(control='43')}",
        oru("^" * 60_000),
    ],
)
def test_what_will_never_be_accepted_is_rejected(
    site: Site, desk: MessageDesk, message: str
) -> None:
    assert ack(desk, message) == "AR"
    assert site.rows() == []


def test_results_of_several_patients_are_not_put_under_the_first(
    site: Site, desk: MessageDesk
) -> None:
    second = oru(patient="PID|1||mrn-p2^^^H^MR||ROE^RICHARD").split("\r", 1)[1]
    assert ack(desk, f"{oru()}\r{second}") == "AR"
    assert site.rows() == []
    again = oru().split("\r", 1)[1].replace("202611220800", "202611210800")
    assert ack(desk, f"{oru()}\r{again}") == "AA"


@pytest.mark.parametrize(
    ("born", "problem"),
    [("19700101", None), ("197001010830", None), ("", None), ("19700102", "patient-differs")],
)
def test_a_number_that_leads_to_somebody_born_on_another_day_is_an_operators(
    site: Site, desk: MessageDesk, born: str, problem: str | None
) -> None:
    assert ack(desk, oru(patient=f"{PATIENT}||{born}")) == "AA"
    site.work()
    assert [row.problem for row in site.rows(kind="event")] == [problem]
    assert len(site.tasks()) == (0 if problem else 1)


def test_a_message_that_cannot_be_kept_is_asked_for_again(
    desk: MessageDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise DatabaseError("full")

    monkeypatch.setattr("cds.alerts.queue.Queue.add_once", full)
    assert ack(desk, oru()) == "AE"


def test_a_message_that_was_cut_off_is_read_or_rejected(desk: MessageDesk) -> None:
    whole = oru()
    assert {ack(desk, whole[:cut]) for cut in range(0, len(whole), 3)} == {"AA", "AR"}


@pytest.fixture
def port(desk: MessageDesk) -> Iterator[int]:
    with listen(desk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def test_messages_arrive_over_mllp_in_any_pieces(site: Site, port: int) -> None:
    framed = START + oru().encode() + END + START + oru("330", control="43").encode() + END
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for at in range(0, len(framed), 50):
            connection.sendall(framed[at : at + 50])
        answers = b""
        while answers.count(END) < 2:
            answers += connection.recv(4096)
    assert answers.count(b"MSA|AA|42") == 1
    assert answers.count(b"MSA|AA|43") == 1
    assert len(site.rows(kind="event")) == 2


def test_a_message_that_was_never_ended_is_not_read_with_the_next(site: Site, port: int) -> None:
    begun = oru("999", control="41")
    begun = begun[: begun.index("ng/mL")]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(START + begun.encode() + START + oru(control="42").encode() + END)
        answer = connection.recv(4096)
    assert b"MSA|AA|42" in answer
    (event,) = site.rows(kind="event")
    shown = show_work(site.alerts.queue, event.id)
    assert shown is not None
    assert [held["resource"]["valueQuantity"]["value"] for held in shown[1]["hl7"]] == [320]


def test_more_connections_than_any_laboratory_keeps_are_not_taken(
    desk: MessageDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllp, "_MOST_CONNECTIONS", 2)
    with listen(desk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = ("127.0.0.1", int(server.server_address[1]))
        with ExitStack() as stack:
            kept = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(2)]
            with socket.create_connection(address, timeout=10) as third:
                assert third.recv(100) == b""
            for connection in kept:
                connection.sendall(START + oru().encode() + END)
                assert b"MSA|AA" in connection.recv(4096)
        server.shutdown()
        thread.join()


def test_a_connection_without_a_thread_to_serve_it_keeps_no_place(
    desk: MessageDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllp, "_MOST_CONNECTIONS", 1)
    with listen(desk, "127.0.0.1", 0) as server:

        def none_left(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        for _ in range(2):
            with (
                monkeypatch.context() as patched,
                socket.create_connection(
                    ("127.0.0.1", int(server.server_address[1])), timeout=10
                ) as connection,
            ):
                patched.setattr(threading.Thread, "start", none_left)
                server.handle_request()
                assert connection.recv(100) == b""
        assert server.verify_request(server.socket, "the next")


def test_a_connection_that_speaks_something_else_is_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(100) == b""

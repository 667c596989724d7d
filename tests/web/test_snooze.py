"""Snoozing as a state machine: only an answer makes a finding quiet, and only this finding.

The machine runs the real store and the real quietening against a model kept in a dictionary.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cds.cards.quiet import Answer, Outcome, QuietPolicy, Spoken, without_answered
from cds.clinical.finding import Finding, Matter, Severity
from cds.store import CardRow, Cipher, Database, FeedbackEntry, LedgerEntry, Store
from cds.store.migrate import upgrade
from tests.store.build import entry
from tests.web.fakes import NOW

PATIENTS = ("p-1", "p-2")
CLIENTS = ("north", "south")
RULES = ("trough.low", "adherence.gap", "quiet.for-a-month")
STATES = ("state-a", "state-b")
POLICY = QuietPolicy(rule_snooze_days={"quiet.for-a-month": 30})
DAYS = {Severity.INFO: 14, Severity.WARNING: 7, Severity.CRITICAL: 0}


def prepared() -> Path:
    directory = Path(tempfile.mkdtemp())
    database = Database(f"sqlite:///{directory / 'prepared.sqlite3'}")
    upgrade(database)
    database.close()
    return directory / "prepared.sqlite3"


PREPARED: list[Path] = []


class Snoozing(RuleBasedStateMachine):
    """One ward: two clients, two patients, three rules, each in one of two clinical states."""

    @initialize()
    def begin(self) -> None:
        if not PREPARED:
            PREPARED.append(prepared())
        self.directory = Path(tempfile.mkdtemp())
        path = self.directory / "tdm.sqlite3"
        shutil.copy(PREPARED[0], path)
        self.store = Store(Database(f"sqlite:///{path}"), Cipher(bytes(32)))
        self.now = NOW
        self.shown: dict[tuple[str, str, str, str, Severity], str] = {}
        self.quiet_until: dict[tuple[str, str, str, str], list[tuple[Severity, object]]] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.database.close()
            shutil.rmtree(self.directory)

    @rule(
        client=st.sampled_from(CLIENTS),
        patient=st.sampled_from(PATIENTS),
        name=st.sampled_from(RULES),
        state=st.sampled_from(STATES),
        severity=st.sampled_from(Severity),
    )
    def a_hook_fires(
        self, client: str, patient: str, name: str, state: str, severity: Severity
    ) -> None:
        """The finding speaks unless the model says that an answer covers it."""
        covered = any(
            answered >= severity and until > self.now
            for answered, until in self._answers(client, patient, name, state, severity)
        )

        speaks = self._speaks(client, patient, name, state, severity)

        assert speaks is not covered
        if severity is Severity.CRITICAL and name != "quiet.for-a-month":
            assert speaks
        if speaks:
            self._show(client, patient, name, state, severity)

    @rule(data=st.data(), outcome=st.sampled_from(Outcome), repeats=st.integers(1, 3))
    def a_user_answers_a_card(self, data: st.DataObject, outcome: Outcome, repeats: int) -> None:
        """Clients repeat feedback; it counts once."""
        if not self.shown:
            return
        shown = data.draw(st.sampled_from(sorted(self.shown, key=str)))
        client, patient, name, state, severity = shown
        said = FeedbackEntry(self.shown[shown], outcome.value, self.now)
        for _ in range(repeats):
            self.store.add_feedback(client, "tdm-orders", [said], self.now)
        key = (client, patient, name, state)
        self.quiet_until.setdefault(key, []).append((severity, self.now))

    @rule(client=st.sampled_from(CLIENTS))
    def feedback_on_a_card_of_the_other_client_changes_nothing(self, client: str) -> None:
        others = [card for key, card in self.shown.items() if key[0] != client]
        own = {card for key, card in self.shown.items() if key[0] == client}
        for card in set(others) - own:
            said = FeedbackEntry(card, "overridden", self.now)
            self.store.add_feedback(client, "tdm-orders", [said], self.now)

    @rule(days=st.sampled_from([0, 1, 6, 7, 8, 14, 20, 31]))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days, seconds=1)

    @invariant()
    def what_was_recorded_stays(self) -> None:
        if hasattr(self, "store"):
            assert len(self.store.recent_decisions(10_000)) >= len(self.shown)

    def _answers(self, client: str, patient: str, name: str, state: str, severity: Severity):
        days = POLICY.rule_snooze_days.get(name, DAYS[severity])
        for answered, at in self.quiet_until.get((client, patient, name, state), ()):
            yield answered, at + timedelta(days=days)

    def _speaks(self, client: str, patient: str, name: str, state: str, severity: Severity) -> bool:
        finding = Finding(name, 1, Matter.EXPOSURE, severity, "summary", "detail")
        stored = [
            Answer(a.rule, a.state, Outcome(a.outcome), a.at, Severity[a.severity.upper()])
            for a in self.store.answers(client, patient)
        ]
        said, _ = without_answered([Spoken(finding, state)], stored, POLICY, self.now)
        return bool(said)

    def _show(self, client: str, patient: str, name: str, state: str, severity: Severity) -> None:
        key = (client, patient, name, state, severity)
        card = str(uuid.uuid5(uuid.NAMESPACE_OID, str(key)))
        found = {
            "rule": name,
            "revision": 1,
            "subject": None,
            "severity": severity.indicator,
            "state": state,
        }
        row = CardRow(card, "exposure", severity.indicator, (found,))
        shown: LedgerEntry = entry(client=client, patient=patient, at=self.now, cards=(row,))
        self.store.record(shown)
        self.shown[key] = card


Snoozing.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, database=None
)
TestSnoozing = Snoozing.TestCase

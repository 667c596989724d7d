"""Any sequence of hooks, answers, waiting and new results keeps the promises about silence."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cds.cards.quiet import Answer, Outcome, QuietPolicy, Spoken, without_answered
from cds.clinical.finding import Matter, Severity
from tests.cards.patients import NOW, finding

POLICY = QuietPolicy(rule_snooze_days={"patient": 30})
RULES = {
    "info": Severity.INFO,
    "warning": Severity.WARNING,
    "critical": Severity.CRITICAL,
    "patient": Severity.INFO,
}
rules = st.sampled_from(sorted(RULES))


class Silence(RuleBasedStateMachine):
    """A patient whose clinical state changes while clinicians see and answer cards."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.state = dict.fromkeys(RULES, 0)
        self.answers: list[Answer] = []
        self.shown: list[str] = []
        self.quiet: list[str] = []

    @rule(name=rules)
    def a_new_result_changes_the_state(self, name: str) -> None:
        """Nothing has been answered in a state that is new."""
        self.state[name] += 1

    @rule(name=rules, outcome=st.sampled_from(list(Outcome)))
    def a_clinician_answers(self, name: str, outcome: Outcome) -> None:
        """Feedback on what the card said when it was shown."""
        self.answers.append(Answer(name, str(self.state[name]), outcome, self.now, RULES[name]))

    @rule(hours=st.integers(min_value=1, max_value=24 * 20))
    def time_passes(self, hours: int) -> None:
        """Up to twenty days."""
        self.now += timedelta(hours=hours)

    @rule()
    def a_hook_fires(self) -> None:
        """Every rule has something to say; which of it is said?"""
        spoken = [
            Spoken(finding(name, Matter.DOSE, severity), str(self.state[name]))
            for name, severity in RULES.items()
        ]
        said, quiet = without_answered(spoken, self.answers, POLICY, self.now)
        self.shown = [item.finding.rule_id for item in said]
        self.quiet = [item.rule_id for item in quiet]
        assert sorted(self.shown + self.quiet) == sorted(RULES)
        assert "critical" in self.shown
        for name, severity in RULES.items():
            days = POLICY.snooze_of(name, severity)
            lately = [
                a.at
                for a in self.answers
                if a.rule_id == name
                and a.state_digest == str(self.state[name])
                and self.now - a.at < days
            ]
            assert (name in self.quiet) == bool(lately), name

    @invariant()
    def nothing_is_silenced_that_nobody_answered(self) -> None:
        """Showing alone never snoozes."""
        answered = {a.rule_id for a in self.answers}
        assert set(self.quiet) <= answered


Silence.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSilence = Silence.TestCase

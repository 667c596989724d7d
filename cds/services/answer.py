"""Answer one hook call: obtain the data, decide, record, and only then speak."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from cds.cards import Answer, Outcome
from cds.clinical.finding import Severity
from cds.clinical.setting import Setting
from cds.services.call import Caller, HookCall
from cds.services.clock import Clock
from cds.services.decide import Decision, EvaluationInput, decide, new_evaluation_id
from cds.services.knowledge import Knowledge
from cds.services.obtain import Data, Missing, Obtainer
from cds.services.record import ledger_entry
from cds.settings import Settings
from cds.store import DatabaseError, Store
from cds.telemetry import Metrics, error_fields, log


class DataMissing(Exception):  # noqa: N818 - an answer, not a defect
    """Data that no decision can do without were neither sent nor obtainable."""

    def __init__(self, missing: tuple[Missing, ...]) -> None:
        super().__init__(", ".join(m.key for m in missing))
        self.missing = missing


class DeadlinePassed(Exception):  # noqa: N818
    """The time for the answer ran out before deciding could begin."""


class LedgerUnavailable(Exception):  # noqa: N818
    """The decision could not be recorded; advice that leaves no trace is not given."""


class Answered(Struct, frozen=True):
    """The response and what it was; `evaluation` is None when nothing was there to decide."""

    response: Mapping[str, Any]
    outcome: str
    evaluation: str | None


_NOT_CONCERNED = Answered({"cards": []}, "not-concerned", None)
"""No data are kept of patients who do not take the drug: nothing was decided about them."""


_SHARE_FOR_DECIDING = 0.1


class HookDesk(Struct, frozen=True, eq=False):
    """Answers hook calls."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    obtainer: Obtainer
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Deciding is arithmetic under one interpreter lock: side by side, all would be late."""

    def answer(
        self, call: HookCall, caller: Caller, knowledge: Knowledge, *, started: float
    ) -> Answered:
        """Decide one call within its deadline."""
        deadline = started + self.settings.deadline_s
        obtained = self.obtainer.obtain(
            call, caller, knowledge.rulebook, started=started, deadline=deadline
        )
        for source, count in obtained.sources.items():
            self.metrics.prefetch.labels(source).inc(count)
        if obtained.missing:
            raise DataMissing(obtained.missing)
        if not obtained.concerned:
            return _NOT_CONCERNED
        given = self._input(call, caller, obtained)
        decision = self._decide(given, knowledge, deadline)
        if decision.assessment is None:
            return _NOT_CONCERNED
        response = decision.response
        self._record(call, given, decision, response)
        self._count(call, decision)
        outcome = "cards" if response["cards"] else "silent"
        return Answered(response, outcome, given.evaluation)

    def _decide(self, given: EvaluationInput, knowledge: Knowledge, deadline: float) -> Decision:
        """Decide when it is this call's turn; a call that would be late anyway is not begun.

        What was begun is answered: recorded advice that nobody sees is worse than late advice.
        """
        left = deadline - self.clock.monotonic() - _SHARE_FOR_DECIDING * self.settings.deadline_s
        if left <= 0 or not self.turn.acquire(timeout=left):
            raise DeadlinePassed
        try:
            return decide(given, knowledge)
        finally:
            self.turn.release()

    def _input(self, call: HookCall, caller: Caller, obtained: Data) -> EvaluationInput:
        return EvaluationInput(
            evaluation=new_evaluation_id(),
            at=self.clock.now(),
            client=caller.id,
            base_url=self.settings.public_base_url,
            setting=Setting(
                call.hook,
                caller.jurisdiction,
                caller.time_zone,
                self.settings.paediatric_doses,
            ),
            patient_id=call.patient_id,
            context=call.context,
            resources=obtained.resources,
            unavailable=obtained.unavailable,
            answers=self._answers(caller.id, call.patient_id),
            report_link=self.settings.report_link(caller.id),
        )

    def _answers(self, client: str, patient: str) -> tuple[Answer, ...]:
        try:
            stored = self.store.answers(client, patient)
        except DatabaseError as error:
            log().error("answers-not-read", client=client, **error_fields(error))
            raise LedgerUnavailable from None
        return tuple(
            Answer(
                answer.rule,
                answer.state,
                Outcome(answer.outcome),
                answer.at,
                Severity[answer.severity.upper()],
            )
            for answer in stored
        )

    def _record(
        self,
        call: HookCall,
        given: EvaluationInput,
        decision: Decision,
        response: Mapping[str, Any],
    ) -> None:
        entry = ledger_entry(
            given,
            decision,
            response,
            cause=call.hook_instance,
            user=call.user_id,
            deviations=tuple(f"{d.code} {d.field}" for d in call.deviations),
        )
        try:
            self.store.record(entry)
        except DatabaseError as error:
            log().error("decision-not-recorded", client=given.client, **error_fields(error))
            raise LedgerUnavailable from None

    def _count(self, call: HookCall, decision: Decision) -> None:
        hook = call.hook.value
        if decision.assessment is None:
            return
        for trace in decision.assessment.verdict.speaking:
            self.metrics.rules.labels(hook, trace.rule_id, trace.outcome).inc()
        if not decision.assessment.verdict.agreed:
            self.metrics.disagreements.inc()
            log().error("engines-disagree", hook=hook)
        self.metrics.cards.labels(hook, "shown").inc(len(decision.cards.cards))
        for suppressed in decision.cards.suppressed:
            self.metrics.cards.labels(hook, "suppressed").inc()
            self.metrics.rules.labels(hook, suppressed.rule_id, "suppressed").inc()

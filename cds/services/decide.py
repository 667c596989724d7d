"""One evaluation as a pure function: the same input and knowledge give the same cards.

A live hook call and `imatinib-tdm replay` both come through here; the input is exactly what the
ledger keeps.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from cds.assess import Assessment, assess
from cds.cards import Answer, CardContent, CardSet, Outcome, QuietPolicy, ReportLink, cards_for
from cds.clinical.finding import Severity
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.services.gathering import Gathered, gather_record
from cds.services.knowledge import Knowledge


class EvaluationInput(Struct, frozen=True):
    """Everything a decision depends on, in values that JSON can hold."""

    evaluation: str
    at: datetime
    client: str
    base_url: str
    setting: Setting
    patient_id: str
    context: Mapping[str, Any]
    resources: Mapping[str, Any]
    """Prefetch key -> resource as sent or fetched; None where the client says there is no data."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Prefetch key -> why it, or a part of it, could not be obtained."""
    answers: tuple[Answer, ...] = ()
    report_link: ReportLink = "absolute"

    def to_json(self) -> dict[str, Any]:
        """Return the value for the ledger."""
        return {
            "evaluation": self.evaluation,
            "at": self.at.isoformat(),
            "client": self.client,
            "baseUrl": self.base_url,
            "reportLink": self.report_link,
            "setting": {
                "occasion": self.setting.occasion.value,
                "jurisdiction": self.setting.jurisdiction.value,
                "timeZone": self.setting.time_zone,
                "paediatricDoses": self.setting.paediatric_doses,
            },
            "patientId": self.patient_id,
            "context": dict(self.context),
            "resources": {key: sent for key, sent in self.resources.items() if sent is not None},
            "noData": [key for key, sent in self.resources.items() if sent is None],
            "unavailable": dict(self.unavailable),
            "answers": [
                {
                    "rule": answer.rule_id,
                    "state": answer.state_digest,
                    "outcome": answer.outcome.value,
                    "at": answer.at.isoformat(),
                    "severity": answer.severity.name.lower(),
                }
                for answer in self.answers
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EvaluationInput:
        """Read what `to_json` wrote."""
        setting = value["setting"]
        return cls(
            evaluation=value["evaluation"],
            at=datetime.fromisoformat(value["at"]),
            client=value["client"],
            base_url=value["baseUrl"],
            setting=Setting(
                Occasion(setting["occasion"]),
                Jurisdiction(setting["jurisdiction"]),
                setting["timeZone"],
                setting["paediatricDoses"],
            ),
            patient_id=value["patientId"],
            context=value["context"],
            # Earlier versions wrote null for no data.
            resources={**value["resources"], **dict.fromkeys(value.get("noData", ()))},
            unavailable=value["unavailable"],
            answers=tuple(
                Answer(
                    row["rule"],
                    row["state"],
                    Outcome(row["outcome"]),
                    datetime.fromisoformat(row["at"]),
                    Severity[row["severity"].upper()],
                )
                for row in value["answers"]
            ),
            report_link=value.get("reportLink", "absolute"),  # before there was a choice
        )


class Decision(Struct, frozen=True):
    """What was concluded; `assessment` is None when the monitored drug appears nowhere."""

    assessment: Assessment | None
    cards: CardSet

    @property
    def response(self) -> dict[str, Any]:
        """The CDS Hooks response."""
        return self.cards.to_wire()


def decide(given: EvaluationInput, knowledge: Knowledge) -> Decision:
    """Read the record, assess it, and write the cards."""
    gathered = gather_record(given, knowledge)
    if not gathered.record.mentions_drug:
        return Decision(None, CardSet(()))
    return _decide_gathered(given, gathered, knowledge)


def new_evaluation_id() -> str:
    """Return an opaque id: it says nothing about the patient."""
    return str(uuid.uuid4())


def _decide_gathered(given: EvaluationInput, gathered: Gathered, knowledge: Knowledge) -> Decision:
    rulebook = knowledge.rulebook
    assessment = assess(gathered.record, rulebook, knowledge.models, given.setting, now=given.at)
    cards = cards_for(
        assessment,
        gathered.resources,
        content=CardContent.of(rulebook, given.setting.jurisdiction),
        evaluation_id=given.evaluation,
        base_url=given.base_url,
        client=given.client,
        report_link=given.report_link,
        answered=given.answers,
        policy=QuietPolicy(rule_snooze_days=rulebook.snooze_days),
    )
    return Decision(assessment, cards)

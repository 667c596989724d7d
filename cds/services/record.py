"""A decision as the ledger keeps every decision, whatever caused it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cds.services.counting import counted
from cds.services.decide import Decision, EvaluationInput
from cds.services.trace import assessment_json, suppressed_json
from cds.store import CardRow, LedgerEntry
from cds.store.jsontext import Written, canonical, encode


def ledger_entry(
    given: EvaluationInput,
    decision: Decision,
    response: Mapping[str, Any],
    *,
    cause: str,
    user: str | None = None,
    deviations: tuple[str, ...] = (),
) -> LedgerEntry:
    """Return the entry; `cause` names the hook call or the run of work that asked.

    Raises ValueError for a decision without an assessment, which is not recorded.
    """
    assessment = decision.assessment
    if assessment is None:
        raise ValueError("a decision without an assessment is not recorded")
    versions = assessment.versions
    written = encode(given.to_json())
    return LedgerEntry(
        evaluation=given.evaluation,
        at=given.at,
        client=given.client,
        hook=given.setting.occasion.value,
        hook_instance=cause,
        patient=given.patient_id,
        user=user,
        input_digest=_digest(written),
        rulebook_revision=versions.rulebook,
        rulebook_version=versions.rulebook_version,
        models=versions.models,
        code_version=versions.code,
        body={
            "input": Written(written),
            "response": response,
            "suppressed": suppressed_json(decision.cards.suppressed),
            "decision": assessment_json(assessment),
        },
        cards=_card_rows(decision),
        suppressed=len(decision.cards.suppressed),
        counted=counted(decision),
        deviations=deviations,
    )


def is_input(given: Mapping[str, Any], digest: str) -> bool:
    """Whether a decision with this input digest was made of what is recorded as its input.

    Earlier versions took the digest with the names in alphabetical order.
    """
    return digest == _digest(encode(given)) or digest == _digest(canonical(given))


def _digest(written: bytes) -> str:
    return hashlib.sha256(written).hexdigest()


def _card_rows(decision: Decision) -> tuple[CardRow, ...]:
    return tuple(
        CardRow(
            uuid=card.uuid,
            matter=card.source.topic.code if card.source.topic else "",
            indicator=card.indicator,
            findings=tuple(
                {
                    "rule": state.rule_id,
                    "revision": state.revision,
                    "subject": state.subject,
                    "severity": state.severity.indicator,
                    "state": state.state_digest,
                }
                for state in decision.cards.state_digests
                if state.card_uuid == card.uuid
            ),
            suggestions=tuple(suggestion.uuid for suggestion in card.suggestions),
        )
        for card in decision.cards.cards
    )

"""The clinical state a finding speaks about, as a digest.

Feedback on a card answers a finding *in a clinical state*: another level, another dose, a worse
count is another state and speaks again. What merely moves with the calendar (days since, age) or
with the screen (the hook, the draft's id) is not a state, or every answer would be forgotten by the
next morning or between selecting and signing the same order.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence

from cds.cards.trace import Matched
from cds.clinical.finding import Finding

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cds-hooks.hl7.org/card").bytes

_CALENDAR = ("_days", "_days_ago", "_years", "months_on_drug", "week", "pdc_percent")
"""Endings of attributes that change with time alone; so does coverage, as its window moves."""
_SCREEN = {"setting"}
_PASSING = {
    "order": {"reference"},
    "medicine": {"reference", "new", "pair_new"},
    "lab": {"recent"},
}
"""Attributes that a draft loses when it is signed, or that change as days pass."""
_MEASURED = {"level": ("reference", "status", "value_ng_ml")}
"""What was measured is state even where a rule looks only at what was made of it."""
_MODELLED = {"exposure", "order", "proposal", "adherence"}
_MODELLED_OF_LEVEL = ("percentile", "trough_ng_ml", "trough_low_ng_ml", "trough_high_ng_ml")
_MODEL_DIGITS = 2
"""Significant digits of modelled numbers: a refit that moves the trough by 3 ng/mL is no news."""


def state_digest(finding: Finding, matched: Iterable[Matched]) -> str:
    """Return a short digest of what the finding rests on; equal means nothing relevant changed."""
    facts = sorted(_essence(item) for item in matched if item.fact.kind not in _SCREEN)
    content = [
        finding.rule_id,
        finding.revision,
        finding.matter,
        finding.subject,
        int(finding.severity),
        facts,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def card_uuid(client: str, patient_id: str, digests: Sequence[str]) -> str:
    """Return the card's uuid: the same patient in the same state keeps the same card.

    A one-way digest, so that the uuid does not carry the patient's id to wherever it is logged.
    """
    content = json.dumps([client, patient_id, sorted(digests)])
    return _uuid5(_NAMESPACE, hashlib.sha256(content.encode()).hexdigest())


def suggestion_uuid(card: str, label: str) -> str:
    """Return the suggestion's uuid: the same offer on the same card keeps it."""
    return _uuid5(bytes.fromhex(card.replace("-", "")), label)


def _uuid5(namespace: bytes, name: str) -> str:
    """The text of `uuid.uuid5`, without the numbers and objects it makes on the way."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _essence(item: Matched) -> str:
    """The part of a matched fact that is clinical state, as text that can be compared."""
    fact = item.fact
    said = {n: fact.values.get(n) for n in _MEASURED.get(fact.kind, ())} | dict(item.values)
    passing = _PASSING.get(fact.kind, ())
    kept = []
    for name in sorted(said):
        if name in passing or name.endswith(_CALENDAR):
            continue
        value = said[name]
        if name == "state" and value == "draft":
            value = "active"  # signing an order that was answered as a draft is no news
        if isinstance(value, float) and _is_modelled(fact.kind, name):
            value = float(f"{value:.{_MODEL_DIGITS}g}")
        kept.append((name, value))
    return json.dumps([fact.kind, kept])


def _is_modelled(kind: str, name: str) -> bool:
    if kind == "level":
        return name in _MODELLED_OF_LEVEL
    return kind in _MODELLED and not name.endswith("_mg")

"""A small rulebook for tests: two diseases, four rules, one table that differs by jurisdiction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Fact, Rulebook, catalogue
from cds.rulebook.facts import Value
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.rulebook import load_files

SETTING = Setting(Occasion.ORDER_SIGN, Jurisdiction.US)

SMALL = Path(__file__).with_name("data") / "small"
TEXTS = {
    path.relative_to(SMALL).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(SMALL.rglob("*.yaml"))
}
LOW = TEXTS["trough/low.yaml"]
TARGETS = TEXTS["tables/targets.yaml"]


def files(changes: Mapping[str, str | None] | None = None) -> dict[str, bytes]:
    """The small rulebook's files, some replaced, added or (None) left out."""
    texts = {**TEXTS, **(changes or {})}
    return {name: text.encode() for name, text in texts.items() if text is not None}


def rulebook(changes: Mapping[str, str | None] | None = None) -> Rulebook:
    """The small rulebook, loaded with its tests."""
    return load_files(files(changes), with_tests=True)


def scene(*given: Mapping[str, Value]) -> list[Fact]:
    """Facts as tests write them (`is` names the kind), completed with neutral ones."""
    kinds = catalogue().kinds
    facts = []
    for entry in given:
        values = dict(entry)
        kind = kinds[str(values.pop("is"))]
        facts.append(with_neutral_values(kind, values))
    present = {fact.kind for fact in facts}
    facts += [with_neutral_values(k, {}) for k in catalogue() if k.one and k.name not in present]
    return facts


CML = {"is": "course", "disease": "cml"}
LOW_LEVEL = {
    "is": "level", "gate": "trough", "trough_ng_ml": 720, "age_days": 2, "reported": "720 ng/mL",
    "reference": "Observation/1",
}  # fmt: skip
RIFAMPICIN = {"is": "medicine", "ingredient": "rifampicin", "name": "Rifampicin", "current": True}
INDUCER = {"is": "interaction", "ingredient": "rifampicin", "effect": "inducer"}

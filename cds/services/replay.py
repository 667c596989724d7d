"""Make a recorded decision again and compare it with what was answered then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge
from cds.services.record import is_input
from cds.store import Store
from cds.store.jsontext import canonical


class CannotReplay(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The decision cannot be made again; the message says why and what would help."""


class Replayed(Struct, frozen=True):
    """The replayed response and where it differs from the recorded one."""

    response: Mapping[str, Any]
    rulebook: str
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the answer is the same."""
        return not self.differences

    @property
    def cards(self) -> int:
        """The number of cards."""
        return len(self.response["cards"])


def replay(store: Store, knowledge_of: Callable[[str], Knowledge], evaluation: str) -> Replayed:
    """Decide again on the recorded input at the recorded time.

    `knowledge_of` finds the rulebook of a revision, as far as it is still there.
    """
    stored = store.decision(evaluation)
    if stored is None:
        raise CannotReplay(f"there is no evaluation {evaluation} in this ledger")
    if stored.body is None:
        raise CannotReplay("the clinical content of this decision is past its retention time")
    knowledge = knowledge_of(stored.rulebook_revision)
    revision = knowledge.rulebook.revision
    if stored.rulebook_revision != revision:
        raise CannotReplay(
            f"the decision was made with rulebook {stored.rulebook_version}, "
            f"revision {stored.rulebook_revision[:12]}; loaded is {revision[:12]}. "
            "Check that revision out and pass it with --rules."
        )
    given = stored.body["input"]
    if not is_input(given, stored.input_digest):
        raise CannotReplay("the recorded input does not match its digest")
    decision = decide(EvaluationInput.from_json(given), knowledge)
    response = decision.response
    differences = [
        f"model {name} has changed since"
        for name, digest in stored.models.items()
        if name not in knowledge.models or knowledge.models[name].digest != digest
    ]
    recorded = stored.body["response"]
    if canonical(response) != canonical(recorded):
        differences.extend(_differences(recorded["cards"], response["cards"]))
    return Replayed(response, revision, tuple(differences))


def _differences(before: list[Any], after: list[Any]) -> list[str]:
    said = [f"{len(before)} card(s) then, {len(after)} now"] if len(before) != len(after) else []
    for number, (old, new) in enumerate(zip(before, after, strict=False), start=1):
        changed = [
            name
            for name in sorted({*old, *new})
            if canonical(old.get(name)) != canonical(new.get(name))
        ]
        said.extend(f"card {number}: {name} differs" for name in changed)
    return said

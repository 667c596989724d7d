"""What decisions are made with: one rulebook revision and the population models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pk
from cds import content
from cds.assess.exposure import ModelLibrary
from cds.rulebook import Rulebook, RulebookError, load
from cds.settings import Settings


class KnowledgeError(Exception):
    """The rulebook or a model cannot be used; the message lists what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One rulebook revision with the models it may ask; immutable, so that a reload is a swap."""

    rulebook: Rulebook
    models: ModelLibrary
    snooze_days: Mapping[str, int] = field(default_factory=dict)
    """Rules whose answered cards stay quiet for another time than their severity says."""


def rules_path(settings: Settings) -> Path:
    """Where the rulebook in force stands."""
    return settings.rules or content.rules_dir()


def load_knowledge(settings: Settings) -> Knowledge:
    """Load the rulebook of the settings and all models that the product ships."""
    try:
        rulebook = load(rules_path(settings))
    except RulebookError as error:
        raise KnowledgeError(str(error)) from None
    except FileNotFoundError as error:
        raise KnowledgeError(str(error)) from None
    return knowledge_of(rulebook)


def knowledge_of(rulebook: Rulebook) -> Knowledge:
    """Join a rulebook with the models."""
    try:
        models = {name: pk.load_model(name) for name in pk.list_models()}
    except pk.errors.PkError as error:
        raise KnowledgeError(str(error)) from None
    return Knowledge(rulebook, models)

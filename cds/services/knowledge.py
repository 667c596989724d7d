"""What decisions are made with: one rulebook revision and the population models.

While serving, the rulebook directory is followed: an edit that passes its tests takes over, and
every call keeps the revision it began with. Each revision that ever served stays on a shelf in the
data directory, so that old decisions can be replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct

import pk
from cds import content
from cds.assess.exposure import ModelLibrary
from cds.rulebook import Rulebook, RulebookError, load
from cds.rulebook.live import LiveRulebook, LiveStatus
from cds.rulebook.rulebook import load_files
from cds.rulebook.shelf import Shelf, ShelfError
from cds.settings import Settings
from cds.telemetry import log

_SHELF = "rulebook"
_REMARKS_LOGGED = 5
"""Of one refused edit; all of them stand at `/rules` and in `rules status`."""


class KnowledgeError(Exception):
    """The rulebook or a model cannot be used; the message lists what is wrong and where."""


class Knowledge(Struct, frozen=True):
    """One rulebook revision with the models it may ask; immutable, so that a reload is a swap."""

    rulebook: Rulebook
    models: ModelLibrary


class LiveKnowledge:
    """The knowledge in force; build it before workers fork, follow in each of them."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._shelf = Shelf(shelf_path(settings))
        self._models = load_models()
        self._clock = clock
        try:
            self._live = LiveRulebook(
                rules_path(settings), self._shelf, clock, on_change=self._warm_up, tell=_tell
            )
        except (RulebookError, ShelfError, FileNotFoundError) as error:
            raise KnowledgeError(str(error)) from None

    @property
    def current(self) -> Knowledge:
        """The knowledge that serves now; hold it for the length of a call."""
        return Knowledge(self._live.current, self._models)

    @property
    def status(self) -> LiveStatus:
        """What serves, and which edit was refused."""
        return self._live.status

    def follow(self) -> None:
        """Watch the directory in a thread of this process; call it after a fork."""
        self._live.follow()

    def look(self) -> bool:
        """Look at the directory once; True if another revision serves now."""
        return self._live.poll()

    def stop(self) -> None:
        """End the thread and give back compiled programs."""
        self._live.stop()
        self._live.current.close()

    def _warm_up(self, rulebook: Rulebook) -> None:
        from cds.services.warmup import leave_out_of_garbage_search, warm_up

        warm_up(Knowledge(rulebook, self._models), self._clock())
        leave_out_of_garbage_search()


def _tell(status: LiveStatus) -> None:
    """Say in the log which revision serves now, or which edit was refused and where to mend it."""
    if status.refused is None:
        log().info("rulebook-serves", revision=status.revision, status=status.why)
        return
    for remark in status.refused.remarks[:_REMARKS_LOGGED]:
        log().error(
            "rulebook-refused",
            revision=status.refused.revision,
            count=len(status.refused.remarks),
            path=str(remark.place),
            problem=f"{remark.code} {remark.message}",
        )


def rules_path(settings: Settings) -> Path:
    """Where the rulebook in force stands."""
    return settings.rules or content.rules_dir()


def shelf_path(settings: Settings) -> Path:
    """Where the revisions that served are kept."""
    return settings.data_dir / _SHELF


def load_knowledge(settings: Settings) -> Knowledge:
    """Load the rulebook directory of the settings and all models that the product ships."""
    try:
        return Knowledge(load(rules_path(settings)), load_models())
    except (RulebookError, FileNotFoundError) as error:
        raise KnowledgeError(str(error)) from None


def knowledge_of_revision(settings: Settings, revision: str) -> Knowledge:
    """Load a revision that served before, from the shelf or from the directory."""
    try:
        files = Shelf(shelf_path(settings)).files(revision)
        return Knowledge(load_files(files), load_models())
    except ShelfError:
        return load_knowledge(settings)
    except RulebookError as error:
        raise KnowledgeError(str(error)) from None


def load_models() -> ModelLibrary:
    """Load all models that the product ships."""
    try:
        return {name: pk.load_model(name) for name in pk.list_models()}
    except pk.errors.PkError as error:
        raise KnowledgeError(str(error)) from None

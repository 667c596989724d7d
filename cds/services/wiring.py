"""The composition root: settings in, everything the service needs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cds.services.answer import Answered, HookDesk
from cds.services.call import Caller, HookCall
from cds.services.catalogue import ServiceDescription, catalogue_for
from cds.services.clock import Clock
from cds.services.knowledge import Knowledge, KnowledgeError, LiveKnowledge, load_knowledge
from cds.services.obtain import Obtainer
from cds.services.worklist import Inbox
from cds.settings import Settings
from cds.store import Cipher, CipherError, Database, DatabaseError, Store, read_or_create_key
from cds.store.cipher import parse_key
from cds.telemetry import Metrics, error_fields, log

_KEY_FILE = "ledger.key"


class SetupFailed(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The service cannot start; the message says what to do."""


@dataclass
class Services:
    """Everything the doors of the product (web, command line, alerts) work with."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    desk: HookDesk
    current_knowledge: Callable[[], Knowledge] = field(repr=False)
    live: LiveKnowledge | None = field(default=None, repr=False)
    inbox: Inbox | None = field(default=None, repr=False)
    """Where alerts stand; None where nobody tells of new levels."""

    @property
    def knowledge(self) -> Knowledge:
        """The rulebook and models in force; hold them for the length of a call."""
        return self.current_knowledge()

    @property
    def catalogue(self) -> tuple[ServiceDescription, ...]:
        """The services as discovery lists them."""
        return catalogue_for(self.knowledge.rulebook)

    def answer(self, call: HookCall, caller: Caller, *, started: float) -> Answered:
        """Answer a hook call with the knowledge in force."""
        return self.desk.answer(call, caller, self.knowledge, started=started)

    def problems(self) -> Mapping[str, str]:
        """What keeps the service from answering now: part -> why."""
        database = self.store.database
        found = {"database": database.check() or database.unwritable()}
        if self.live is not None:
            found["rulebook"] = self.live.status.trouble
        return {part: why for part, why in found.items() if why}

    def rulebook_status(self) -> tuple[str, ...]:
        """Which revision serves and why an edit does not, as lines for people."""
        if self.live is not None:
            return self.live.status.words()
        return (f"revision {self.knowledge.rulebook.revision[:12]} serves",)

    def close(self) -> None:
        """Give back what is held."""
        if self.live is not None:
            self.live.stop()
        self.store.database.close()


def prepare(settings: Settings) -> LiveKnowledge:
    """Check, before any worker starts, that the service can start; bring SQLite up to date.

    What it returns may cross a fork: rule programs are compiled where they are first used.
    """
    try:
        store = open_store(settings)
        problem = store.database.check()
        if problem and settings.uses_sqlite:
            # A laptop has nobody who would run the migration first.
            from cds.store.migrate import upgrade

            upgrade(store.database)
            problem = store.database.check()
        store.database.close()
    except (DatabaseError, CipherError) as error:
        raise SetupFailed(str(error)) from None
    if problem:
        raise SetupFailed(problem)
    return live_knowledge(settings)


def live_knowledge(settings: Settings) -> LiveKnowledge:
    """The knowledge in force, for a process that stays and follows edits."""
    try:
        return LiveKnowledge(settings, Clock().now)
    except KnowledgeError as error:
        raise SetupFailed(str(error)) from None


def build_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    knowledge: LiveKnowledge | Knowledge | None = None,
    store: Store | None = None,
    obtainer: Obtainer | None = None,
) -> Services:
    """Build the services of one process; call it after a fork.

    `knowledge` may be what `prepare` returned; fixed knowledge is for commands and tests.
    """
    clock = clock or Clock()
    metrics = Metrics()
    try:
        store = store or open_store(settings)
        knowledge = knowledge or load_knowledge(settings)
    except (DatabaseError, CipherError, KnowledgeError) as error:
        raise SetupFailed(str(error)) from None
    live = knowledge if isinstance(knowledge, LiveKnowledge) else None
    return Services(
        settings=settings,
        clock=clock,
        metrics=metrics,
        store=store,
        desk=HookDesk(settings, clock, metrics, store, obtainer or Obtainer(clock)),
        current_knowledge=_source_of(knowledge),
        live=live,
    )


def _source_of(knowledge: LiveKnowledge | Knowledge) -> Callable[[], Knowledge]:
    if isinstance(knowledge, LiveKnowledge):
        return lambda: knowledge.current
    return lambda: knowledge


def forget_what_is_over(services: Services) -> None:
    """Remove expired tokens and clinical content past retention; a worker does so as it starts."""
    try:
        services.store.purge(
            services.clock.now(), timedelta(days=services.settings.ledger.retention_days)
        )
    except DatabaseError as error:
        # Another worker does it at this moment, or the next one will: no reason not to serve.
        log().warning("purge-failed", **error_fields(error))


def open_store(settings: Settings) -> Store:
    """Open the store with the ledger key of the settings."""
    return Store(Database(settings.database), Cipher(_ledger_key(settings)))


def _ledger_key(settings: Settings) -> bytes:
    ledger = settings.ledger
    if ledger.key is not None:
        return parse_key(ledger.key.get_secret_value())
    if ledger.key_file is not None:
        try:
            return parse_key(ledger.key_file.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            raise CipherError(f"ledger.key_file {ledger.key_file} cannot be read") from None
    if not settings.uses_sqlite:
        # Several machines share this database; a key made up here would lock the others out.
        raise CipherError(
            "a shared database needs a ledger key: set IMATINIB_TDM_LEDGER_KEY "
            "or ledger.key_file (64 hexadecimal digits, for instance from `openssl rand -hex 32`)"
        )
    return read_or_create_key(settings.data_dir / _KEY_FILE)

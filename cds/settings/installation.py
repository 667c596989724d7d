"""What is set for one installation, and what it means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cds.clinical.setting import Jurisdiction
from cds.settings.checks import Secret, https_or_own, known_zone
from cds.settings.client import ClientSettings, Limits, Reading
from cds.settings.section import Section


class LedgerSettings(Section):
    """How decisions are kept."""

    key: Secret | None = None
    """Key that seals recorded decisions; better from `key_file` or the environment."""
    key_file: Path | None = None
    """File with the key; without any key one is made in `data_dir`."""
    retention_days: Annotated[int, Field(ge=1)] = 3650
    """Age after which `db purge` removes the content of decisions; the bare fact stays."""


class ServerSettings(Section):
    """How the processes run; `tls_*` or `behind_tls_proxy` is needed off loopback."""

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Processes."""
    threads: Annotated[int, Field(ge=1, le=32)] = 8
    """Threads of each process; deciding takes turns, waiting for FHIR servers does not."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM), if this service ends TLS itself."""
    tls_key: Path | None = None
    """Private key of the certificate (PEM)."""
    behind_tls_proxy: bool = False
    """A proxy in front of this service ends TLS."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("give both of tls_certificate and tls_key, or neither")
        return self


class Settings(Section):
    """The settings of one installation."""

    site: str = "local"
    """Name of the installation."""
    time_zone: str = "UTC"
    """For clock times that come without a zone, e.g. `Europe/Zurich`."""
    jurisdiction: Jurisdiction = Jurisdiction.US
    """Whose label applies where labels conflict: `us` or `eu`."""
    paediatric_doses: bool = False
    """Show dose numbers of the models for children; published models are biased there."""
    public_base_url: str = "http://127.0.0.1:8000"
    """Address under which clients call this service; links and token audiences begin with it."""
    data_dir: Path = Field(default_factory=lambda: _user_data_dir())
    """Database, keys and active rulebook. Default: `imatinib-tdm` in the user's data directory."""
    database_url: str | None = None
    """SQLAlchemy URL of PostgreSQL; without it SQLite in `data_dir`."""
    rules: Path | None = None
    """Directory of the rulebook; without it the one that was installed."""
    rules_draft: Path | None = None
    """Directory of an edited copy that serves nobody: `/rules/changes` compares it."""
    ledger: LedgerSettings = LedgerSettings()
    """How decisions are kept."""
    server: ServerSettings = ServerSettings()
    """How the processes run."""
    deadline_s: Annotated[float, Field(gt=0.1, le=10)] = 1.5
    """Seconds within which every call is answered, whatever the FHIR server does."""
    cors_origins: tuple[str, ...] = ()
    """Origins of browser clients; loopback origins need none while no client is registered."""
    metrics_token: Secret | None = None
    """Bearer token for `/metrics`; without it only this machine may read them."""
    loopback_reading: Reading = "lenient"
    """How calls are read while no client is registered."""
    loopback_limits: Limits = Limits(requests_per_second=1000.0, burst=2000)
    """Limits while no client is registered."""
    clients: tuple[ClientSettings, ...] = ()
    """Registered clients. With at least one, every call needs a token."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        return known_zone(zone)

    @field_validator("public_base_url")
    @classmethod
    def _absolute_base(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an absolute http(s) URL such as https://tdm.example.org")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("must not carry a user, a query or a fragment")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _sign_in_is_not_overheard(self) -> Self:
        if any(c.smart or c.report_link_minutes for c in self.clients):
            try:
                https_or_own(self.public_base_url)
            except ValueError:
                raise ValueError("public_base_url must be https where users sign in") from None
        bases = [c.fhir_base for c in self.clients if c.smart]
        if len(set(bases)) < len(bases):
            raise ValueError("two clients with smart share a fhir_base: a launch names only that")
        return self

    @field_validator("clients")
    @classmethod
    def _distinct_clients(cls, clients: tuple[ClientSettings, ...]) -> tuple[ClientSettings, ...]:
        for what in ("id", "issuer"):
            seen = [getattr(client, what) for client in clients]
            twice = sorted({value for value in seen if seen.count(value) > 1})
            if twice:
                raise ValueError(f"two clients share the {what} {twice[0]!r}")
        return clients

    def client(self, client_id: str) -> ClientSettings | None:
        """The registered client of an id."""
        return next((client for client in self.clients if client.id == client_id), None)

    def report_link(self, client_id: str) -> Literal["smart", "absolute", "none"]:
        """How a client's cards lead to their report; without clients this machine sees all."""
        client = self.client(client_id)
        if client is not None:
            return client.report_link
        return "none" if self.clients else "absolute"

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'tdm.sqlite3'}"

    @property
    def uses_sqlite(self) -> bool:
        """Whether everything is kept in one file on this machine."""
        return self.database.startswith("sqlite")


def _user_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "imatinib-tdm"

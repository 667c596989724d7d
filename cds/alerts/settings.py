"""Which FHIR servers tell us of new levels, and whom we tell: the alerts file.

One YAML file, named by `IMATINIB_TDM_ALERTS` or found as `alerts.yaml` in the data directory.
Without it nothing is received and nothing is sent. Secrets stand in files of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from cds.clinical.finding import Severity
from cds.settings import Settings, SettingsError, explain, read_yaml
from cds.settings.checks import Secret

_VARIABLE = "IMATINIB_TDM_ALERTS"
_FILE = "alerts.yaml"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

WriteBack = Literal[
    "task", "detected-issue", "communication", "risk-assessment", "guidance-response", "flag"
]
Algorithm = Literal["ES384", "RS384"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(_Section):
    """An address that is told of every alert, with a signature over the body."""

    url: str
    secret: Secret | None = None
    secret_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _safe_url(cls, url: str) -> str:
        return safe_address(url)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("give exactly one of secret and secret_file")
        return self


class BackendClient(_Section):
    """How we prove who we are to the FHIR server (SMART Backend Services, private_key_jwt)."""

    client_id: Annotated[str, Field(min_length=1)]
    token_url: str
    key_file: Path
    key_id: Annotated[str, Field(min_length=1)]
    algorithm: Algorithm = "ES384"
    scope: str = "system/*.rs system/Task.crus"

    @field_validator("token_url")
    @classmethod
    def _safe_url(cls, url: str) -> str:
        return safe_address(url)


class FhirServer(_Section):
    """One FHIR server. `id` is the id of its CDS client, so that hooks and alerts share cards."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    fhir_base: str
    endpoint: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    """The unguessable last part of the notification address."""
    secret: Secret | None = None
    """What the server sends as `Authorization: Bearer ...` with each notification."""
    secret_file: Path | None = None
    backend: BackendClient | None = None
    deliver: tuple[WriteBack, ...] = ("task",)
    least: Literal["info", "warning", "critical"] = "info"
    """The mildest severity that is delivered; the built-in inbox holds all."""
    owner: str | None = None
    """Whose worklist a Task goes to, such as `Organization/pharmacy`."""
    webhook: Webhook | None = None
    preliminary: Literal["wait", "mark"] = "wait"
    poll_minutes: Annotated[float, Field(gt=0)] | None = None
    """Ask for new levels this often, for servers without subscriptions."""
    patient_identifier_system: str | None = None
    """The identifier system of the patient numbers in HL7 v2 messages."""

    @field_validator("fhir_base")
    @classmethod
    def _safe_base(cls, url: str) -> str:
        return safe_address(url)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("give exactly one of secret and secret_file")
        return self

    @property
    def least_severity(self) -> Severity:
        """The mildest severity that is delivered."""
        return Severity[self.least.upper()]


class MllpListener(_Section):
    """Where HL7 v2 messages are accepted, and whose patients they are about."""

    server: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 2575

    @field_validator("host")
    @classmethod
    def _on_this_machine(cls, host: str) -> str:
        if host not in _LOOPBACK:
            raise ValueError("MLLP has no authentication: listen on 127.0.0.1 behind a TLS tunnel")
        return host


class AlertSettings(_Section):
    """All servers, and how patiently and how widely work is done."""

    servers: tuple[FhirServer, ...] = ()
    mllp: MllpListener | None = None
    embedded_worker: bool = True
    """Whether `serve` works off the queue itself, or leaves it to `imatinib-tdm worker`."""
    threads: Annotated[int, Field(ge=1, le=32)] = 8
    """How much work is in hand at once in one process; most of it waits for the FHIR server."""
    lease_s: Annotated[float, Field(ge=0.5, le=600)] = 60.0
    """A worker that does not finish within this time is taken for dead."""
    settle_s: Annotated[float, Field(ge=0, le=60)] = 0.5
    """How long to wait for further levels of the same patient."""
    poll_s: Annotated[float, Field(gt=0, le=60)] = 0.2
    give_up_hours: Annotated[float, Field(ge=72)] = 72.0
    heartbeat_s: Annotated[int, Field(ge=0)] = 300

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what in ("id", "endpoint"):
            values = [getattr(server, what) for server in self.servers]
            if len(set(values)) != len(values):
                raise ValueError(f"two servers share one {what}")
        if self.mllp is not None:
            server = self.server(self.mllp.server)
            if server is None:
                raise ValueError(f"mllp.server {self.mllp.server!r} is not one of the servers")
            if server.patient_identifier_system is None:
                # The same number under another system is another patient.
                raise ValueError(f"server {server.id!r} needs a patient_identifier_system for mllp")
        return self

    def server(self, name: str) -> FhirServer | None:
        """The server with this id."""
        return next((server for server in self.servers if server.id == name), None)


def load_alert_settings(settings: Settings, env: Mapping[str, str] | None = None) -> AlertSettings:
    """Read the alerts file; the empty settings when there is none."""
    env = os.environ if env is None else env
    path = alerts_path(settings, env)
    if not env.get(_VARIABLE) and not path.is_file():
        return AlertSettings()
    return read_alert_settings(path)


def alerts_path(settings: Settings, env: Mapping[str, str] | None = None) -> Path:
    """Where the alerts file is, or would be."""
    named = (os.environ if env is None else env).get(_VARIABLE)
    return Path(named) if named else settings.data_dir / _FILE


def read_alert_settings(path: Path) -> AlertSettings:
    """Read an alerts file; SettingsError names the file, the field and the cure."""
    try:
        found = AlertSettings.model_validate(read_yaml(path))
    except ValidationError as error:
        raise SettingsError(explain(str(path), error)) from None
    return _with_secrets(found, path.resolve().parent)


def safe_address(url: str) -> str:
    """An https address, or http on this machine; without user, query or fragment."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not plain):
        raise ValueError("must be an https address (http only on this machine)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry a user, a query or a fragment")
    return url.rstrip("/")


def _with_secrets(found: AlertSettings, base: Path) -> AlertSettings:
    """Read the secret files and resolve the key files beside the alerts file."""
    servers = []
    for server in found.servers:
        update: dict[str, object] = {}
        if server.secret_file:
            update |= {"secret": _secret(base / server.secret_file), "secret_file": None}
        if server.webhook and server.webhook.secret_file:
            secret = _secret(base / server.webhook.secret_file)
            update["webhook"] = Webhook(url=server.webhook.url, secret=secret)
        if server.backend:
            key = base / server.backend.key_file
            update["backend"] = server.backend.model_copy(update={"key_file": key})
        servers.append(server.model_copy(update=update))
    return found.model_copy(update={"servers": tuple(servers)})


def _secret(path: Path) -> SecretStr:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path}: the secret file cannot be read") from None
    if not secret:
        raise SettingsError(f"{path}: the secret file is empty")
    return SecretStr(secret)

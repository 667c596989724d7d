"""Everything a site can set, read once from one YAML file and the environment.

The file is named by `--settings` or `IMATINIB_TDM_SETTINGS`; without one the service runs with the
defaults below, which are meant for a laptop: SQLite in the user's data directory, no registered
client, loopback only. Secrets never need to stand in the file: each may come from a file of its own
or from the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from cds.clinical.setting import Jurisdiction

Reading = Literal["strict", "lenient"]

_SETTINGS_VARIABLE = "IMATINIB_TDM_SETTINGS"
_OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_MEBIBYTE = 1024 * 1024

# Environment variable -> place in the settings; the environment wins over the file.
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "IMATINIB_TDM_DATA_DIR": ("data_dir",),
    "IMATINIB_TDM_DATABASE_URL": ("database_url",),
    "IMATINIB_TDM_RULES": ("rules",),
    "IMATINIB_TDM_PUBLIC_BASE_URL": ("public_base_url",),
    "IMATINIB_TDM_LEDGER_KEY": ("ledger", "key"),
    "IMATINIB_TDM_METRICS_TOKEN": ("metrics_token",),
}


class SettingsError(Exception):
    """The settings cannot be used; the message names the file, the field and the cure."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Limits(_Section):
    """What one client may send and how often."""

    body_bytes: Annotated[int, Field(gt=0, le=16 * _MEBIBYTE)] = 2 * _MEBIBYTE
    """Largest request body; larger ones are answered 413."""
    requests_per_second: Annotated[float, Field(gt=0)] = 50.0
    """Sustained rate of one client over all workers; above it 429."""
    burst: Annotated[int, Field(gt=0)] = 100
    """Requests a client may send at once before the rate counts."""


class SmartSettings(_Section):
    """How the users of a client sign in from their EHR (SMART App Launch).

    With `client_secret` or `key_file` this service is a confidential client, without both a public
    one; PKCE is used always.
    """

    client_id: Annotated[str, Field(min_length=1)]
    """What this service is called at the EHR's authorization server."""
    client_secret: SecretStr | None = None
    """The secret it was given there; better kept in a file."""
    client_secret_file: Path | None = None
    """The file with that secret."""
    key_file: Path | None = None
    """The private key (PEM) of private_key_jwt; its public half is registered at the EHR."""
    key_id: str | None = None
    """The `kid` of that key at the EHR."""
    algorithm: Literal["ES384", "RS384"] = "ES384"
    """What that key signs with."""
    scopes: tuple[str, ...] = ("launch", "openid", "fhirUser")
    """What is asked for; no data are read with it."""
    issuer: str | None = None
    """Who signs the id_token, where that is not what the EHR's configuration names."""
    origins: tuple[str, ...] = ()
    """Where the EHR's authorization server is, when not on the origin of the FHIR base."""
    worklist_users: tuple[str, ...] = ()
    """Who sees the alerts and reports of all patients, such as Practitioner/7; `*` is everyone."""
    session_minutes: Annotated[int, Field(ge=5, le=720)] = 60
    """How long a sign-in lasts; then the report is opened from the EHR again."""

    @field_validator("issuer")
    @classmethod
    def _safe_issuer(cls, url: str | None) -> str | None:
        return None if url is None else _https_or_own(url)

    @field_validator("origins")
    @classmethod
    def _plain_origins(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if any(urlsplit(url).path.strip("/") for url in urls):
            raise ValueError("an origin is scheme, host and port, such as https://auth.example.org")
        return tuple(_https_or_own(url) for url in urls)

    @model_validator(mode="after")
    def _one_way_to_prove_ourselves(self) -> Self:
        ways = (self.client_secret, self.client_secret_file, self.key_file)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give at most one of client_secret, client_secret_file and key_file")
        if self.key_file and not self.key_id:
            raise ValueError("key_file needs a key_id")
        if not {"openid", "fhirUser"} <= set(self.scopes):
            raise ValueError("scopes must name openid and fhirUser: it must be known who signs in")
        return self


class ClientSettings(_Section):
    """One registered CDS client (an EHR tenant): who it is, where its data are, how it is read."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Short name of ours for the client; it stands in logs, metrics and the ledger."""
    issuer: Annotated[str, Field(min_length=1)]
    """`iss` of its tokens, character for character."""
    jwks: dict[str, Any] | None = None
    """Its public keys, written here. Exactly one of `jwks`, `jwks_file` and `jwks_url`."""
    jwks_file: Path | None = None
    """File with its public keys."""
    jwks_url: str | None = None
    """https address of its public keys; fetched when an unknown key id appears."""
    allowed_jku: tuple[str, ...] = ()
    """Addresses its tokens may name as `jku`; any other is refused and never fetched."""
    tenants: tuple[str, ...] = ()
    """Accepted `tenant` claims; empty accepts tokens with any or none."""
    fhir_base: str | None = None
    """https base of its FHIR server, the only address data are read from and users come from.

    http on this machine serves for trying the sign-in out; no data are read from there.
    """
    audiences: tuple[str, ...] = ()
    """Further accepted `aud` values, beside the URL that is called."""
    reading: Reading = "strict"
    """`strict` answers departures from CDS Hooks with 400; `lenient` reads on and records them."""
    jurisdiction: Jurisdiction | None = None
    """Its label, if it is not the one of the site."""
    time_zone: str | None = None
    """Its time zone, if it is not the one of the site."""
    limits: Limits = Limits()
    """What it may send, and how often."""
    smart: SmartSettings | None = None
    """How its users sign in to look at reports; without it nobody signs in."""
    report_link_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """How long the link on a card opens its report for *whoever has it*; without it none does."""

    @property
    def report_link(self) -> Literal["smart", "absolute", "none"]:
        """What cards lead to the report by: a launch, a signed address, or nothing."""
        if self.smart is not None:
            return "smart"
        return "absolute" if self.report_link_minutes is not None else "none"

    @model_validator(mode="after")
    def _one_way_to_the_report(self) -> Self:
        if self.smart is not None and self.fhir_base is None:
            raise ValueError("smart needs the fhir_base: launches are accepted from there alone")
        if self.smart is not None and self.report_link_minutes is not None:
            raise ValueError(
                "give smart or report_link_minutes: a signed link opens without the sign-in"
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        given = [name for name in ("jwks", "jwks_file", "jwks_url") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of jwks, jwks_file and jwks_url")
        return self

    @field_validator("jwks_url")
    @classmethod
    def _https_only(cls, url: str | None) -> str | None:
        return None if url is None else _https(url)

    @field_validator("fhir_base")
    @classmethod
    def _safe_base(cls, url: str | None) -> str | None:
        return None if url is None else _https_or_own(url)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        return None if zone is None else _zone(zone)


class LedgerSettings(_Section):
    """How decisions are kept."""

    key: SecretStr | None = None
    """Key that seals recorded decisions; better from `key_file` or the environment."""
    key_file: Path | None = None
    """File with the key; without any key one is made in `data_dir`."""
    retention_days: Annotated[int, Field(ge=1)] = 3650
    """Age after which `db purge` removes the content of decisions; the bare fact stays."""


class ServerSettings(_Section):
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


class Settings(_Section):
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
    metrics_token: SecretStr | None = None
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
        return _zone(zone)

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
                _https_or_own(self.public_base_url)
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


def load_settings(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `path` (or the environment's choice) and the environment."""
    env = os.environ if env is None else env
    chosen = path or (Path(env[_SETTINGS_VARIABLE]) if env.get(_SETTINGS_VARIABLE) else None)
    values = _read_yaml(chosen) if chosen else {}
    for variable, place in _VARIABLES.items():
        value = _from_environment(variable, env)
        if value is not None:
            _put(values, place, value)
    where = str(chosen) if chosen else "environment"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(where, error)) from None
    return _relative_to(settings, chosen)


def _read_yaml(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    try:
        values = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: must be a mapping of settings")
    return values


def _from_environment(variable: str, env: Mapping[str, str]) -> str | None:
    """The value of `VARIABLE`, or the content of the file named by `VARIABLE_FILE`."""
    file = env.get(f"{variable}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE={file}: {error.strerror}") from None
    return env.get(variable) or None


def _put(values: dict[str, Any], place: tuple[str, ...], value: str) -> None:
    for name in place[:-1]:
        values = values.setdefault(name, {})
    values[place[-1]] = value


def _explain(where: str, error: ValidationError) -> str:
    """One line per mistake, naming the field; the value is not repeated, it may be a secret."""
    lines = []
    for mistake in error.errors(include_input=False, include_url=False):
        field = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]
        ).lstrip(".")
        message = mistake["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {field or 'settings'}: {message}")
    return "\n".join(lines)


def _relative_to(settings: Settings, path: Path | None) -> Settings:
    """Resolve relative paths against the directory of the settings file."""
    if path is None:
        return settings
    base = path.resolve().parent
    clients = tuple(_client_beside(client, base) for client in settings.clients)
    server = settings.server.model_copy(
        update={
            name: base / value
            for name in ("tls_certificate", "tls_key")
            if (value := getattr(settings.server, name))
        }
    )
    ledger = settings.ledger
    if ledger.key_file:
        ledger = ledger.model_copy(update={"key_file": base / ledger.key_file})
    update: dict[str, Any] = {"clients": clients, "server": server, "ledger": ledger}
    update["data_dir"] = base / settings.data_dir
    for name in ("rules", "rules_draft"):
        if getattr(settings, name):
            update[name] = base / getattr(settings, name)
    return settings.model_copy(update=update)


def _client_beside(client: ClientSettings, base: Path) -> ClientSettings:
    update: dict[str, Any] = {}
    if client.jwks_file:
        update["jwks_file"] = base / client.jwks_file
    if client.smart:
        smart = client.smart
        files = {
            name: base / value
            for name in ("client_secret_file", "key_file")
            if (value := getattr(smart, name))
        }
        update["smart"] = smart.model_copy(update=files)
    return client.model_copy(update=update)


def _user_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "imatinib-tdm"


def _https(url: str) -> str:
    if urlsplit(url).scheme != "https":
        raise ValueError("must be an https URL")
    return _plain(url)


def _https_or_own(url: str) -> str:
    """An https address, or http where it cannot leave this machine."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname in _OWN_MACHINE:
        return _plain(url)
    return _https(url)


def _plain(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("must be an https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry a user, a query or a fragment")
    return url.rstrip("/")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; use a name such as Europe/Zurich") from None
    return name

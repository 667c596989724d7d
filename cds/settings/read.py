"""How settings are read: the file named by `--settings` or `IMATINIB_TDM_SETTINGS`, then the
environment, which wins over the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cds.settings.client import ClientSettings
from cds.settings.installation import Settings
from cds.settings.yaml_file import SettingsError, read_yaml

_SETTINGS_VARIABLE = "IMATINIB_TDM_SETTINGS"

# Environment variable -> place in the settings.
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "IMATINIB_TDM_DATA_DIR": ("data_dir",),
    "IMATINIB_TDM_DATABASE_URL": ("database_url",),
    "IMATINIB_TDM_RULES": ("rules",),
    "IMATINIB_TDM_PUBLIC_BASE_URL": ("public_base_url",),
    "IMATINIB_TDM_LEDGER_KEY": ("ledger", "key"),
    "IMATINIB_TDM_METRICS_TOKEN": ("metrics_token",),
}


def load_settings(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `path` (or the environment's choice) and the environment."""
    env = os.environ if env is None else env
    chosen = path or (Path(env[_SETTINGS_VARIABLE]) if env.get(_SETTINGS_VARIABLE) else None)
    values = read_yaml(chosen) if chosen else {}
    for variable, place in _VARIABLES.items():
        value = _from_environment(variable, env)
        if value is not None:
            _put(values, place, value)
    where = str(chosen) if chosen else "environment"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(explain(where, error)) from None
    return _relative_to(settings, chosen)


def _from_environment(variable: str, env: Mapping[str, str]) -> str | None:
    """The value of `VARIABLE`, or the content of the file named by `VARIABLE_FILE`."""
    file = env.get(f"{variable}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE={file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{variable}_FILE={file}: is not UTF-8 text") from None
    return env.get(variable) or None


def _put(values: dict[str, Any], place: tuple[str, ...], value: str) -> None:
    for name in place[:-1]:
        if values.get(name) is None:  # also a section of which nothing but the name is left
            values[name] = {}
        values = values[name]
        if not isinstance(values, dict):
            return  # the file's mistake; checking it names the section
    values[place[-1]] = value


def explain(where: str, error: ValidationError) -> str:
    """One line per mistake, naming the field; the value is not repeated, it may be a secret."""
    lines = []
    for mistake in error.errors(include_input=False, include_url=False):
        field = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]
        ).lstrip(".")
        said = mistake["msg"].removeprefix("Value error, ")
        message = _PLAINLY.get(mistake["type"], said)
        lines.append(f"{where}: {field or 'settings'}: {message}")
    return "\n".join(lines)


_PLAINLY: Mapping[str, str] = {
    "extra_forbidden": "there is no such setting",
    "missing": "is required",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
}
"""What the words of pydantic mean to somebody who writes YAML."""


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

"""A YAML file of settings -> a mapping, or one line that says what is wrong and where.

Not in the words of the parser: they show the lines around a mistake, and secrets may stand there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """The settings cannot be used; the message names the file, the field and the cure."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file; an empty one is an empty mapping. Raises SettingsError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    try:
        values = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = f":{mark.line + 1}" if mark is not None else ""
        twice = type(error).__name__ == "DuplicateKeyError"
        why = "a name stands twice in one section" if twice else "is not YAML"
        raise SettingsError(f"{path}{line}: {why}") from None
    except ValueError:
        why = "a value looks like a date or number and is none; put it in quotes"
        raise SettingsError(f"{path}: {why}") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: must be a mapping of settings")
    return values

"""One absurd value in a record costs neither the advice on the rest nor the service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cds.cli import main

REQUEST = Path(__file__).parents[2] / "fhir_examples" / "hooks" / "cml-low-trough.order-sign.json"
NOW = datetime(2026, 11, 26, 10, tzinfo=UTC).isoformat()


def _changed(value: Any, key: str, new: Any) -> Any:
    """A copy in which each `key` that holds a plain value holds `new(value)`."""
    if isinstance(value, dict):
        return {
            name: new(item)
            if name == key and not isinstance(item, dict | list)
            else _changed(item, key, new)
            for name, item in value.items()
        }
    return [_changed(item, key, new) for item in value] if isinstance(value, list) else value


def _summaries(tmp_path: Path, key: str, new: Any) -> list[str]:
    request = json.loads(REQUEST.read_text())
    for part in ("context", "prefetch"):
        request[part] = _changed(request[part], key, new)
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    done = CliRunner().invoke(main, ["assess", str(file), "--json", "--now", NOW])
    assert done.exit_code == 0, done.exception
    return [card["summary"] for card in json.loads(done.stdout)["cards"]]


@pytest.mark.parametrize("key", ["display", "text", "unit", "code"])
def test_nul_in_words_changes_no_advice(tmp_path: Path, key: str):
    assert _summaries(tmp_path, key, lambda word: f"{word}\0") == _summaries(
        tmp_path, key, lambda word: word
    )


@pytest.mark.parametrize("key", ["display", "text", "unit", "code"])
def test_half_a_character_in_words_changes_no_advice(tmp_path: Path, key: str):
    assert _summaries(tmp_path, key, lambda word: f"{word}\ud83d") == _summaries(
        tmp_path, key, lambda word: f"{word}\ufffd"
    )


@pytest.mark.parametrize("value", [10**14, 10**15, 10**18, -(10**14)])
def test_numbers_beyond_all_sense_are_answered(tmp_path: Path, value: int):
    assert _summaries(tmp_path, "value", lambda _: value)


@pytest.mark.parametrize("words", ["x" * 600, "x" * 5000])
def test_units_and_names_beyond_all_sense_are_answered(tmp_path: Path, words: str):
    assert _summaries(tmp_path, "unit", lambda _: words)


@pytest.mark.parametrize("placeholder", ["0001-01-01T00:00:00Z", "1753-01-01", "1900-01-01"])
def test_a_placeholder_for_the_start_is_no_start_of_treatment(tmp_path: Path, placeholder: str):
    said = _summaries(tmp_path, "start", lambda _: placeholder)

    assert said
    assert not any("failure" in summary for summary in said)

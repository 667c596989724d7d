"""The product finds its content in a checkout and in a wheel, or says where it looked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds import content


def test_in_a_checkout_the_content_stands_at_the_top_of_the_repository() -> None:
    top = Path(__file__).parents[2]

    assert content.rules_dir() == top / "rules"
    assert content.examples_dir() == top / "fhir_examples"


def test_in_a_wheel_the_packed_content_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "cds"
    for place in (package / "_content" / "rules", tmp_path / "rules"):
        place.mkdir(parents=True)
        (place / "rulebook.yaml").touch()
    monkeypatch.setattr(content, "_PACKAGE", package)

    assert content.rules_dir() == package / "_content" / "rules"


def test_a_directory_without_its_marker_is_not_the_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    monkeypatch.setattr(content, "_PACKAGE", tmp_path / "cds")

    with pytest.raises(FileNotFoundError, match=r"rules/rulebook\.yaml is missing; looked in"):
        content.rules_dir()

"""Clinical and pharmacokinetic numbers live in data: none of them may stand in Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
ROOMS = ("cds/assess", "cds/cards", "cds/clinical", "cds/fhir", "cds/rulebook", "pk")

# Numbers that tables use and that also mean something outside medicine: counts, percentages,
# conversions of time, decimals.
INNOCENT = {
    *range(13), 0.5, 1.5, 2.5, 0.1, 0.01, 0.001, 14, 15, 16, 18, 20, 24, 25, 28, 30, 32, 36, 48,
    50, 60, 64, 90, 100, 120, 128, 150, 168, 180, 200, 250, 256, 365, 500, 512,
}  # fmt: skip
# Numbers that happen to equal a clinical one, and what they are instead.
OTHERWISE = {
    "cds/cards/level_line.py": {13},  # English ordinals
    "cds/cards/state.py": {80},  # bits of a UUID
    "cds/cards/terminal.py": {40},  # columns
    "cds/clinical/units.py": {1000, 60},  # UCUM factors
    "cds/fhir/client.py": {80, 300, 400},  # HTTP
    "cds/fhir/dose_text.py": {1000},  # grams
    "cds/fhir/last_dose.py": {59, 2000},  # minutes; the century of a short year
    "cds/fhir/times.py": {59},  # minutes
    "cds/assess/facts/medicines.py": {40},  # letters of a name on a card
    "cds/rulebook/content.py": {2000, 0.8},  # files; likeness of two words
    "cds/rulebook/evaluate.py": {10_000},  # entries of a cache
    "cds/rulebook/live.py": {0.15},  # seconds between looks
    "pk/absorption.py": {80, 300},  # where a gamma function or an exponential overflows
    "pk/averaging.py": {0.8},  # weight of a model that had to impute
    "pk/compartments.py": {8, 28, 56, 70},  # binomial weights of an interpolation
    "pk/folded.py": {1000},  # ng/mL in mg/L
    "pk/predict.py": {0.9, 1000},  # width of every interval; ng/mL in mg/L
    "pk/response.py": {1000},  # ng/mL in mg/L
    "pk/saturable.py": {0.75, 1.15, 1000},  # steps of the solver; ug in mg
    "pk/stitched.py": {27},  # exponent beyond which nothing is left
}


def numbers_in(node: object) -> Iterator[float]:
    if isinstance(node, bool):
        return
    if isinstance(node, int | float):
        yield float(node)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in ("id", "revision", "doi", "pmid", "code", "year", "from", "review_by"):
                yield from numbers_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from numbers_in(value)


def clinical_numbers() -> set[float]:
    yaml = YAML(typ="safe")
    files = [
        ROOT / "rules/drug.yaml",
        *(ROOT / "rules/tables").glob("*.yaml"),
        *(ROOT / "pk/models").glob("[a-z]*.yaml"),
    ]
    found = {n for path in files for n in numbers_in(yaml.load(path))}
    return {n for n in found if n not in INNOCENT and -n not in INNOCENT}


def literals(path: Path) -> Iterator[tuple[int, float]]:
    """Numbers in the code; where a text is cut off is no number of medicine."""
    tree = ast.parse(path.read_text())
    cuts = {id(n) for s in ast.walk(tree) if isinstance(s, ast.Slice) for n in ast.walk(s)}
    for node in ast.walk(tree):
        is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if is_number and id(node) not in cuts:
            yield node.lineno, float(node.value)


@pytest.mark.parametrize("room", ROOMS)
def test_no_clinical_number_stands_in_python(room: str) -> None:
    clinical = clinical_numbers()
    assert {493.6, 800.0, 0.609, 340.0} <= clinical, "the tables were not read"
    strays = [
        f"{path.relative_to(ROOT)}:{line}: {value:g}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, value in literals(path)
        if value in clinical and value not in OTHERWISE.get(str(path.relative_to(ROOT)), ())
    ]
    assert strays == []

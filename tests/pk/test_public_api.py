"""The public names, what importing costs, and that no number of a model stands in Python."""

import ast
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from msgspec import Struct

import pk

SOURCE = Path(pk.__file__).parent


def test_everything_exported_exists_and_is_documented():
    assert sorted(pk.__all__) == list(pk.__all__)
    for name in pk.__all__:
        assert getattr(pk, name).__doc__, name


def test_values_are_frozen():
    kinds = [kind for name in pk.__all__ if isinstance(kind := getattr(pk, name), type)]
    values = [kind for kind in kinds if issubclass(kind, Struct)]
    assert {pk.Case, pk.Posterior, pk.Proposal} <= set(values)
    assert all(kind.__struct_config__.frozen for kind in values)
    assert not any(is_dataclass(kind) for kind in kinds)


def test_importing_does_not_load_the_slow_parts_of_scipy():
    slow = "('scipy.stats', 'scipy.optimize', 'scipy.integrate')"
    code = f"import sys, pk; assert not [m for m in {slow} if m in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_knows_arrays_values_and_yaml_only():
    allowed = {"msgspec", "numpy", "scipy", "ruamel", "pk"} | set(sys.stdlib_module_names)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert {n.split(".")[0] for n in names} <= allowed, path


def test_no_typical_value_of_a_model_stands_in_python():
    numbers = {
        str(p.value)
        for name in pk.list_models()
        for p in pk.load_model(name).parameters
        if p.value not in (1.0, 5.0)
    }
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                assert str(node.value) not in numbers, (path.name, node.value)


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.py")), ids=lambda p: p.name)
def test_files_stay_small_and_the_drug_stays_in_the_data(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert "imatinib" not in text.lower()

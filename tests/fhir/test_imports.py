"""The wall: FHIR models only here, only R4B, and only when a resource is read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cds

_ROOT = Path(cds.__file__).parent


def test_fhir_models_are_r4b_and_only_inside_the_fhir_package() -> None:
    for path in _ROOT.rglob("*.py"):
        imports = re.findall(
            r"^\s*(?:from|import) (fhir\.resources\S*)", path.read_text(), re.MULTILINE
        )
        if imports:
            assert path.is_relative_to(_ROOT / "fhir"), path
            assert all(name.startswith("fhir.resources.R4B") for name in imports), path


def test_importing_the_readers_does_not_load_the_models_or_the_network() -> None:
    program = (
        "import sys, cds.fhir.gather, cds.fhir.write, cds.fhir.mentions; "
        "print([m for m in sys.modules if m.startswith(('fhir.', 'pydantic', 'httpx', 'flask'))])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"

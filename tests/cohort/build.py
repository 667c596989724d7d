"""Exports made from the story patients, and jobs that end their process."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cds import content
from cds.cohort.dispatch import Job

STORIES = content.examples_dir() / "patients"
NOW = "2026-11-20T10:00:00Z"


def story(name: str) -> dict[str, Any]:
    """The Bundle of one story patient."""
    return dict(json.loads((STORIES / f"{name}.json").read_text(encoding="utf-8")))


def bulk_export(directory: Path, *names: str) -> Path:
    """Write the patients of some stories as `$export` would: one file for each type."""
    lines: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for entry in story(name)["entry"]:
            resource = entry["resource"]
            lines[resource["resourceType"]].append(json.dumps(resource))
    directory.mkdir(exist_ok=True)
    for kind, of_kind in lines.items():
        text = "\n".join(of_kind) + "\n"
        (directory / f"{kind}.ndjson").write_text(text, encoding="utf-8")
    return directory


def bundles(directory: Path, *names: str) -> Path:
    """Copy the Bundles of some stories."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / f"{name}.json").write_bytes((STORIES / f"{name}.json").read_bytes())
    return directory


def nothing() -> None:
    """Enter a process that needs nothing."""


def doubling(deadly: frozenset[int], once: Path | None = None) -> Job[int, str]:
    """A job that doubles numbers; a deadly one ends its process, with `once` only the first time.

    `once` is a file that remembers the death.
    """
    return Job(nothing, partial(_double, deadly, once), _lost)


def _double(deadly: frozenset[int], once: Path | None, part: Sequence[int]) -> list[str]:
    for number in part:
        if number in deadly and not (once is not None and once.exists()):
            if once is not None:
                once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [str(2 * number) for number in part]


def _lost(number: int) -> str:
    return f"lost {number}"


def deadly_once(job: Job[Any, Any], name: str, once: Path) -> Job[Any, Any]:
    """The same job, whose process is killed the first time it meets the patient `name`."""
    return Job(job.enter, partial(_killed_once, job.work, name, once), job.lost)


def _killed_once(work: Any, name: str, once: Path, part: Sequence[Any]) -> list[Any]:
    if not once.exists() and any(subject.name == name for subject in part):
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return list(work(part))

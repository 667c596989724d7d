"""Kill, fill the disk, set the clock - and count what was lost or done twice.

    python -m tests.alerts.chaos --rounds 100
    python -m tests.alerts.chaos --rounds 100 --trouble disk --database postgresql

Receiver and worker are processes as in production, on SQLite and on PostgreSQL. `kill`: they are
killed with SIGKILL at random points, and now and then the FHIR server is down. `disk`: the disk of
the database is full for a while; the table says by which means. `clock`: the wall clock of receiver
and worker is set forward and back, by seconds and by hours across a change of summer time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cds.store import Database
from cds.store.migrate import upgrade
from tests import postgresql
from tests.alerts import chaos_processes, chaos_troubles
from tests.alerts.build import patient_on_imatinib
from tests.alerts.chaos_clock import CHANGES, SetClock
from tests.alerts.chaos_disk import family, small_disk, use_what_is_set_aside
from tests.alerts.chaos_site import PATIENTS, Outcome, Site
from tests.alerts.fake_fhir import FakeFhir, served

TROUBLES = ("kill", "disk", "clock")
DATABASES = ("sqlite", "postgresql")
_SQLITE_MB = 16
_POSTGRESQL_MB = 160


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to which site; `mount` False fills the disk by a limit on files."""

    trouble: str
    database: str
    rounds: int
    seed: int = 1
    mount: bool = True


HEADER = (
    "trouble database   rounds filed sent again ended  lost twice unfinished  what befell it\n"
    + "-" * 100
)


def line(plan: Plan, outcome: Outcome) -> str:
    """One line of the table."""
    befell = ", ".join(f"{count} {what}" for what, count in sorted(outcome.troubles.items()))
    refused = ", ".join(f"{count} x {status}" for status, count in sorted(outcome.refused.items()))
    return (
        f"{plan.trouble:7} {plan.database:10} {outcome.rounds:6} {outcome.filed:5} "
        f"{outcome.sent_again:10} {outcome.ended:5} {len(outcome.lost):5} {len(outcome.twice):5} "
        f"{len(outcome.unfinished):10}  {befell}{f'; refused {refused}' if refused else ''}"
    )


def run(plan: Plan, directory: Path, url: str | None = None) -> Outcome:
    """Run the rounds; `url` is a PostgreSQL that may be used, where nothing is done to it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.alerts.chaos_processes"])
    with ExitStack() as stack:
        if plan.trouble == "disk":
            site, trouble = stack.enter_context(_on_small_disk(plan, directory))
        else:
            if plan.database == "postgresql" and url is None:
                url = stack.enter_context(postgresql.running(directory / "postgresql"))
            site = stack.enter_context(_site(plan, directory / "data", url))
            trouble = chaos_troubles.killing
            if plan.trouble == "clock":
                trouble = chaos_troubles.stepping
        for _ in range(plan.rounds):
            site.round(trouble, until_refused=plan.trouble == "disk")
        site.settle()
    return site.outcome


@contextmanager
def _on_small_disk(plan: Plan, directory: Path) -> Iterator[tuple[Site, chaos_troubles.Trouble]]:
    """A site whose database lies on a disk that can be filled."""
    place = directory / "disk"
    with ExitStack() as stack:
        if plan.database == "sqlite":
            running: list[Site] = []
            disk = stack.enter_context(
                small_disk(place, _SQLITE_MB, lambda: running[0].pids(), mount=plan.mount)
            )
            site = stack.enter_context(_site(plan, place / "data", None))
            running.append(site)
            before = partial(use_what_is_set_aside, site.place.settings.database)
            site.begin()
            yield site, chaos_troubles.filling(disk, before)
            return
        servers: list[Any] = []
        disk = stack.enter_context(
            small_disk(
                place, _POSTGRESQL_MB, lambda: family(servers[0].get_pid()), mount=plan.mount
            )
        )
        (place / "postgresql").mkdir()
        servers.append(stack.enter_context(postgresql.server(place / "postgresql")))
        url = str(servers[0].get_uri())
        site = stack.enter_context(_site(plan, directory / "data", url))
        full = partial(chaos_troubles.need_a_new_log, url)
        after = partial(postgresql.start_again, servers[0])
        site.begin()
        yield site, chaos_troubles.filling(disk, full=full, after=after)


@contextmanager
def _site(plan: Plan, data_dir: Path, url: str | None) -> Iterator[Site]:
    """A site that runs; of its servers one honours If-None-Exist and the other must be searched."""
    rng = random.Random(plan.seed)
    data_dir.mkdir(parents=True, exist_ok=True)
    steps = data_dir / "clock"
    clock = SetClock(steps)
    fhir = FakeFhir(conditional=plan.database == "postgresql", declares=True, now=clock.site)
    for number in range(PATIENTS):
        patient_on_imatinib(fhir, f"p{number}")
    with served(fhir) as base:
        # The base of references in notifications is not the address: both are accepted.
        place = chaos_processes.Place(data_dir, url, base, free_port())
        if plan.trouble == "clock":
            place = replace(place, clock=steps)
            clock.begin(CHANGES[plan.seed % len(CHANGES)])
            fhir.delay_s = 0.03  # so that work is in hand when the clock is set
        database = Database(place.settings.database)
        upgrade(database)
        database.close()
        site = Site(place, fhir, clock, rng)
        site.start("receiver")
        site.start("worker")
        yield site


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run from the command line; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trouble", choices=[*TROUBLES, "all"], default="all")
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--no-mount", action="store_true", help="fill the disk by a limit on files")
    chosen = parser.parse_args()
    troubles = TROUBLES if chosen.trouble == "all" else (chosen.trouble,)
    databases = DATABASES if chosen.database == "both" else (chosen.database,)
    _say(HEADER)
    clean = True
    for trouble in troubles:
        for database in databases:
            plan = Plan(trouble, database, chosen.rounds, chosen.seed, not chosen.no_mount)
            with tempfile.TemporaryDirectory() as directory:
                outcome = run(plan, Path(directory))
            _say(line(plan, outcome))
            for found in (*outcome.lost, *outcome.twice, *outcome.unfinished):
                _say(f"    {found}")
            clean = clean and outcome.clean
    return 0 if clean else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

"""What befalls a site in a round: a process is killed, the disk fills, the clock is set."""

from __future__ import annotations

import time
from collections.abc import Callable

from cds.alerts.tables import open_database
from cds.store import DatabaseError
from tests.alerts.chaos_disk import Disk
from tests.alerts.chaos_site import Site, Trouble

_FULL_S = 5.0
_HOUR_S = 3600.0


def killing(site: Site) -> None:
    """kill -9 at random points; now and then the FHIR server is down."""
    if site.rng.random() < 0.1:
        _no_server(site)
    time.sleep(site.rng.uniform(0.0, 0.6))
    for role in site.rng.choice((["worker"], ["receiver"], ["worker", "receiver"])):
        site.restart(role)


def filling(
    disk: Disk,
    before: Callable[[], None] = lambda: None,
    full: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> Trouble:
    """The disk is full until a notification was refused, and some time longer.

    `before` and `full` make the database need room even for little; `after` is what a service
    manager does for the database once there is room again. Nobody starts receiver or worker again.
    """

    def fill(site: Site) -> None:
        time.sleep(site.rng.uniform(0.0, 0.4))
        before()
        disk.fill()
        full()
        site.outcome.troubles[f"full ({disk.means})"] += 1
        site.enough.wait(_FULL_S)
        time.sleep(site.rng.uniform(0.0, 1.0))
        disk.free()
        after()
        site.enough.set()

    return fill


def stepping(site: Site) -> None:
    """Our clock is set, by seconds or hours, forward or back, always across a change of summer
    time when by hours; work is in hand, or waits because the FHIR server is down."""
    if site.rng.random() < 0.4:
        _no_server(site)
    for _ in range(site.rng.randint(1, 3)):
        time.sleep(site.rng.uniform(0.0, 0.4))
        by = site.rng.choice(
            (
                0.0,
                site.rng.uniform(-90.0, 90.0),
                -_HOUR_S,
                site.rng.uniform(-12.0, 0.0) * _HOUR_S,
                site.rng.uniform(0.0, 12.0) * _HOUR_S,
            )
        )
        site.clock.step(by)
        site.outcome.troubles["clock set"] += 1
    if site.rng.random() < 0.3:
        site.restart("worker")


def need_a_new_log(url: str) -> None:
    """Have PostgreSQL begin another file of its log, for which a full disk has no room."""
    database = open_database(url)
    try:
        with database.writing() as connection:
            connection.exec_driver_sql("SELECT pg_switch_wal()")
    except DatabaseError:
        pass  # no room: that is what is wanted
    finally:
        database.close()


def _no_server(site: Site) -> None:
    site.fhir.down = True
    site.outcome.troubles["server down"] += 1

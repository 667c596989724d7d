"""A token id is accepted once, whichever worker sees it."""

from __future__ import annotations

import threading
from datetime import timedelta

from cds.store import Cipher, Database, Store
from tests.store.build import NOW


def test_a_token_is_accepted_once_per_client(store: Store):
    assert store.use_token("north", "jti-1", NOW)
    assert not store.use_token("north", "jti-1", NOW)
    assert store.use_token("south", "jti-1", NOW)


def test_of_many_workers_that_see_one_token_exactly_one_accepts_it(database: Database):
    stores = [
        Store(Database(database.url.render_as_string(hide_password=False)), Cipher(bytes(32)))
        for _ in range(4)
    ]
    start = threading.Barrier(len(stores))
    accepted: list[bool] = []

    def use(store: Store) -> None:
        start.wait()
        accepted.append(store.use_token("north", "jti-raced", NOW))

    threads = [threading.Thread(target=use, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.database.close()

    assert sorted(accepted) == [False, False, False, True]


def test_only_expired_tokens_are_forgotten(store: Store):
    store.use_token("north", "old", NOW - timedelta(seconds=1))
    store.use_token("north", "young", NOW + timedelta(hours=1))

    assert store.purge(NOW, timedelta(days=1))["tokens"] == 1
    assert store.use_token("north", "old", NOW)
    assert not store.use_token("north", "young", NOW)

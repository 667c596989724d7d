"""What serving loads, and what its threads hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.web.patients import concerned_request

_SLOW = ("scipy.stats", "scipy.optimize", "scipy.integrate", "matplotlib", "alembic", "pandas")
_SERVE = """
import json, sys
from pathlib import Path
from cds.services import build_services, prepare
from cds.services.warmup import warm_up
from cds.settings import Settings
from cds.web import create_app
from cds.web.server import serve

settings = Settings(data_dir=Path(sys.argv[1]), deadline_s=10)
knowledge = prepare(settings)
services = build_services(settings, knowledge=knowledge)
warm_up(services.knowledge, services.clock.now())
client = create_app(services).test_client()
answer = client.post("/cds-services/tdm-orders", json=json.loads(sys.stdin.read()))
print(json.dumps([answer.status_code, len(answer.get_json()["cards"]), sorted(sys.modules)]))
"""
_SEARCHES = """
import gc, json, sys, weakref
from pathlib import Path
from cds.services import build_services, prepare
from cds.services.warmup import leave_out_of_garbage_search, warm_up
from cds.settings import Settings
from cds.web import create_app

settings = Settings(data_dir=Path(sys.argv[1]), deadline_s=10)
services = build_services(settings, knowledge=prepare(settings))
warm_up(services.knowledge, services.clock.now())
client = create_app(services).test_client()
request = json.loads(sys.stdin.read())
client.post("/cds-services/tdm-orders", json=request)
leave_out_of_garbage_search()
searches = []
gc.callbacks.append(lambda phase, info: searches.append(phase))
answer = client.post("/cds-services/tdm-orders", json=request)
during = len(searches)

class Circle:
    def __init__(self):
        self.itself = self

lost = weakref.ref(Circle())
kept = [[] for _ in range(50_000)]
print(json.dumps([len(answer.get_json()["cards"]), during, lost() is None]))
"""
_ARENAS = """
import ctypes, sys, threading
from cds.web.memory import share_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "shared":
    share_arenas()
together = threading.Barrier(8)
def work():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


def test_answering_does_not_load_what_only_other_commands_need(data_dir: Path):
    ran = subprocess.run(
        [sys.executable, "-c", _SERVE, str(data_dir)],
        input=json.dumps(concerned_request()),
        capture_output=True,
        text=True,
        check=True,
    )
    status, cards, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status == 200
    assert cards >= 1
    assert [name for name in _SLOW if name in modules] == []


def test_garbage_is_not_searched_for_while_one_answer_is_made_but_is_in_time(data_dir: Path):
    ran = subprocess.run(
        [sys.executable, "-c", _SEARCHES, str(data_dir)],
        input=json.dumps(concerned_request()),
        capture_output=True,
        text=True,
        check=True,
    )
    cards, searches, found = json.loads(ran.stdout.splitlines()[-1])
    assert cards >= 1
    assert searches == 0
    assert found


def test_threads_share_two_areas_of_memory():
    def arenas(how: str) -> int:
        command = [sys.executable, "-c", _ARENAS, how]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env={})
        return ran.stdout.count("<heap nr=")

    assert arenas("apart") > 2
    assert arenas("shared") <= 2

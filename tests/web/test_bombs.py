"""Bodies made to exhaust the service are refused quickly and without growing it."""

from __future__ import annotations

import gzip
import json

import pytest
from flask.testing import FlaskClient

from tests.web.requests import ORDERS, bundle, hook_request
from tests.work import calls_of

MEBIBYTE = 1024 * 1024
JSON_TYPE = {"Content-Type": "application/json"}

BOMBS: dict[str, tuple[bytes, dict[str, str]]] = {
    "arrays 100,000 deep": (b"[" * 100_000, JSON_TYPE),
    "objects 100,000 deep": (b'{"a":' * 100_000, JSON_TYPE),
    "a million values": (b"[" + b"1," * 1_000_000 + b"1]", JSON_TYPE),
    "a hundred thousand keys": (
        json.dumps({f"k{i}": i for i in range(100_000)}).encode(),
        JSON_TYPE,
    ),
    "the same key a hundred thousand times": (
        b"{" + b'"a":1,' * 100_000 + b'"a":1}',
        JSON_TYPE,
    ),
    "a number of a million digits": (b'{"a":' + b"9" * MEBIBYTE + b"}", JSON_TYPE),
    "a huge exponent": (b'{"a":1e999999999}', JSON_TYPE),
    "not a number": (b'{"a":NaN}', JSON_TYPE),
    "a million backslashes": (b'{"a":"' + b"\\" * MEBIBYTE, JSON_TYPE),
    "thousands of selections beside thousands of drafts": (
        json.dumps(
            hook_request("order-select")
            | {
                "context": {
                    "userId": "Practitioner/1",
                    "patientId": "p-1",
                    "selections": [f"selected-{i}" for i in range(5000)],
                    "draftOrders": bundle(
                        *({"resourceType": "Task", "id": f"t{i}"} for i in range(2500))
                    ),
                }
            }
        ).encode(),
        JSON_TYPE,
    ),
    "100 MiB": (b" " * (100 * MEBIBYTE), JSON_TYPE),
    "gzip": (gzip.compress(b" " * 10 * MEBIBYTE), {**JSON_TYPE, "Content-Encoding": "gzip"}),
    "not UTF-8": (b'{"a":"' + b"\xff" * MEBIBYTE + b'"}', JSON_TYPE),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_little_work(client: FlaskClient, name: str):
    body, headers = BOMBS[name]

    response, calls = calls_of(lambda: client.post(ORDERS, data=body, headers=headers))

    assert response.status_code in (400, 413, 415)
    assert response.get_json()["resourceType"] == "OperationOutcome"
    assert calls < 200_000  # seven thousand selections and drafts take 130,000, the others 4,000

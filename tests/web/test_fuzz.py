"""Whatever is sent, the answer is never a server error, and what is answered is valid.

`TDM_FUZZ_EXAMPLES` sets the number of requests of each kind (default 100; 10,000 in `make soak`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings

from cds.services.knowledge import Knowledge
from cds.settings import Settings
from cds.web import create_app
from tests.web.fakes import FakeClock
from tests.web.fuzz import damaged_requests, schema_requests

EXAMPLES = int(os.environ.get("TDM_FUZZ_EXAMPLES", "100"))
VALID = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parent / "schemas" / "response.schema.json").read_text())
)
MUCH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def client(
    prepared_database: Path, tmp_path_factory: pytest.TempPathFactory, knowledge: Knowledge
) -> Iterator[FlaskClient]:
    """One service for all examples."""
    from cds.services import build_services

    directory = tmp_path_factory.mktemp("fuzz")
    for file in prepared_database.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    chosen = Settings(
        data_dir=directory, loopback_limits={"requests_per_second": 1e6, "burst": 10**6}
    )
    services = build_services(chosen, clock=FakeClock().clock, knowledge=knowledge)
    yield create_app(services).test_client()
    services.store.database.close()


def check(client: FlaskClient, service: str, request: Any) -> None:
    response = client.post(
        f"/cds-services/{service}",
        data=json.dumps(request).encode("utf-8", errors="surrogatepass"),
        content_type="application/json",
    )
    assert response.status_code < 500, response.get_data(as_text=True)
    if response.status_code == 200:
        VALID.validate(response.get_json())
    else:
        outcome = response.get_json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert all(issue.get("expression") for issue in outcome["issue"])


@MUCH
@given(case=schema_requests())
def test_requests_that_the_schema_allows_never_fail(client: FlaskClient, case: tuple[str, Any]):
    check(client, *case)


@MUCH
@given(case=damaged_requests())
def test_damaged_real_requests_never_fail(client: FlaskClient, case: tuple[str, Any]):
    check(client, *case)

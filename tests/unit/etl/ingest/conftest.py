from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from import_target import Target

from etl.settings import load_settings
from etl.warehouse import Warehouse
from infra.local.bigquery import BigQueryServer


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bigquery")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "storage")
    server.start()
    yield server.endpoint
    server.stop()


@pytest.fixture
def target(endpoint: str) -> Target:
    """A dataset of the test's own, with the tables in it."""
    settings = load_settings("local", dataset=f"d_{uuid.uuid4().hex[:8]}", endpoints={"bigquery": endpoint})
    client = bigquery.Client(
        settings.project, AnonymousCredentials(), location="US", client_options={"api_endpoint": endpoint}
    )
    client.create_dataset(settings.dataset)
    return Target.with_tables(Warehouse(client, settings))

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bigquery_world import PROJECT, Registry, client_of
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bigquery")


@pytest.fixture(scope="module")
def server(state: Path, registry: Registry) -> Iterator[BigQueryServer]:
    running = BigQueryServer(state / "state", project=PROJECT, registry=registry, storage_root=state / "gs")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server: BigQueryServer) -> bigquery.Client:
    made = client_of(server)
    made.create_dataset("d")
    return made


@pytest.fixture(scope="module")
def rows(client: bigquery.Client) -> Callable[..., list[tuple[Any, ...]]]:
    def run(sql: str, **config: Any) -> list[tuple[Any, ...]]:
        job_config = bigquery.QueryJobConfig(**config) if config else None
        return [tuple(row.values()) for row in client.query(sql, job_config=job_config, job_retry=None).result()]

    return run

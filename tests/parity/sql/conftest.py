from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.local.bigquery import BigQueryServer
from infra.local.bigquery.job import Job
from infra.local.bigquery.statements import Session

PROJECT = "bqloop-parity"


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Carries out a query in the local BigQuery, without the way over REST."""
    folder = tmp_path_factory.mktemp("parity")
    server = BigQueryServer(folder / "state", project=PROJECT, storage_root=folder / "gs")
    server.start()
    statements = server._running.statements

    def run(sql: str) -> list[tuple[Any, ...]]:
        session = Session(PROJECT, Job(PROJECT, "parity", "US", "parity", "query", {"query": {"query": sql}}))
        table = statements.run(sql, session).table
        return [tuple(row.values()) for row in table.to_pylist()]

    yield run
    server.stop()

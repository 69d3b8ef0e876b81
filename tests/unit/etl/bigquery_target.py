"""A local BigQuery with the loop's own tables, for what speaks to BigQuery through Google's client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl.ledger import Ledger
from etl.settings import load_settings
from etl.templates import RenderedSql, Templates
from etl.warehouse import Warehouse
from infra.local.bigquery import BigQueryServer

MODEL = "deal_duplicates"


@contextmanager
def running_warehouse(state: Path) -> Iterator[Warehouse]:
    """A warehouse on a local BigQuery of its own, datasets and the ledger's tables made."""
    server = BigQueryServer(state / "state", project="bqloop-local", registry=None, storage_root=state / "gs")
    server.start()
    try:
        settings = load_settings("local", endpoints={"bigquery": server.endpoint})
        client = bigquery.Client(
            project=settings.project,
            location=settings.location,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": server.endpoint},
        )
        warehouse = Warehouse(client, settings)
        for dataset in (settings.dataset, settings.ledger_dataset):
            client.create_dataset(dataset)
        for statement in Ledger(warehouse, Templates.from_tree(MODEL)).definitions():
            warehouse.read_arrow(statement)
        yield warehouse
    finally:
        server.stop()


def statement(text: str, *parameters: str, path: str = "deal_duplicates/features/x.sql") -> RenderedSql:
    """A rendered statement of that text; its lines come from the template's lines 11 and up."""
    origins = tuple((path, 11 + n) for n in range(len(text.splitlines())))
    return RenderedSql(path, text, origins, frozenset(), frozenset(parameters))

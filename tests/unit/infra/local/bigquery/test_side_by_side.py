"""Jobs that change the catalog at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from google.api_core import exceptions
from google.cloud import bigquery


def test_tables_made_side_by_side_do_not_lose_each_other(client: bigquery.Client) -> None:
    def make(number: int) -> int:
        for turn in range(8):
            name = f"d.beside_{number}_{turn}"
            client.query(f"CREATE OR REPLACE TABLE {name} AS SELECT {turn} AS x", job_retry=None).result()
            assert client.get_table(f"{client.project}.{name}").num_rows == 1
        return number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(make, range(6))) == list(range(6))


def test_a_table_made_while_the_catalog_is_read_anew_is_not_lost(
    client: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_tables = DuckDBCatalogRepository._hydrate_tables
    schema = [bigquery.SchemaField("x", "INT64")]
    overtaken = threading.Event()
    client.create_table(bigquery.Table(f"{client.project}.d.gone_meanwhile", schema=schema))

    def read_and_be_overtaken(catalog: DuckDBCatalogRepository) -> None:
        read_tables(catalog)
        if not overtaken.is_set():
            overtaken.set()
            client.create_table(bigquery.Table(f"{client.project}.d.made_meanwhile", schema=schema))
            client.delete_table(f"{client.project}.d.gone_meanwhile")

    monkeypatch.setattr(DuckDBCatalogRepository, "_hydrate_tables", read_and_be_overtaken)
    with pytest.raises(exceptions.BadRequest, match="rolled back"):
        client.query("CREATE TABLE d.overtaken AS SELECT ERROR('rolled back') AS x", job_retry=None).result()

    assert overtaken.wait(30)
    tables = {table.table_id for table in client.list_tables("d")}
    assert "made_meanwhile" in tables
    assert "gone_meanwhile" not in tables


def test_a_statement_that_is_committed_reads_no_catalog_anew(
    client: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DuckDBCatalogRepository, "_hydrate_tables", lambda catalog: pytest.fail("it was read"))
    client.query("CREATE TABLE d.kept AS SELECT 1 AS x; DROP TABLE d.kept", job_retry=None).result()
    client.query("CREATE TABLE d.kept AS SELECT 2 AS x", job_retry=None).result()
    assert [table.table_id for table in client.list_tables("d") if table.table_id == "kept"] == ["kept"]

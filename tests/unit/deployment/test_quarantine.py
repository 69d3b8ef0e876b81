"""Rows that a check of severity `quarantine` finds stay in raw_deals and out of the run."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from deployment.stages.check import violations
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from deployment.stages.tables import of_run
from etl.ledger import Ledger
from etl.names import Naming
from etl.templates import Templates
from etl.warehouse import Warehouse
from tests.unit.etl.bigquery_target import MODEL, running_warehouse, statement

AS_OF = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
TABLES = ("raw_deals", "labels", "quarantined_rows")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with running_warehouse(tmp_path_factory.mktemp("quarantine")) as made:
        naming, templates = Naming.of(made.settings, MODEL), Templates.from_tree(MODEL)
        for name in TABLES:
            made.read_arrow(templates.render(f"{MODEL}/tables/{name}.sql", {"table": naming.tables(TABLES)}))
        made.client.query(
            "INSERT INTO bqloop.raw_deals (source, deal_id, title, ingested_at) VALUES "
            "('a', '1', 'Bosch drill 18V', TIMESTAMP '2026-02-01 00:00:00+00'), "
            "('a', '2', '!!! ***', TIMESTAMP '2026-02-01 00:00:00+00'), "
            "('a', '3', 'Bosch saw', TIMESTAMP '2026-02-01 00:00:00+00'), "
            "('a', '3', '???', TIMESTAMP '2026-02-02 00:00:00+00')"
        ).result()
        yield made


def run_on(warehouse: Warehouse, run_id: str = f"{MODEL}-2026-03-01") -> Run:
    templates = Templates.from_tree(MODEL)
    message = StageMessage(model=MODEL, run_id=run_id, stage="check", as_of=AS_OF)
    registry: Any = None
    return Run(message, warehouse.settings, templates, warehouse, Ledger(warehouse, templates), registry)


def test_blank_titles_are_kept_out_and_an_earlier_version_counts_again(warehouse: Warehouse) -> None:
    run = run_on(warehouse)
    found = {finding["check"]: finding for finding in violations(run)}
    assert found["blank_titles"]["severity"] == "quarantine"
    assert found["blank_titles"]["rows"] == 2
    assert {(e["source"], e["deal_id"]) for e in found["blank_titles"]["examples"]} == {("a", "2"), ("a", "3")}
    of_run(run).build(["clean_deals"])
    table = run.naming.run_table(run.slug, "clean_deals")
    rows = warehouse.read(statement(f"SELECT deal_id, title FROM `{table}` ORDER BY deal_id"))
    assert [(row["deal_id"], row["title"]) for row in rows] == [("1", "bosch drill 18v"), ("3", "bosch saw")]


def test_a_check_that_is_run_again_quarantines_nothing_twice(warehouse: Warehouse) -> None:
    run = run_on(warehouse, f"{MODEL}-2026-03-02")
    violations(run)
    violations(run)
    (row,) = warehouse.read(
        statement(f"SELECT COUNT(*) AS n FROM bqloop.quarantined_rows WHERE run_id = '{run.message.run_id}'")
    )
    assert row["n"] == 2
    (kept,) = warehouse.read(statement("SELECT COUNT(*) AS n FROM bqloop.raw_deals"))
    assert kept["n"] == 4

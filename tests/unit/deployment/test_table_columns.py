"""A table of an earlier version gets the columns that its DDL has gained; nothing else about it is ever changed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import bigquery
from google.cloud.pubsub_v1 import PublisherClient

from deployment.application import Application
from deployment.setup import add_columns, prepare
from deployment.table_columns import add_missing_columns, make_table, standard_type
from etl.errors import StateError
from etl.settings import environment_file, load_settings
from etl.warehouse import Warehouse
from infra.local.cloud import LocalCloud
from tests.faults.waiting import wait_until
from tests.unit.etl.bigquery_target import statement

ROOT = Path(__file__).resolve().parents[3]
SINCE = ("row_keys", "prediction", "endpoint_ms")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    config = yaml.safe_load(environment_file("local").read_text())
    cloud = LocalCloud(config, tmp_path_factory.mktemp("cloud"), root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        made = Application(load_settings("local"))
        for dataset in (made.settings.dataset, made.settings.ledger_dataset):
            made.bigquery.create_dataset(dataset)
        yield made
    cloud.stop()


@pytest.fixture
def warehouse(app: Application) -> Warehouse:
    return app.warehouse(app.settings.models[0])


def names(app: Application, table: str) -> list[str]:
    return [field.name for field in app.bigquery.get_table(f"{app.settings.dataset}.{table}").schema]


def test_the_log_of_an_earlier_version_takes_the_rows_of_this_one_and_keeps_its_own(app: Application) -> None:
    prepare(app)
    log = f"{app.settings.project}.{app.settings.dataset}.{app.settings.inference_log.table}"
    for column in SINCE:
        app.bigquery.query(f"ALTER TABLE `{log}` DROP COLUMN {column}").result()
    told = {
        "inference_id": "1",
        "request_id": "1",
        "answered_at": "2026-03-01T00:00:00Z",
        "route": "score",
        "model": "m",
    }
    publisher = PublisherClient()
    topic = app.settings.topic_path(app.settings.inference_log.topic)
    publisher.publish(topic, json.dumps(told).encode()).result(timeout=30)

    def logged() -> dict[str, Any]:
        return {row["inference_id"]: dict(row) for row in app.bigquery.query(f"SELECT * FROM `{log}`").result()}

    assert wait_until(lambda: "1" in logged(), 60, pause=0.3)
    add_columns(app)
    assert set(SINCE) <= set(names(app, app.settings.inference_log.table))
    with_more = told | {"inference_id": "2", "row_keys": {"point_id": 7}, "prediction": 1.5}
    publisher.publish(topic, json.dumps(with_more).encode()).result(timeout=30)
    assert wait_until(lambda: "2" in logged(), 60, pause=0.3), "the subscription sees the new columns"
    rows = logged()
    assert rows["1"]["prediction"] is None
    assert (rows["2"]["prediction"], rows["2"]["row_keys"]) == (1.5, {"point_id": 7})
    prepare(app)  # and the views over it stand


def test_a_column_that_must_be_there_is_added_as_one_that_may_be_missing(
    app: Application, warehouse: Warehouse
) -> None:
    table = f"{app.settings.project}.{app.settings.dataset}.grown"
    make_table(warehouse, statement(f"CREATE TABLE IF NOT EXISTS `{table}` (a STRING NOT NULL)"))
    later = (
        f"CREATE TABLE IF NOT EXISTS `{table}` (a STRING NOT NULL, -- the first\n"
        '  b ARRAY<STRUCT<x INT64, y STRING>>, c NUMERIC NOT NULL OPTIONS (description = "it\'s new"))'
    )
    assert add_missing_columns(warehouse, statement(later))
    a, b, c = app.bigquery.get_table(table).schema
    assert (a.name, a.mode) == ("a", "REQUIRED")
    assert (b.name, standard_type(b)) == ("b", "ARRAY<STRUCT<x INT64, y STRING>>")
    assert (c.name, c.mode, c.field_type) == ("c", "NULLABLE", "NUMERIC")
    assert c.description == "it's new"
    before = app.bigquery.get_table(table).etag
    make_table(warehouse, statement(later))
    assert app.bigquery.get_table(table).etag == before, "nothing is missing, nothing is changed"


def test_a_column_of_another_type_is_refused_by_name_and_nothing_is_added(
    app: Application, warehouse: Warehouse
) -> None:
    table = f"{app.settings.project}.{app.settings.dataset}.typed"
    make_table(warehouse, statement(f"CREATE TABLE IF NOT EXISTS `{table}` (price FLOAT64, own STRING)"))
    with pytest.raises(StateError, match=r"x.sql:11: column price is NUMERIC, but it stands in the table as FLOAT64"):
        make_table(warehouse, statement(f"CREATE TABLE IF NOT EXISTS `{table}` (price NUMERIC, more STRING)"))
    assert names(app, "typed") == ["price", "own"]


def test_what_is_missing_is_not_made_and_views_are_left_alone(app: Application, warehouse: Warehouse) -> None:
    dataset = f"{app.settings.project}.{app.settings.dataset}"
    assert not add_missing_columns(warehouse, statement(f"CREATE TABLE IF NOT EXISTS `{dataset}.none` (a STRING)"))
    assert not add_missing_columns(warehouse, statement(f"CREATE OR REPLACE VIEW `{dataset}.v` AS SELECT 1 AS one"))
    assert not add_missing_columns(warehouse, statement("CREATE GARDEN (a STRING"))
    assert {t.table_id for t in app.bigquery.list_tables(dataset)}.isdisjoint({"none", "v"})


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (bigquery.SchemaField("a", "INTEGER"), "INT64"),
        (bigquery.SchemaField("a", "STRING", max_length=5), "STRING(5)"),
        (bigquery.SchemaField("a", "BOOLEAN", mode="REPEATED"), "ARRAY<BOOL>"),
        (bigquery.SchemaField("a", "RECORD", fields=[bigquery.SchemaField("b", "FLOAT")]), "STRUCT<b FLOAT64>"),
    ],
)
def test_types_are_told_as_a_ddl_tells_them(field: bigquery.SchemaField, kind: str) -> None:
    assert standard_type(field) == kind


def test_before_a_first_installation_there_is_nothing_to_add_to(app: Application) -> None:
    elsewhere = app.settings.model_copy(update={"dataset": "not_there_yet"})
    add_columns(Application(elsewhere))
    assert "not_there_yet" not in {found.dataset_id for found in app.bigquery.list_datasets()}

"""Runs `features/*/*.yml` and `predict/*/*.yml` on the local BigQuery: given rows, parameters, expected rows of one table.

A case lives in a folder with the name of the table that it builds. `given` holds rows by table: `raw_deals` and
`labels` are the persistent ones, all others tables of the run. Only the columns that `expected` names are compared.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl.model_policy import load_policy
from etl.names import Naming
from etl.settings import load_settings
from etl.templates import Templates, in_order
from etl.warehouse import Warehouse
from infra.local.bigquery import BigQueryServer

MODEL = "deal_duplicates"
HERE = Path(__file__).parent
CASES = sorted(path for folder in ("features", "predict") for path in (HERE / folder).glob("*/*.yml"))
PERSISTENT = ("raw_deals", "labels", "duplicates", "duplicate_pairs")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bigquery.Client]:
    folder = tmp_path_factory.mktemp("bigquery")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "storage")
    server.start()
    yield bigquery.Client(
        "bqloop-local", AnonymousCredentials(), location="US", client_options={"api_endpoint": server.endpoint}
    )
    server.stop()


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_table_is_built_as_its_case_says(path: Path, client: bigquery.Client) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    target = path.parent.name
    settings = load_settings("local", dataset=f"case_{uuid.uuid4().hex[:12]}", endpoints={"bigquery": "http://unused"})
    client.create_dataset(settings.dataset)
    naming, templates, policy = Naming.of(settings, MODEL), Templates.from_tree(MODEL), load_policy(MODEL)
    files = {p.rsplit("/", 1)[-1][:-4]: p for f in ("features", "predict") for p in templates.folder(f"{MODEL}/{f}")}
    context = {
        "table": naming.tables(templates.stems(f"{MODEL}/tables")),
        "run_table": naming.run_tables(files, "r"),
        "policy": policy,
        "champion": {"model": "`p.d.m`"},
    }
    warehouse = Warehouse(client, settings)
    for name in PERSISTENT:
        warehouse.read(templates.render(f"{MODEL}/tables/{name}.sql", context), {})
    for name, rows in case["given"].items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        selects = [", ".join(f"{_literal(row.get(column))} AS {column}" for column in columns) for row in rows]
        body = " UNION ALL SELECT ".join(selects)
        if name in PERSISTENT:
            client.query(f"INSERT INTO `{naming.table(name)}` ({', '.join(columns)}) SELECT {body}").result()
        else:
            client.query(f"CREATE TABLE `{naming.run_table('r', name)}` AS SELECT {body}").result()
    rendered = {name: templates.render(file, context) for name, file in files.items() if name not in case["given"]}
    parameters = {
        **policy.parameters,
        "as_of": dt.datetime(2026, 6, 1, tzinfo=dt.UTC),
        "run_id": f"{MODEL}-r",
        "threshold": 0.5,
        **case.get("parameters", {}),
    }
    for name in in_order({name: statement.run_tables for name, statement in rendered.items()}, [target]):
        warehouse.read(rendered[name], parameters)
    table = naming.table("duplicates") if target == "cluster_members" else naming.run_table("r", target)
    columns = list(case["expected"][0])
    found = [dict(row) for row in client.query(f"SELECT {', '.join(columns)} FROM `{table}`").result()]
    assert sorted(map(_comparable, found)) == sorted(map(_comparable, case["expected"])), case["says"]


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}+00'"
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)


def _comparable(row: dict[str, Any]) -> tuple[str, ...]:
    def shown(value: Any) -> str:
        if isinstance(value, float) and not math.isnan(value):
            return f"{value:.6f}".rstrip("0").rstrip(".")
        return str(value)

    return tuple(shown(value) for value in row.values())

"""A model that only one environment has is made anew in another from the ledger, as infra/gcp/README.md tells.

The ledger gives the commit, the SQL by its hash, and the instant; time travel gives the rows as of it. Two environments
are two BigQuerys with a registry each, which share nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from deployment.application import Application
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from etl.settings import load_settings
from infra.local.bigquery import BigQueryServer
from infra.local.bqml import Model
from infra.local.credentials import LocalCredentials
from infra.local.vertex import VertexServer
from tests.e2e.test_loop import import_generated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = "deal_duplicates"
PROJECT = "bqloop-local"
RUN = f"{MODEL}-in-prod"
# What a run reads that comes from outside; everything else it makes.
INCOMING = ("raw_deals", "labels")


@contextmanager
def environment(folder: Path) -> Iterator[Application]:
    vertex = VertexServer(folder / "vertex", project=PROJECT, load_model=Model.load)
    vertex.start()
    warehouse = BigQueryServer(
        folder / "bigquery", project=PROJECT, registry=vertex.registry, storage_root=folder / "storage"
    )
    warehouse.start()
    try:
        app = Application(load_settings("local", endpoints={"bigquery": warehouse.endpoint, "vertex": vertex.endpoint}))
        prepare(app)
        yield app
    finally:
        warehouse.stop()
        vertex.stop()


class _Next:
    def __init__(self) -> None:
        self.message: StageMessage | None = None

    def publish(self, message: StageMessage) -> str:
        self.message = message
        return message.run_id


def carry_out(app: Application, as_of: dt.datetime) -> None:
    """A run from check to its end."""
    following = _Next()
    message: StageMessage | None = StageMessage(
        model=MODEL, run_id=RUN, stage="check", as_of=as_of, options={"force": True}
    )
    while message is not None:
        following.message = None
        event = run_stage(app.run(message), following)
        assert event is not None
        assert event.status == "SUCCEEDED", event.details["reason"]
        message = following.message


def rows_as_of(app: Application, table: str, as_of: dt.datetime) -> list[dict[str, Any]]:
    """What the README copies: a table as it was."""
    statement = f"SELECT * FROM bqloop.{table} FOR SYSTEM_TIME AS OF TIMESTAMP '{as_of.isoformat()}'"
    return [dict(row) for row in app.bigquery.query(statement).result()]


def facts(app: Application) -> dict[str, Any]:
    """What the ledger has of the run: its SQL, and how each candidate did on which rows."""
    events = app.ledger(MODEL).events(RUN)
    (evaluated,) = [e for e in events if e.stage == "evaluate" and e.status == "SUCCEEDED"]
    metrics = {(m["name"], m["split"]): m for m in evaluated.details["metrics"]}
    return {"sql": {e.sql_sha for e in events}, "as_of": events[0].as_of, "metrics": metrics}


def test_a_run_is_made_anew_from_the_ledger_and_the_rows_as_of_its_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = LocalCredentials(tmp_path, project=PROJECT)
    credentials.start()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials.path))
    with environment(tmp_path / "prod") as prod, environment(tmp_path / "dev") as dev:
        (tmp_path / "days").mkdir()
        import_generated(prod, tmp_path / "days", 0)
        as_of = dt.datetime.now(dt.UTC)
        carry_out(prod, as_of)
        import_generated(prod, tmp_path / "days", 1)  # the tables have gone on since
        known = facts(prod)
        for table in INCOMING:
            rows = rows_as_of(prod, table, known["as_of"])
            assert 500 < len(rows) < (prod.bigquery.get_table(f"bqloop.{table}").num_rows or 0)
            kept = dev.bigquery.get_table(f"bqloop.{table}")
            plain = [{k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in r.items()} for r in rows]
            plain = [{k: str(v) if "Decimal" in type(v).__name__ else v for k, v in r.items()} for r in plain]
            dev.bigquery.load_table_from_json(plain, kept, job_config=load_config(kept)).result()
        carry_out(dev, known["as_of"])
        again = facts(dev)
    credentials.stop()
    assert again["sql"] == known["sql"]
    assert again["metrics"].keys() == known["metrics"].keys()
    for (name, split), metric in known["metrics"].items():
        anew = again["metrics"][name, split]
        same = [k for k, v in metric.items() if name == "logistic_reg" or isinstance(v, str) or k in ROWS]
        assert {k: anew[k] for k in same} == pytest.approx({k: metric[k] for k in same}, nan_ok=True), (name, split)
        # Trees are grown in the order of the rows, which no table keeps: the same rows, and much the same model.
        assert anew["average_precision"] == pytest.approx(metric["average_precision"], abs=0.05)


ROWS = ("row_count", "positives", "entity_groups", "rows_fingerprint")


def load_config(table: Any) -> Any:
    return bigquery.LoadJobConfig(schema=table.schema)

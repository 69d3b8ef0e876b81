"""The warehouse's tables of some deals, and the service's program over the same frozen statistics."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from deployment.stages.run import policy_of
from etl.names import Naming
from etl.settings import load_settings
from etl.templates import Templates, in_order
from etl.warehouse import Warehouse
from functions.service.feature_program import FeatureProgram
from functions.service.policy import serving_policy
from functions.service.values import PAIR_COLUMNS, ordered
from infra.local.bigquery import BigQueryServer

MODEL = "deal_duplicates"
NOW = dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC)
Row = dict[str, Any]


@contextmanager
def world_of(folder: Path, deals: list[Row], labels: list[Row]) -> Iterator[World]:
    """A warehouse for the time of the block."""
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "gs")
    server.start()
    try:
        yield World(server.endpoint, deals, labels)
    finally:
        server.stop()


class World:
    """The warehouse's tables, and the service's program over the same frozen statistics."""

    def __init__(self, endpoint: str, deals: list[Row], labels: list[Row]) -> None:
        settings = load_settings("local", endpoints={"bigquery": endpoint})
        self.client = bigquery.Client(
            settings.project, AnonymousCredentials(), location="US", client_options={"api_endpoint": endpoint}
        )
        self.templates = Templates.from_tree(MODEL)
        self.policy = policy_of(self.templates)
        self.serving = serving_policy(self.policy)
        self.naming = Naming.of(settings, MODEL)
        self.warehouse = Warehouse(self.client, settings)
        self.client.create_dataset(settings.dataset, exists_ok=True)
        tables = self.naming.tables(self.templates.stems(f"{MODEL}/tables"))
        features = self.templates.stems(f"{MODEL}/features")
        context = {"table": tables, "run_table": self.naming.run_tables(features, "t"), "policy": self.policy}
        for name in ("raw_deals", "labels"):
            self.warehouse.read_arrow(self.templates.render(f"{MODEL}/tables/{name}.sql", context))
        self.load("raw_deals", deals)
        self.load("labels", labels)
        rendered = {n: self.templates.render(f"{MODEL}/features/{n}.sql", context) for n in features}
        parameters = {**self.policy.parameters, "as_of": NOW + dt.timedelta(days=1), "run_id": "r", "model": MODEL}
        for name in in_order({n: r.run_tables for n, r in rendered.items()}, [self.serving.features]):
            self.warehouse.read_arrow(rendered[name], parameters)
        frozen = {name: self.table(name) for name in self.policy.frozen}
        self.program = FeatureProgram(self.templates, self.policy, self.serving, frozen)

    def load(self, name: str, rows: list[dict[str, Any]]) -> None:
        columns = sorted({column for row in rows for column in row})
        as_json = [{c: _plain(row.get(c)) for c in columns} for row in rows]
        for first in range(0, len(as_json), 2_000):
            assert self.client.insert_rows_json(self.naming.table(name), as_json[first : first + 2_000]) == []

    def labelled_features(self) -> list[Row]:
        """The features of the labelled pairs."""
        labelled = self.naming.run_table("t", "labelled_pairs")
        return self._rows(
            f"SELECT pair.* FROM `{self._features}` AS pair INNER JOIN `{labelled}` USING (left_key, right_key)"
        )

    def compared(self) -> list[Any]:
        """All pairs that were compared, labelled or not."""
        return [pair_of(row) for row in self._rows(f"SELECT {', '.join(PAIR_COLUMNS)} FROM `{self._features}`")]

    @property
    def _features(self) -> str:
        return self.naming.run_table("t", self.serving.features)

    def _rows(self, query: str) -> list[Row]:
        found = self.client.query(query).result().to_arrow(create_bqstorage_client=False)
        return list(found.to_pylist())

    def table(self, name: str) -> Any:
        return self.client.list_rows(self.naming.run_table("t", name)).to_arrow(create_bqstorage_client=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def labelled(deals: Sequence[Row], pairs: Sequence[tuple[int, int]]) -> list[Row]:
    """Labels of pairs of these deals, so that all of them are compared."""
    rows = []
    for a, b in pairs:
        left, right = ordered(*((deals[n]["source"], deals[n]["deal_id"]) for n in (a, b)))
        rows.append(
            {
                "left_source": left[0],
                "left_id": left[1],
                "right_source": right[0],
                "right_id": right[1],
                "is_duplicate": deals[a]["title"] == deals[b]["title"],
                "split": "train",  # given, or a run leaves out the pairs whose deals are on different sides
                "labelled_at": NOW - dt.timedelta(days=1),
                "ingested_at": NOW - dt.timedelta(days=1),
                "origin": "import",
            }
        )
    return rows


def differences(expected: dict[Any, Row], got: Sequence[Row]) -> dict[str, Any]:
    """By column the first pair on which two results differ, to the ninth decimal."""
    different: dict[str, Any] = {}
    for row in got:
        for name, wanted in expected[pair_of(row)].items():
            if not same(wanted, row[name]):
                different.setdefault(name, (pair_of(row), wanted, row[name]))
    return different


def pair_of(row: Any) -> Any:
    return (row["left_source"], row["left_id"]), (row["right_source"], row["right_id"])


def same(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, int | float | Decimal) and not isinstance(wanted, bool):
        return got is not None and math.isclose(float(wanted), float(got), rel_tol=1e-9, abs_tol=1e-9)
    return bool(wanted == got)

"""The REST routes for tables that bqemulator answers too slowly or from stale numbers: streaming inserts and sizes.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, cast
from uuid import uuid4

import duckdb
import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from bqemulator.api.routes import tabledata, tables
from bqemulator.domain.errors import ResourceRef, resource_not_found
from bqemulator.storage.arrow_bridge import bq_rows_to_arrow
from bqemulator.storage.sql_identifiers import quoted_table_ref
from fastapi import APIRouter, Body
from pydantic_core import from_json

from .costs import Costs
from .engine import ThreadedEngine
from .errors import BigQueryError
from .time_travel import TimeTravel

TABLE = "/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
SETTLING_S = 2.0
"""How long a reader waits for the transaction that makes a table."""
REMEMBERED_S = 3600
"""How long an insert ID is remembered; BigQuery promises about a minute."""


class InsertIds:
    """The insert IDs of the last hour, on disk with their rows, so that a repeat after a crash is known too."""

    def __init__(self, engine: ThreadedEngine) -> None:
        self._engine = engine
        # By age: what is too old is taken from the front, row by row, and never looked for among all.
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Read what is on disk; throw away what is too old."""
        self._engine.execute(
            'CREATE TABLE IF NOT EXISTS "_bqloop"."insert_ids" (target VARCHAR, id VARCHAR, seen DOUBLE)'
        )
        self._engine.execute('DELETE FROM "_bqloop"."insert_ids" WHERE seen < ?', [time.time() - REMEMBERED_S])
        for target, insert_id, at in self._engine.rows(
            'SELECT target, id, seen FROM "_bqloop"."insert_ids" ORDER BY seen'
        ):
            self._seen[target, insert_id] = at

    def claim(self, target: str, ids: list[str | None]) -> list[int]:
        """The places of the rows that are new; their IDs count as seen from now on."""
        now = time.time()
        with self._lock:
            while self._seen and next(iter(self._seen.values())) <= now - REMEMBERED_S:
                self._seen.popitem(last=False)
            new = []
            for place, insert_id in enumerate(ids):
                if insert_id is not None:
                    if (target, insert_id) in self._seen:
                        continue
                    self._seen[target, insert_id] = now
                new.append(place)
        return new

    def release(self, target: str, ids: list[str | None]) -> None:
        """The rows were not inserted after all."""
        with self._lock:
            for insert_id in ids:
                if insert_id is not None:
                    self._seen.pop((target, insert_id), None)

    def keep(self, target: str, ids: list[str | None]) -> None:
        """Write the IDs down, within the transaction of their rows."""
        given = [insert_id for insert_id in ids if insert_id is not None]
        if given:
            name = f"_bqloop_ids_{uuid4().hex}"
            self._engine.connection.register(name, pa.table({"id": pa.array(given, pa.string())}))
            try:
                self._engine.execute(
                    f'INSERT INTO "_bqloop"."insert_ids" SELECT ?, id, ? FROM {name}', [target, time.time()]
                )
            finally:
                self._engine.connection.unregister(name)


def table_routes(context: AppContext, engine: ThreadedEngine, costs: Costs, insert_ids: InsertIds) -> APIRouter:
    """The router."""
    router = APIRouter()
    history = cast("TimeTravel", context.snapshots)

    def meta_of(project: str, dataset: str, table: str) -> Any:
        meta = context.catalog.get_table(project, dataset, table)
        if meta is None:
            raise resource_not_found(ResourceRef("table", project, dataset, table))
        return meta

    @router.get(TABLE)
    def get_table(project: str, dataset: str, table: str) -> dict[str, Any]:
        key = (project, dataset, table.split("$", 1)[0])
        meta = meta_of(*key)
        resource: dict[str, Any] = tables._table_to_rest(meta)
        resource["location"] = "US"
        if meta.view_query:
            resource["view"] = {"query": meta.view_query, "useLegacySql": False}
            return resource
        rows, size = _measured(key)
        resource |= {
            "numRows": str(rows),
            "numBytes": size,
            "numLongTermBytes": "0",
            "numActiveLogicalBytes": size,
            "numTotalLogicalBytes": size,
        }
        return resource

    def _measured(key: tuple[str, str, str]) -> tuple[int, str]:
        """Rows and bytes. A job tells the catalog of a table a moment before its transaction is through."""
        end = time.monotonic() + SETTLING_S
        while True:
            try:
                return engine.rows(f"SELECT count(*) FROM {quoted_table_ref(*key)}")[0][0], str(costs.table_bytes(key))
            except duckdb.CatalogException as error:
                if time.monotonic() > end:
                    raise resource_not_found(ResourceRef("table", *key)) from error
                time.sleep(0.02)

    @router.post(f"{TABLE}/insertAll")
    def insert_all(project: str, dataset: str, table: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008  # FastAPI's way
        meta = meta_of(project, dataset, table)
        sent = body.get("rows") or []
        if not sent:
            raise BigQueryError("invalid", "No rows present in the request.")
        errors = _row_errors(sent, meta.schema_.fields, ignore_unknown=bool(body.get("ignoreUnknownValues")))
        schema = _arrow_schema(meta)
        good, errors = _converted(sent, schema, errors)
        if errors and not body.get("skipInvalidRows"):
            bad = {error["index"] for error in errors}
            stopped = [
                {"index": place, "errors": [{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]}
                for place in range(len(sent))
                if place not in bad
            ]
            return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors + stopped}
        target = f"{project}.{dataset}.{table}"
        ids = [sent[place].get("insertId") for place, _ in good]
        new = insert_ids.claim(target, ids)
        if new:
            claimed = [ids[place] for place in new]
            try:
                # In one chunk: DuckDB would read, and be called back for, each row's own.
                rows = pa.concat_tables([good[place][1] for place in new]).combine_chunks()
                _write(rows, (project, dataset, table), target, claimed)
            except BaseException:
                insert_ids.release(target, claimed)
                raise
        return {"kind": "bigquery#tableDataInsertAllResponse"} | ({"insertErrors": errors} if errors else {})

    def _write(rows: pa.Table, key: tuple[str, str, str], target: str, ids: list[str | None]) -> None:
        name = f"_bqloop_rows_{uuid4().hex}"
        engine.connection.register(name, rows)
        try:
            for attempt in range(50):
                try:
                    with engine.transaction():
                        history.before_change(*key, append_only=True)
                        engine.execute(f"INSERT INTO {quoted_table_ref(*key)} BY NAME SELECT * FROM {name}")
                        insert_ids.keep(target, ids)
                        history.record_change(*key)
                except duckdb.TransactionException:
                    time.sleep(0.002 * attempt)
                else:
                    return
            raise BigQueryError("backendError", "The table is being changed by others; try again")
        finally:
            engine.connection.unregister(name)

    return router


def _arrow_schema(meta: Any) -> pa.Schema:
    raw: Any = tabledata._fields_raw_from_schema(meta.schema_.fields)
    return tabledata._build_arrow_schema(raw)


def _converted(
    sent: list[dict[str, Any]], schema: pa.Schema, errors: list[dict[str, Any]]
) -> tuple[list[tuple[int, pa.Table]], list[dict[str, Any]]]:
    """Each row that fits as an Arrow table of one row, by its place; and all errors."""
    bad = {error["index"] for error in errors}
    places = [place for place in range(len(sent)) if place not in bad]
    try:
        whole = bq_rows_to_arrow([sent[place] for place in places], schema)
        return [(place, whole.slice(at, 1)) for at, place in enumerate(places)], errors
    except (ValueError, TypeError, ArithmeticError, pa.ArrowException):
        good = []
        for place in places:
            try:
                good.append((place, bq_rows_to_arrow([sent[place]], schema)))
            except (ValueError, TypeError, ArithmeticError, pa.ArrowException) as error:
                errors.append(tabledata._format_insert_error(place, error, sent[place], schema))
        return good, errors


def _row_errors(sent: list[dict[str, Any]], fields: Any, *, ignore_unknown: bool) -> list[dict[str, Any]]:
    """Unknown and missing fields and texts that are no JSON, which BigQuery reports for each row."""
    known = {field.name.lower() for field in fields}
    required = [field.name for field in fields if field.mode == "REQUIRED"]
    of_json = {field.name.lower() for field in fields if field.type == "JSON" and field.mode != "REPEATED"}
    errors = []
    for place, row in enumerate(sent):
        values = row.get("json") or {}
        unknown = [] if ignore_unknown else [name for name in values if name.lower() not in known]
        given = {name.lower() for name, value in values.items() if value is not None}
        missing = [name for name in required if name.lower() not in given]
        found = [
            {"reason": "invalid", "location": name, "debugInfo": "", "message": f"no such field: {name}."}
            for name in unknown
        ] + [
            {"reason": "invalid", "location": name, "debugInfo": "", "message": f"Missing required field: {name}."}
            for name in missing
        ]
        found += [
            {
                "reason": "invalid",
                "location": name,
                "debugInfo": "",
                "message": f"Invalid JSON in {name}: {value[:100]}",
            }
            for name, value in values.items()
            if name.lower() in of_json and isinstance(value, str) and not _is_json(value)
        ]
        if found:
            errors.append({"index": place, "errors": found})
    return errors


def _is_json(text: str) -> bool:
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return False
    return True

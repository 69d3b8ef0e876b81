"""`INFORMATION_SCHEMA.JOBS` and its kin, read from the jobs that this warehouse has run, and `dataset.__TABLES__`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from sqlglot import exp

from .costs import Costs
from .dataset_tables import dataset_of, tables_of
from .engine import ThreadedEngine
from .errors import BigQueryError
from .job import Job
from .job_store import JobStore

if TYPE_CHECKING:
    from .statements import Session

VIEWS = frozenset({"JOBS", "JOBS_BY_PROJECT", "JOBS_BY_USER", "JOBS_BY_ORGANIZATION", "JOBS_BY_FOLDER"})

_TIME = pa.timestamp("us", tz="UTC")
_TABLE = pa.struct([("project_id", pa.string()), ("dataset_id", pa.string()), ("table_id", pa.string())])
SCHEMA = pa.schema(
    [
        ("creation_time", _TIME),
        ("project_id", pa.string()),
        ("user_email", pa.string()),
        ("job_id", pa.string()),
        ("job_type", pa.string()),
        ("statement_type", pa.string()),
        ("priority", pa.string()),
        ("start_time", _TIME),
        ("end_time", _TIME),
        ("query", pa.string()),
        ("state", pa.string()),
        ("total_bytes_processed", pa.int64()),
        ("total_bytes_billed", pa.int64()),
        ("total_slot_ms", pa.int64()),
        ("cache_hit", pa.bool_()),
        ("error_result", pa.struct([("reason", pa.string()), ("location", pa.string()), ("message", pa.string())])),
        ("destination_table", _TABLE),
        ("labels", pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))),
    ]
)


class JobViews:
    """Puts the jobs in the place of INFORMATION_SCHEMA.JOBS, and a dataset's tables in that of its `__TABLES__`."""

    def __init__(self, store: JobStore, context: AppContext, costs: Costs) -> None:
        self._store = store
        self._context = context
        self._costs = costs

    def register(self, tree: exp.Expr, session: Session, engine: ThreadedEngine) -> exp.Expr:
        """`tree` with every such view replaced by a relation registered in this thread's session."""
        for table in list(tree.find_all(exp.Table)):
            path = ".".join(part.name for part in table.parts).upper().split(".")
            dataset = dataset_of(table, session.project)
            if dataset is not None:
                _put(table, tables_of(*dataset, self._context, self._costs), session, engine)
                continue
            if len(path) < 2 or path[-2] != "INFORMATION_SCHEMA":
                continue
            if path[-1] not in VIEWS:
                _unquote(table)
                continue
            rows = [_row(job) for job in self._store.jobs(session.project)]
            _put(table, pa.Table.from_pylist(rows, SCHEMA), session, engine)
        return tree


def _put(table: exp.Table, rows: pa.Table, session: Session, engine: ThreadedEngine) -> None:
    name = f"_bqloop_view_{uuid4().hex}"
    engine.connection.register(name, rows)
    session.views.append(name)
    table.replace(exp.Table(this=exp.to_identifier(name), alias=table.args.get("alias")))


def _unquote(table: exp.Table) -> None:
    """bqemulator finds `dataset.INFORMATION_SCHEMA.TABLES` by regular expression, in pieces and without quotes."""
    pieces = [piece for part in table.parts for piece in part.name.split(".")]
    if pieces[0].lower().startswith("region-"):
        raise BigQueryError("notImplemented", f"{'.'.join(pieces)}: only JOBS is answered for a region; name a dataset")
    name = exp.Identifier(this=pieces.pop(), quoted=False)
    path: exp.Expr = exp.Identifier(this=pieces.pop(), quoted=False)
    table.set("this", name)
    table.set("db", path)
    table.set("catalog", exp.Identifier(this=".".join(pieces), quoted="-" in ".".join(pieces)) if pieces else None)


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _row(job: Job) -> dict[str, Any]:
    resource = job.resource()
    destination = resource["configuration"].get("query", {}).get("destinationTable") or {}
    labels = job.configuration.get("labels") or {}
    return {
        "creation_time": _time(job.created),
        "project_id": job.project,
        "user_email": job.user,
        "job_id": job.job_id,
        "job_type": job.kind.upper(),
        "statement_type": job.outcome.statistics.get("statementType"),
        "priority": "INTERACTIVE",
        "start_time": _time(job.started),
        "end_time": _time(job.ended),
        "query": job.configuration.get("query", {}).get("query"),
        "state": job.state,
        "total_bytes_processed": job.bytes_processed,
        "total_bytes_billed": job.bytes_billed,
        "total_slot_ms": int(resource["statistics"]["totalSlotMs"]),
        "cache_hit": False,
        "error_result": job.error,
        "destination_table": {
            "project_id": destination.get("projectId"),
            "dataset_id": destination.get("datasetId"),
            "table_id": destination.get("tableId"),
        },
        "labels": [{"key": key, "value": value} for key, value in labels.items()],
    }

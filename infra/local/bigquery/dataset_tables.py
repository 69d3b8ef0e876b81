"""`dataset.__TABLES__`: the tables of a dataset with their sizes, as BigQuery keeps them beside INFORMATION_SCHEMA."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from sqlglot import exp

from .costs import Costs
from .errors import BigQueryError

NAME = "__TABLES__"
KINDS = {"TABLE": 1, "VIEW": 2, "EXTERNAL": 3, "MATERIALIZED_VIEW": 4, "SNAPSHOT": 5}
SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("dataset_id", pa.string()),
        ("table_id", pa.string()),
        ("creation_time", pa.int64()),
        ("last_modified_time", pa.int64()),
        ("row_count", pa.int64()),
        ("size_bytes", pa.int64()),
        ("type", pa.int64()),
    ]
)


def dataset_of(table: exp.Table, project: str) -> tuple[str, str] | None:
    """Project and dataset, if a name in FROM is that of a dataset's `__TABLES__`, in whatever pieces it is quoted."""
    pieces = [piece for part in table.parts for piece in part.name.split(".")]
    if len(pieces) < 2 or pieces[-1].upper() != NAME:
        return None
    return ".".join(pieces[:-2]) or project, pieces[-2]


def tables_of(project: str, dataset: str, context: AppContext, costs: Costs) -> pa.Table:
    """One row a table or view, by name.

    Raises:
        BigQueryError: `notFound`, if there is no such dataset.
    """
    if context.catalog.get_dataset(project, dataset) is None:
        raise BigQueryError("notFound", f"Not found: Dataset {project}:{dataset} was not found in location US")
    rows = []
    for meta in sorted(context.catalog.list_tables(project, dataset), key=lambda meta: meta.table_id):
        key = (project, dataset, meta.table_id)
        held = meta.view_query is None
        rows.append(
            {
                "project_id": project,
                "dataset_id": dataset,
                "table_id": meta.table_id,
                "creation_time": _milliseconds(meta.creation_time),
                "last_modified_time": _milliseconds(meta.last_modified_time),
                "row_count": costs.table_rows(key) if held else 0,
                "size_bytes": costs.table_bytes(key) if held else 0,
                "type": KINDS.get(meta.table_type, 1),
            }
        )
    return pa.Table.from_pylist(rows, SCHEMA)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

"""What the tests of the import share: a table's fields, and a file staged without any warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from google.cloud.bigquery import SchemaField

from etl.ingest.formats import open_rows
from etl.ingest.kinds import DEALS, LABELS, Kind
from etl.ingest.mapping import Field, fields_of, map_fields
from etl.ingest.staging import stage_rows


def _column(name: str, kind: str = "STRING", mode: str = "NULLABLE") -> SchemaField:
    return SchemaField(name, kind, mode)


SCHEMAS = {
    "deals": [
        _column("deal_id", mode="REQUIRED"),
        _column("source", mode="REQUIRED"),
        _column("title", mode="REQUIRED"),
        _column("brand"),
        _column("price", "NUMERIC"),
        _column("list_price", "NUMERIC"),
        _column("currency"),
        _column("starts_at", "TIMESTAMP"),
        _column("attributes", "JSON"),
        _column("ingested_at", "TIMESTAMP", "REQUIRED"),
    ],
    "labels": [
        _column("left_source", mode="REQUIRED"),
        _column("left_id", mode="REQUIRED"),
        _column("right_source", mode="REQUIRED"),
        _column("right_id", mode="REQUIRED"),
        _column("is_duplicate", "BOOLEAN", "REQUIRED"),
        _column("labelled_at", "TIMESTAMP", "REQUIRED"),
        _column("split"),
    ],
}


def fields(kind: Kind) -> tuple[Field, ...]:
    return fields_of(SCHEMAS[kind.name], own=kind.own, optional=kind.optional)


def staged(path: Path, kind: Kind = DEALS, **constants: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The good rows and the refused ones that a file gives, without what is NULL."""
    reader = open_rows(path)
    plan = map_fields(fields(kind), reader.columns, {}, constants, flags=kind.flags)
    target = path.with_suffix(".staged")
    counts = stage_rows(reader, fields(kind), plan, kind, target)
    rows = [{k: v for k, v in row.items() if v is not None} for row in pq.read_table(target).to_pylist()]
    good, refused = [r for r in rows if "reason" not in r], [r for r in rows if "reason" in r]
    assert (counts.rows, counts.rejected) == (len(rows), len(refused))
    return good, refused


def staged_text(folder: Path, text: str | bytes, name: str = "deals.csv", kind: Kind = DEALS, **constants: str) -> Any:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return staged(path, kind, **constants)


__all__ = ["DEALS", "LABELS", "fields", "staged", "staged_text"]

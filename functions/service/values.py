"""What goes into the features of a request: the columns of deals and pairs, under DuckDB's names of BigQuery's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

# The columns of raw_deals that features may read, with DuckDB's type for BigQuery's; instants are UTC.
DEAL_COLUMNS: Mapping[str, str] = {
    "deal_id": "VARCHAR",
    "source": "VARCHAR",
    "title": "VARCHAR",
    "description": "VARCHAR",
    "brand": "VARCHAR",
    "model_number": "VARCHAR",
    "category": "VARCHAR",
    "merchant": "VARCHAR",
    "url": "VARCHAR",
    "price": "DECIMAL(38, 9)",
    "list_price": "DECIMAL(38, 9)",
    "currency": "VARCHAR",
    "starts_at": "TIMESTAMP",
    "ends_at": "TIMESTAMP",
    "ingested_at": "TIMESTAMP",
}
# The same as Arrow types.
DEAL_TYPES: Mapping[str, pa.DataType] = {
    name: pa.timestamp("us") if kind == "TIMESTAMP" else pa.decimal128(38, 9) if "DECIMAL" in kind else pa.string()
    for name, kind in DEAL_COLUMNS.items()
}
PAIR_COLUMNS: Mapping[str, str] = dict.fromkeys(("left_source", "left_id", "right_source", "right_id"), "VARCHAR")

Deal = Mapping[str, Any]
# (source, deal_id) of both sides.
Pair = tuple[tuple[str, str], tuple[str, str]]


def ordered(one: tuple[str, str], other: tuple[str, str]) -> Pair:
    """A pair in the order in which the warehouse holds it: the deal whose source and ID sort first is left."""
    return (one, other) if one < other else (other, one)


def as_bigquery(table: pa.Table) -> pa.Table:
    """Counts and sums as INT64, which DuckDB widens to 128 bits; what it holds as DECIMAL as FLOAT64."""
    types = [
        (pa.int64() if f.type.scale == 0 else pa.float64()) if pa.types.is_decimal(f.type) else f.type
        for f in table.schema
    ]
    return table.cast(pa.schema([pa.field(f.name, t) for f, t in zip(table.schema, types, strict=True)]))

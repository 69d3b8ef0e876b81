"""Avro files as BigQuery exports them, where `use_avro_logical_types` is not set: https://cloud.google.com/bigquery/docs/exporting-data#avro_export_details.

DuckDB writes Avro by an extension that is a download, so fastavro does it, which bqemulator brings along for reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa

from .errors import BigQueryError

_CODECS = {None: "null", "NONE": "null", "DEFLATE": "deflate"}
_DUCKDB_TYPE = b"bqemu.duckdb_type"
_ROWS_AT_A_TIME = 20_000


def write_avro(rows: pa.Table, path: Path, compression: str | None) -> None:
    """Write rows to an Avro file.

    Raises:
        BigQueryError: The compression or a column's type cannot be written here.
    """
    if compression not in _CODECS:
        raise BigQueryError("notImplemented", f"Avro with {compression}: DEFLATE and none are written here")
    schema = {"type": "record", "name": "Root", "fields": [_avro_field(f, f.name) for f in rows.schema]}
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), _records(rows), codec=_CODECS[compression])


def _records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    texts = {f.name for f in rows.schema if _is_text_in_avro(f.type)}
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        for row in batch.to_pylist():
            for name in texts:
                if row[name] is not None:
                    row[name] = row[name].isoformat()
            yield row


def _is_text_in_avro(kind: pa.DataType) -> bool:
    """Types that BigQuery writes as strings where `use_avro_logical_types` is not set."""
    civil = pa.types.is_timestamp(kind) and kind.tz is None
    return bool(civil or pa.types.is_date(kind) or pa.types.is_time(kind))


def _avro_field(field: pa.Field, path: str) -> dict[str, Any]:
    if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
        return {"name": field.name, "type": {"type": "array", "items": _avro_type(field.type.value_field, path)}}
    return {"name": field.name, "type": ["null", _avro_type(field, path)]}


def _avro_type(field: pa.Field, path: str) -> Any:
    kind = field.type
    if pa.types.is_struct(kind):
        parts = [kind.field(place) for place in range(kind.num_fields)]
        if any(_is_text_in_avro(part.type) for part in parts):
            raise BigQueryError("notImplemented", f"A date inside of the record {path}, in Avro")
        name = re.sub(r"\W", "_", path)
        return {"type": "record", "name": name, "fields": [_avro_field(p, f"{path}.{p.name}") for p in parts]}
    if pa.types.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if _is_text_in_avro(kind):
        civil = "DATE" if pa.types.is_date(kind) else "TIME" if pa.types.is_time(kind) else "DATETIME"
        return {"type": "string", "sqlType": civil}
    if pa.types.is_timestamp(kind):
        return {"type": "long", "logicalType": "timestamp-micros"}
    if (field.metadata or {}).get(_DUCKDB_TYPE, b"").upper() == b"JSON":
        return {"type": "string", "sqlType": "JSON"}
    for is_kind, name in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "long"),
        (pa.types.is_floating, "double"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
        (pa.types.is_binary, "bytes"),
        (pa.types.is_large_binary, "bytes"),
    ):
        if is_kind(kind):
            return name
    raise BigQueryError("notImplemented", f"{path} of type {kind} in Avro")

"""From a file's rows to one Parquet file that BigQuery loads as it is: good rows typed, refused ones with their reason.

Both go in one file, so that one load brings all or nothing; two statements then take each to its table. The refused
row's fields are NULL. `content_hash` is equal for equal content, whatever file, column order or format it came in.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud.bigquery import SchemaField

from etl.ingest.kinds import Kind
from etl.ingest.mapping import Field, FieldMap
from etl.ingest.rows import BrokenRow, Chunk, RowReader, json_value
from etl.ingest.values import NUMERIC, TIMESTAMP, Reasons, as_text

EXAMPLES = 5
_ARROW = {
    "STRING": pa.string(),
    "JSON": pa.string(),
    "NUMERIC": NUMERIC,
    "TIMESTAMP": TIMESTAMP,
    "DATE": pa.date32(),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
}


@dataclass
class StagedRows:
    """What was staged.

    Attributes:
        rows: All rows of the file.
        rejected: Those that were refused.
        reasons: How often which field was refused for what; the values themselves left out.
        examples: The first few refused rows.
        sources: The distinct values of the kind's source fields among the good rows.
    """

    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[BrokenRow] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)


def staging_schema(fields: Sequence[Field], kind: Kind) -> list[SchemaField]:
    """The staging table's columns: where the row was, why it is refused, then the fields."""
    columns = [SchemaField("line", "INT64"), SchemaField("reason", "STRING"), SchemaField("content", "STRING")]
    columns += [SchemaField(f.name, "STRING" if f.type == "JSON" else f.type) for f in fields]
    if kind.attributes:
        columns.append(SchemaField(kind.attributes, "STRING"))
    return [*columns, SchemaField("content_hash", "INT64")]


def stage_rows(
    reader: RowReader,
    fields: Sequence[Field],
    plan: FieldMap,
    kind: Kind,
    target: Path,
    progress: Callable[[int], None] | None = None,
) -> StagedRows:
    """Write the rows of a file to the Parquet file `target`, chunk by chunk.

    Args:
        reader: The file.
        fields: The fields of the table.
        plan: What fills them.
        kind: What the rows are.
        target: The file to write.
        progress: Called after each chunk with the number of rows so far.

    Returns:
        What was staged.
    """
    schema = _arrow_schema(fields, kind)
    staged = StagedRows()
    wanted = tuple(dict.fromkeys(plan.columns.values()))
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for chunk in reader.chunks(wanted):
            good, refused = _split(chunk, fields, plan, kind)
            for rows in (good, _refused_table(refused, schema)):
                if rows.num_rows:
                    writer.write_table(rows.select(schema.names).cast(schema))
            staged.rows += good.num_rows + len(refused)
            staged.rejected += len(refused)
            for row in refused:
                staged.reasons.update(_short(part) for part in row.reason.split("; "))
            staged.examples += refused[: EXAMPLES - len(staged.examples)]
            for name in source_fields(fields):
                staged.sources.update(pc.unique(good.column(name)).to_pylist())
            if progress is not None:
                progress(staged.rows)
    return staged


def source_fields(fields: Sequence[Field]) -> list[str]:
    """The fields that name a source; tables are clustered by them, and a statement that knows them reads less."""
    return [f.name for f in fields if f.name == "source" or f.name.endswith("_source")]


def _split(chunk: Chunk, fields: Sequence[Field], plan: FieldMap, kind: Kind) -> tuple[pa.Table, list[BrokenRow]]:
    """The good rows as a table, and the refused ones, in the order of the file."""
    count = len(chunk.lines)
    reasons: Reasons = {}
    text: dict[str, pa.Array] = {}
    for f in fields:
        if f.name in plan.columns:
            text[f.name] = as_text(f.name, chunk.columns[plan.columns[f.name]], reasons)
        else:
            text[f.name] = pa.repeat(pa.scalar(plan.constants.get(f.name), pa.string()), count)
    columns = kind.parse(fields, text, reasons)
    if kind.attributes:
        columns[kind.attributes] = _attributes(chunk.rest, count)
    table = pa.table(columns)
    table = table.append_column("content_hash", _content_hash(table)).append_column("line", pa.array(chunk.lines))
    refused = [BrokenRow(chunk.lines[i], "; ".join(why), chunk.content(i)) for i, why in reasons.items()]
    if refused:
        keep = pa.array([i not in reasons for i in range(count)])
        table = table.filter(keep)
    nothing = pa.nulls(table.num_rows, pa.string())
    table = table.append_column("reason", nothing).append_column("content", nothing)
    return table, sorted([*chunk.broken, *refused], key=lambda row: row.line)


def _attributes(rest: Sequence[Mapping[str, Any]], count: int) -> pa.Array:
    """What fills no field, as a JSON object a row; a column that itself is called `attributes` gives its entries."""
    if not rest:
        return pa.nulls(count, pa.string())
    return pa.array([_json(_unfolded(row)) if row else None for row in rest], pa.string())


def _unfolded(row: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = row.get("attributes")
    if isinstance(inner, str) and inner.lstrip().startswith("{"):
        try:
            inner = json.loads(inner)
        except ValueError:
            return row
    if not isinstance(inner, dict):
        return row
    return {**inner, **{k: v for k, v in row.items() if k != "attributes"}}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=json_value)


def _content_hash(table: pa.Table) -> pa.Array:
    """64 bits of BLAKE2b over `field=value` of all that is not NULL, fields in the order of their names."""
    named = []
    for name in sorted(table.column_names):
        text = table.column(name).cast(pa.string())
        named.append(pc.binary_join_element_wise(name, text, "=", null_handling="emit_null"))
    whole = pc.binary_join_element_wise(*named, "\x1f", null_handling="skip")
    digests = (hashlib.blake2b(row.encode(), digest_size=8).digest() for row in whole.to_pylist())
    return pa.array([int.from_bytes(digest, "big", signed=True) for digest in digests], pa.int64())


def _refused_table(refused: Sequence[BrokenRow], schema: pa.Schema) -> pa.Table:
    given = {
        "line": pa.array([row.line for row in refused], pa.int64()),
        "reason": pa.array([row.reason for row in refused], pa.string()),
        "content": pa.array([row.content for row in refused], pa.string()),
    }
    return pa.table({f.name: given.get(f.name, pa.nulls(len(refused), f.type)) for f in schema}, schema=schema)


def _arrow_schema(fields: Sequence[Field], kind: Kind) -> pa.Schema:
    return pa.schema([(column.name, _ARROW[column.field_type]) for column in staging_schema(fields, kind)])


def _short(reason: str) -> str:
    """A reason without the value that it is about, so that it can be counted."""
    name, colon, rest = reason.partition(": ")
    if colon and rest[:1] in {"'", '"'}:
        closing = rest.rfind(f"{rest[0]} ")
        return f"{name}: {rest[closing + 2 :]}" if closing > 0 else reason
    return name if name.startswith("not UTF-8") else reason.partition(" at column")[0]

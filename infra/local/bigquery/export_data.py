"""EXPORT DATA: a result as files under the folder that stands for gs://, as BigQuery writes them.

bqemulator parses the statement and its options. What it writes itself differs: Avro needs an extension of DuckDB's that is
a download, CSV has DuckDB's timestamps and decimals, and a file can be read half-written. Files are put in their place whole.

https://cloud.google.com/bigquery/docs/reference/standard-sql/export-statements
https://cloud.google.com/bigquery/docs/exporting-data
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from bqemulator.api.dependencies import AppContext
from bqemulator.jobs import executor

from .dialect import parse
from .engine import ThreadedEngine
from .errors import BigQueryError
from .export_avro import write_avro

_NAME = re.compile(r"[^'\";\n\r\0`]+")


class DataExport:
    """Writes results to files below the folder that stands for gs://."""

    def __init__(self, context: AppContext, engine: ThreadedEngine) -> None:
        self._context = context
        self._engine = engine

    def write(self, table: pa.Table, options: Any) -> tuple[int, int]:
        """Write a result.

        Args:
            table: The rows.
            options: The statement's options, as bqemulator's `parse_export_data` gives them.

        Returns:
            Files and rows written.

        Raises:
            BigQueryError: The URI has not exactly one wildcard, names files that are there already, or the rows do not
                fit the format.
        """
        writer = self._writer(options)
        targets = self._targets(table, options)
        size = ceil(table.num_rows / len(targets))
        for place, target in enumerate(targets):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{uuid4().hex}")
            try:
                writer(table.slice(place * size, size), part)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return len(targets), table.num_rows

    def _targets(self, table: pa.Table, options: Any) -> list[Path]:
        if options.uri.count("*") != 1:
            raise BigQueryError(
                "invalidQuery", f"Option 'uri' value must be a wild card URI: {options.uri}", location="query"
            )
        path = executor._resolve_uri(options.uri, self._context)  # noqa: SLF001  # bqemulator's internals are what is adapted here
        if not _NAME.fullmatch(path):
            raise BigQueryError("invalidQuery", f"Invalid URI: {options.uri}", location="query")
        folder, pattern = Path(path).parent, Path(path).name
        if "*" not in pattern:
            raise BigQueryError("notImplemented", f"A wildcard in a folder's name: {options.uri}", location="query")
        if not options.overwrite and any(folder.glob(_literal(pattern))):
            raise BigQueryError(
                "invalidQuery",
                f"Invalid value: Destination {options.uri} already exists. Use the overwrite option to write over it.",
                location="query",
            )
        limit = self._context.settings.export_shard_threshold_bytes
        count = max(1, min(table.num_rows, ceil(table.nbytes / limit)))
        return [folder / pattern.replace("*", f"{place:012d}") for place in range(count)]

    def _writer(self, options: Any) -> Callable[[pa.Table, Path], None]:
        if options.format == "PARQUET":
            codec = (options.compression or "SNAPPY").lower()
            return lambda rows, path: pq.write_table(rows, path, compression=codec)
        if options.format == "AVRO":
            compression = options.compression
            return lambda rows, path: write_avro(rows, path, compression)
        return lambda rows, path: self._copy(rows, path, options)

    def _copy(self, rows: pa.Table, path: Path, options: Any) -> None:
        """CSV and JSON by DuckDB, with values spelt as BigQuery spells them."""
        if options.format == "CSV":
            for field in rows.schema:
                if pa.types.is_nested(field.type):
                    raise BigQueryError(
                        "invalidQuery",
                        f"CSV does not support nested or repeated data: field {field.name} cannot be exported",
                        location="query",
                    )
        clause = executor._build_copy_clause(  # noqa: SLF001  # as above
            options.format,
            header=options.header,
            field_delimiter=options.field_delimiter,
            compression=options.compression,
        )
        columns = ", ".join(
            f"{_spelling(field, options.format)} AS {_quoted(name)}"
            for field, name in zip(rows.schema, rows.column_names, strict=True)
        )
        name = f"_bqloop_export_{uuid4().hex}"
        self._engine.connection.register(name, _without_zones(rows))
        try:
            self._engine.connection.execute(f"COPY (SELECT {columns} FROM {name}) TO '{path}' ({clause})")
        finally:
            self._engine.connection.unregister(name)


def refuse_logical_types(sql: str) -> None:
    """Refuse `use_avro_logical_types = TRUE`: bqemulator would take it and write files that do not have them.

    Raises:
        BigQueryError: The statement asks for it.
    """
    options = parse(sql).args.get("options")
    for option in options.expressions if options else ():
        if option.name.lower() == "use_avro_logical_types" and option.args["value"].sql().upper() == "TRUE":
            raise BigQueryError("notImplemented", "use_avro_logical_types = TRUE: dates are exported as text here")


def _literal(pattern: str) -> str:
    """A file name with one `*`, all its other characters meant as they are."""
    return "*".join(re.sub(r"([\[\]?])", r"[\1]", piece) for piece in pattern.split("*"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without_zones(rows: pa.Table) -> pa.Table:
    """Timestamps as the UTC that they are: DuckDB spells those with a zone by an extension that is a download."""
    fields = [f.with_type(pa.timestamp("us")) if _is_timestamp(f) else f for f in rows.schema]
    return rows.cast(pa.schema(fields))


def _is_timestamp(field: pa.Field) -> bool:
    return pa.types.is_timestamp(field.type) and field.type.tz is not None


def _spelling(field: pa.Field, file_format: str) -> str:
    column = _quoted(field.name)
    if pa.types.is_timestamp(field.type):
        at = "%Y-%m-%d %H:%M:%S" if _is_timestamp(field) else "%Y-%m-%dT%H:%M:%S"
        zone = " UTC" if _is_timestamp(field) else ""
        return (
            f"CASE WHEN date_part('us', {column}) % 1000000 = 0 THEN strftime({column}, '{at}{zone}') "
            f"WHEN date_part('us', {column}) % 1000 = 0 THEN strftime({column}, '{at}.%g{zone}') "
            f"ELSE strftime({column}, '{at}.%f{zone}') END"
        )
    if pa.types.is_decimal(field.type):
        text = f"CAST({column} AS VARCHAR)"
        return f"rtrim(regexp_replace({text}, '(\\.\\d*?)0+$', '\\1'), '.')" if field.type.scale else text
    if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
        return f"base64({column})"
    if pa.types.is_integer(field.type) and file_format != "CSV":
        return f"CAST({column} AS VARCHAR)"  # 64 bits do not fit JSON's numbers
    return column

"""Load jobs: files into a table, by column name, with BigQuery's options for CSV, newline-delimited JSON and Parquet.

bqemulator copies files in by position and ignores the options; here DuckDB's readers get the table's own column types.
A file that does not fit fails the job as a whole, and nothing of it is loaded.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
from bqemulator.api.dependencies import AppContext
from bqemulator.api.routes.tables import _parse_schema_fields
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.etag import generate_etag
from bqemulator.catalog.models import Clustering, TableMeta, TableSchema, TimePartitioning
from bqemulator.jobs.executor import _resolve_uri
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

from .engine import ThreadedEngine
from .errors import BigQueryError
from .job import Job, Outcome
from .time_travel import TimeTravel

FORMATS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET")


class LoadJobs:
    """Carries out load jobs."""

    def __init__(self, context: AppContext, engine: ThreadedEngine) -> None:
        self._context = context
        self._engine = engine

    def run(self, job: Job) -> Outcome:
        """Load the job's files in this thread's session.

        Raises:
            BigQueryError: `notFound` for a missing file or dataset, `invalid` for one that does not fit.
        """
        section = job.section
        destination = section["destinationTable"]
        key = (
            destination.get("projectId") or job.project,
            destination["datasetId"],
            destination["tableId"].split("$")[0],
        )
        kind = str(section.get("sourceFormat") or "CSV").upper()
        if kind not in FORMATS:
            raise BigQueryError(
                "notImplemented", f"Loading {kind} files is not carried out here; use {', '.join(FORMATS)}"
            )
        if self._context.catalog.get_dataset(key[0], key[1]) is None:
            raise BigQueryError("notFound", f"Not found: Dataset {key[0]}:{key[1]}")
        files = self._files(section.get("sourceUris") or [])
        reader = _Reader(kind, files, section)
        write = section.get("writeDisposition") or "WRITE_APPEND"
        exists = self._context.catalog.get_table(*key) is not None
        given = (section.get("schema") or {}).get("fields") or []
        job.touched_catalog = True
        if exists and write == "WRITE_EMPTY" and self._count(key):
            raise BigQueryError("duplicate", f"Already Exists: Table {key[0]}:{key[1]}.{key[2]}")
        if not exists and section.get("createDisposition") == "CREATE_NEVER":
            raise BigQueryError("notFound", f"Not found: Table {key[0]}:{key[1]}.{key[2]}")
        try:
            if not exists or (write == "WRITE_TRUNCATE" and (given or section.get("autodetect") or kind == "PARQUET")):
                self._create(key, given, reader, section)
            elif write == "WRITE_TRUNCATE":
                self._history.before_change(*key, append_only=False)
                self._engine.execute(f"DELETE FROM {quoted_table_ref(*key)}")
            else:
                self._history.before_change(*key, append_only=True)
                self._add_fields(key, given, section)
            loaded = self._insert(key, reader)
        except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.BinderException) as error:
            raise BigQueryError(
                "invalid",
                f"Error while reading data, error message: {error}",
                location=(section.get("sourceUris") or [None])[0],
            ) from error
        self._history.record_change(*key)
        size = sum(Path(file).stat().st_size for file in files)
        return Outcome(
            statistics={
                "outputRows": str(loaded),
                "outputBytes": str(size),
                "inputFiles": str(len(files)),
                "inputFileBytes": str(size),
                "badRecords": "0",
            },
            destination=dict(destination),
        )

    @property
    def _history(self) -> TimeTravel:
        return cast("TimeTravel", self._context.snapshots)

    def _files(self, uris: Sequence[str]) -> list[str]:
        files: list[str] = []
        for uri in uris:
            path = _resolve_uri(uri, self._context)
            found = sorted(glob.glob(path)) if "*" in path else [path] * Path(path).is_file()  # noqa: PTH207  # absolute patterns
            if not found:
                raise BigQueryError("notFound", f"Not found: URI {uri}")
            files += found
        if not files:
            raise BigQueryError("invalid", "Required parameter is missing: sourceUris")
        return files

    def _count(self, key: tuple[str, str, str]) -> int:
        return int(self._engine.rows(f"SELECT count(*) FROM {quoted_table_ref(*key)}")[0][0])

    def _create(self, key: tuple[str, str, str], given: list[Any], reader: _Reader, section: dict[str, Any]) -> None:
        reference = quoted_table_ref(*key)
        self._history.forget(*key)
        if given:
            columns = bq_schema_to_duckdb_columns(given)
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns)
            self._engine.execute(f"CREATE OR REPLACE TABLE {reference} ({listed})")
            schema = TableSchema(fields=_parse_schema_fields(given))
        else:
            self._engine.execute(f"CREATE OR REPLACE TABLE {reference} AS SELECT * FROM {reader.sql(None)} LIMIT 0")
            schema = ddl_sync._introspect_schema(*key, self._context)
        now = self._context.clock.now()
        partition = section.get("timePartitioning")
        fields = (section.get("clustering") or {}).get("fields")
        meta = TableMeta(
            project_id=key[0],
            dataset_id=key[1],
            table_id=key[2],
            schema=schema,
            time_partitioning=TimePartitioning(type=partition.get("type", "DAY"), field=partition.get("field"))
            if partition
            else None,
            clustering=Clustering(fields=tuple(fields)) if fields else None,
            creation_time=now,
            last_modified_time=now,
            etag=generate_etag(*key, "TABLE", str(now)),
        )
        if self._context.catalog.get_table(*key) is None:
            self._context.catalog.create_table(meta)
        else:
            self._context.catalog.update_table(meta)

    def _meta(self, key: tuple[str, str, str]) -> TableMeta:
        return cast("TableMeta", self._context.catalog.get_table(*key))

    def _add_fields(self, key: tuple[str, str, str], given: list[Any], section: dict[str, Any]) -> None:
        meta = self._meta(key)
        known = {field.name.lower() for field in meta.schema_.fields}
        new = [field for field in given if field["name"].lower() not in known]
        if not new:
            return
        if "ALLOW_FIELD_ADDITION" not in (section.get("schemaUpdateOptions") or []):
            names = ", ".join(field["name"] for field in new)
            raise BigQueryError(
                "invalid",
                f"Provided Schema does not match Table {':'.join(key[:2])}.{key[2]}. Cannot add fields (field: {names})",
            )
        for name, kind in bq_schema_to_duckdb_columns(new):
            self._engine.execute(f'ALTER TABLE {quoted_table_ref(*key)} ADD COLUMN "{name}" {kind}')
        fields = (*meta.schema_.fields, *_parse_schema_fields(new))
        self._context.catalog.update_table(meta.model_copy(update={"schema_": TableSchema(fields=fields)}))

    def _insert(self, key: tuple[str, str, str], reader: _Reader) -> int:
        reference = quoted_table_ref(*key)
        columns = {str(name): str(kind) for name, kind, *_ in self._engine.rows(f"DESCRIBE {reference}")}
        for field in self._meta(key).schema_.fields:
            if field.mode == "REQUIRED" and not reader.covers(field.name, self._engine):
                raise BigQueryError("invalid", f"Missing required field: {field.name}")
        names = reader.names(columns, self._engine)
        unknown = [name for name in names if name.lower() not in {column.lower() for column in columns}]
        if unknown and not reader.ignores_unknown:
            raise BigQueryError(
                "invalid", f"Error while reading data, error message: No such field: {', '.join(unknown)}."
            )
        own = {column.lower(): column for column in columns}
        taken = [name for name in names if name.lower() in own]
        casts = ", ".join(f'CAST("{name}" AS {columns[own[name.lower()]]}) AS "{own[name.lower()]}"' for name in taken)
        if not casts:
            raise BigQueryError(
                "invalid", "Error while reading data, error message: no column of the file is in the table"
            )
        row = self._engine.rows(f"INSERT INTO {reference} BY NAME SELECT {casts} FROM {reader.sql(columns)}")
        return int(row[0][0])


class _Reader:
    """DuckDB's reader call for the job's files."""

    def __init__(self, kind: str, files: list[str], section: dict[str, Any]) -> None:
        self._kind = kind
        self._files = "[" + ", ".join(f"'{file}'" for file in (file.replace("'", "''") for file in files)) + "]"
        self._section = section
        self.ignores_unknown = bool(section.get("ignoreUnknownValues")) or (
            "ALLOW_FIELD_ADDITION" in (section.get("schemaUpdateOptions") or [])
        )

    def sql(self, columns: dict[str, str] | None) -> str:
        """The table function; with `columns`, values are read as text and typed afterwards."""
        if self._kind == "PARQUET":
            return f"read_parquet({self._files}, union_by_name = true)"
        if self._kind == "NEWLINE_DELIMITED_JSON":
            if columns is None:
                return f"read_json({self._files}, format = 'newline_delimited', union_by_name = true)"
            typed = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': '{kind}'" for name, kind in columns.items())
            return f"read_json({self._files}, format = 'newline_delimited', columns = {{{typed}}})"
        return f"read_csv({self._files}, {', '.join(self._csv(columns))})"

    def _csv(self, columns: dict[str, str] | None) -> list[str]:
        section = self._section
        skip = int(section.get("skipLeadingRows") or 0)
        quote = section.get("quote", '"')
        options = [
            f"delim = {_literal(_delimiter(section.get('fieldDelimiter') or ','))}",
            f"quote = {_literal(quote or '')}",
            f"escape = {_literal(quote or '')}",
            "strict_mode = false" if section.get("allowJaggedRows") else "strict_mode = true",
            f"null_padding = {'true' if section.get('allowJaggedRows') else 'false'}",
            f"encoding = {_literal({'UTF-8': 'utf-8', 'ISO-8859-1': 'latin-1'}.get(section.get('encoding') or 'UTF-8', 'utf-8'))}",
        ]
        if section.get("nullMarker") is not None:
            options.append(f"nullstr = {_literal(section['nullMarker'])}")
        if columns is None:
            return [*options, "header = true", f"skip = {max(skip - 1, 0)}"]
        typed = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in columns.items())
        return [*options, "header = false", f"skip = {skip}", f"columns = {{{typed}}}", "auto_detect = false"]

    def names(self, columns: dict[str, str], engine: ThreadedEngine) -> list[str]:
        """The columns that the files bring; CSV files bring the table's, by position."""
        if self._kind == "CSV":
            return list(columns)
        if self._kind == "NEWLINE_DELIMITED_JSON" and self.ignores_unknown:
            return list(columns)
        described = engine.rows(f"DESCRIBE SELECT * FROM {self.sql(None)}")
        return [str(name) for name, *_ in described]

    def covers(self, name: str, engine: ThreadedEngine) -> bool:
        """Whether the files have a column of that name."""
        return self._kind == "CSV" or name.lower() in {n.lower() for n in self.names({name: "VARCHAR"}, engine)}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _delimiter(text: str) -> str:
    return {"\\t": "\t", "tab": "\t"}.get(text, text)

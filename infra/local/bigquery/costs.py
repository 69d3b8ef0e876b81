"""What a query would cost on Google Cloud: bytes by the tables and columns that it reads.

The sizes are BigQuery's logical ones (8 bytes a number, 2 + length a string, ...), the average length of strings taken
from a sample. Partition pruning is not counted, so an estimate is never below the real one by much.
https://cloud.google.com/bigquery/pricing#data
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import duckdb
from bqemulator.api.dependencies import AppContext
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot import exp

from .dialect import MlModel, parse
from .engine import ThreadedEngine
from .errors import BigQueryError

MIB = 2**20
MINIMUM_PER_TABLE = 10 * MIB
SAMPLE_ROWS = 1000

_WIDTHS = {"BOOLEAN": 1, "TINYINT": 8, "DATE": 8, "INTERVAL": 16, "HUGEINT": 8}


class Costs:
    """Estimates for the statements of one warehouse."""

    def __init__(self, context: AppContext, engine: ThreadedEngine) -> None:
        self._context = context
        self._engine = engine
        self._widths: dict[tuple[tuple[str, str, str], str], dict[str, float]] = {}
        self._lock = threading.Lock()

    def estimate(self, tree: exp.Expr, project: str) -> tuple[int, int]:
        """Bytes processed and bytes billed (at least 10 MiB for each table, in whole MiB)."""
        tables = list(self._tables(tree, project))
        if not tables:
            return 0, 0
        processed = sum(size for _, size in tables)
        billed = max(-(-processed // MIB) * MIB, MINIMUM_PER_TABLE * len({key for key, _ in tables}))
        return processed, billed

    def check(self, billed: int, limit: str | int | None) -> None:
        """Refuse what would cost more than the job allows.

        Raises:
            BigQueryError: `bytesBilledLimitExceeded`.
        """
        if limit is not None and billed > int(limit):
            raise BigQueryError(
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {limit}. {billed} or higher required.",
            )

    def table_bytes(self, key: tuple[str, str, str]) -> int:
        """The logical size of a whole table."""
        rows = self._rows(key)
        return int(sum(self._column_widths(key, rows).values()) * rows)

    def table_rows(self, key: tuple[str, str, str]) -> int:
        """How many rows a table has."""
        return self._rows(key)

    def _tables(self, tree: exp.Expr, project: str, depth: int = 0) -> Iterator[tuple[tuple[str, str, str], int]]:
        columns = {column.name.lower() for column in tree.find_all(exp.Column)}
        columns |= {
            identifier.name.lower() for dot in tree.find_all(exp.Dot) for identifier in dot.find_all(exp.Identifier)
        }
        everything = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        everything = everything or isinstance(tree, (exp.Merge, exp.Update))
        seen = set()
        for table in tree.find_all(exp.Table):
            if not table.db or isinstance(table.parent, (MlModel, exp.Insert, exp.Create, exp.Schema, exp.Drop)):
                continue
            key = (table.catalog or project, table.db, table.name)
            meta = self._context.catalog.get_table(*key)
            if meta is None or key in seen:
                continue
            seen.add(key)
            if meta.view_query and depth < 10:
                yield from self._tables(parse(meta.view_query), project, depth + 1)
                continue
            rows = self._rows(key)
            widths = self._column_widths(key, rows)
            wanted = sum(width for name, width in widths.items() if everything or name.lower() in columns)
            yield key, int(wanted * rows)

    def _rows(self, key: tuple[str, str, str]) -> int:
        try:
            return int(self._engine.rows(f"SELECT count(*) FROM {quoted_table_ref(*key)}")[0][0])
        except duckdb.Error:
            return 0

    def _column_widths(self, key: tuple[str, str, str], rows: int) -> dict[str, float]:
        meta: Any = self._context.catalog.get_table(*key)
        version = (key, f"{getattr(meta, 'etag', '')}/{rows // 1000}")
        with self._lock:
            known = self._widths.get(version)
        if known is None:
            try:
                known = self._measure(quoted_table_ref(*key))
            except duckdb.Error:
                return {}
            with self._lock:
                if len(self._widths) > 1000:
                    self._widths.clear()
                self._widths[version] = known
        return known

    def _measure(self, reference: str) -> dict[str, float]:
        described = self._engine.rows(f"DESCRIBE {reference}")
        kinds = {str(name): str(kind).upper() for name, kind, *_ in described}
        widths = {name: float(_width(kind)) for name, kind in kinds.items()}
        variable = [name for name, kind in kinds.items() if _is_variable(kind)]
        if variable:
            lengths = ", ".join(f'coalesce(avg(strlen("{name}"::VARCHAR)), 0) + 2' for name in variable)
            (row,) = self._engine.rows(f"SELECT {lengths} FROM (SELECT * FROM {reference} LIMIT {SAMPLE_ROWS})")
            widths |= dict(zip(variable, map(float, row), strict=True))
        return widths


def _is_variable(kind: str) -> bool:
    return kind in ("VARCHAR", "BLOB", "JSON") or kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))


def _width(kind: str) -> int:
    return 16 if kind.startswith("DECIMAL") else _WIDTHS.get(kind, 8)

"""From BigQuery's SQL to DuckDB's: bqemulator's translator remembered.

A statement passes some thirty parses on its way; the loop's own statements are long and come again, at the latest
after their dry run, so a translation is kept for as long as what it was made from is the same.
"""

# ruff: noqa: SLF001  # bqemulator's internals are what is adapted here

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any

from bqemulator.catalog.repository import CatalogRepository
from bqemulator.domain.result import Ok
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp

KEPT = 512
_DECIMAL = re.compile(r"('(?:[^']|'')*')|\bDECIMAL(?:\(18, 3\)|(?!\s*\())")


class Memory:
    """Texts by what they were made from, the latest ones; safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, str] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> str | None:
        """The text that was made from this; None if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, text: str) -> None:
        """Keep a text."""
        with self._lock:
            self._kept[key] = text
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)


class Translator(SQLTranslator):
    """bqemulator's translator with a memory; safe to call from many threads."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = Memory()

    def translate(self, bq_sql: str, *, schema: dict[str, Any] | None = None, caller: Any = None, **extra: Any) -> Any:
        """DuckDB's SQL for one statement, as bqemulator's `Ok` or `Err`."""
        key = json.dumps([bq_sql, schema, getattr(caller, "principal", None)], sort_keys=True)
        kept = self._memory.get(key)
        if kept is not None:
            return Ok(kept)
        translated = super().translate(bq_sql, schema=schema, caller=caller, **extra)
        if not isinstance(translated, Ok):
            return translated
        translated = Ok(_with_numeric(translated.value))
        self._memory.put(key, translated.value)
        return translated

    @staticmethod
    def _annotate_tree(tree: exp.Expression, schema: dict[str, Any]) -> exp.Expression:
        """bqemulator's pass over all types of a statement, a fifth of its way; it matters to AVG and `/` of NUMERIC alone."""
        columns = (kind for table in schema.values() for kind in table.values())
        has_numeric = any("DECIMAL" in kind for kind in columns) or any(
            kind.this == exp.DataType.Type.DECIMAL for kind in tree.find_all(exp.DataType)
        )
        if not has_numeric or tree.find(exp.Avg, exp.Div) is None:
            return tree
        return SQLTranslator._annotate_tree(tree, schema)


def tables_as_they_are(tree: exp.Expr, project: str, catalog: CatalogRepository) -> Hashable | None:
    """What a translation takes from the catalog: the columns of each table that a statement names.

    Returns:
        Something equal for equal columns; None where more than columns counts: views, tables with row access policies,
        wildcards, INFORMATION_SCHEMA.
    """
    found: set[Hashable] = set()
    for table in tree.find_all(exp.Table):
        if not table.db:
            continue
        key = (table.catalog or project, table.db, table.name)
        meta = catalog.get_table(*key)
        if meta is None or meta.table_type != "TABLE" or catalog.list_row_access_policies(*key):
            return None
        found.add((key, tuple((field.name, field.type) for field in meta.schema_.fields)))
    return frozenset(found)


def _with_numeric(sql: str) -> str:
    """CAST to NUMERIC as DECIMAL(38, 9): sqlglot drops the precision on its way, and DuckDB's own default is (18, 3)."""
    return _DECIMAL.sub(lambda match: match.group(1) or "DECIMAL(38, 9)", sql)

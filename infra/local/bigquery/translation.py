"""From BigQuery's SQL to DuckDB's: bqemulator's translator mended, and what it gave remembered.

A statement passes some thirty parses on its way; the loop's own statements are long and come again, at the latest
after their dry run, so a translation is kept for as long as what it was made from is the same.
"""

# ruff: noqa: SLF001  # bqemulator's internals are what is adapted here

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from threading import Lock
from typing import Any

from bqemulator.catalog.repository import CatalogRepository
from bqemulator.domain.result import Ok
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp

from .dialect import parse

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
    """bqemulator's translator with NUMERIC as BigQuery has it; safe to call from many threads."""

    def translate(self, bq_sql: str, **arguments: Any) -> Any:
        """DuckDB's SQL for one statement, as bqemulator's `Ok` or `Err`."""
        translated = super().translate(bq_sql, **arguments)
        return Ok(_with_numeric(translated.value)) if isinstance(translated, Ok) else translated

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
    """What a translation takes from the catalog: the columns of each table that a statement names, the text of each view.

    Returns:
        Something equal for equal columns and texts; None where more than these counts: tables with row access policies,
        wildcards, INFORMATION_SCHEMA.
    """
    found: dict[Hashable, Hashable] = {}
    waiting = [tree]
    while waiting:
        for table in waiting.pop().find_all(exp.Table):
            key = (table.catalog or project, table.db, table.name)
            if not table.db or key in found:
                continue
            meta = catalog.get_table(*key)
            if meta is None or catalog.list_row_access_policies(*key):
                return None
            if meta.table_type == "VIEW" and meta.view_query:
                found[key] = meta.view_query
                waiting.append(_tree_of_view(meta.view_query))
            elif meta.table_type == "TABLE":
                found[key] = tuple((field.name, field.type) for field in meta.schema_.fields)
            else:
                return None
    return frozenset(found.items())


@lru_cache(maxsize=KEPT)
def _tree_of_view(query: str) -> exp.Expr:
    """To be read only: it is kept."""
    return parse(query)


def _with_numeric(sql: str) -> str:
    """CAST to NUMERIC as DECIMAL(38, 9): sqlglot drops the precision on its way, and DuckDB's own default is (18, 3)."""
    return _DECIMAL.sub(lambda match: match.group(1) or "DECIMAL(38, 9)", sql)

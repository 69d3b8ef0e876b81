"""From BigQuery's SQL to DuckDB's: bqemulator's translator mended, and what it gave remembered.

A statement passes several parses on its way; the loop's own statements are long and come again, after their dry run
and, with other tables, in the next run. So a translation is kept for as long as what it was made from is the same, but
for the names of tables.
"""

# ruff: noqa: SLF001  # bqemulator's internals are what is adapted here

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

from bqemulator.catalog.repository import CatalogRepository
from bqemulator.domain.result import Err, Ok
from bqemulator.row_access.identity import CallerIdentity
from bqemulator.sql.catalog_schema import _safe_bq_to_duckdb
from bqemulator.sql.rewriter.unnest_offset import rewrite_unnest_offset
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp

from .dialect import parse

KEPT = 512
_RUN_TABLE = re.compile(r"\b\w+__\w+\b")
_NUMBER = re.compile("\0([0-9]+)\0")
_DECIMAL = re.compile(r"('(?:[^']|'')*')|\bDECIMAL(?:\(18, 3\)|(?!\s*\())")


Tables = frozenset[tuple[tuple[str, str, str], "str | tuple[tuple[str, str], ...]"]]
"""What a translation takes from the catalog: by project, dataset and name the columns of a table, or the text of a view."""


@dataclass(frozen=True)
class Source:
    """What a translation is made from, with numbers in place of the names of tables.

    Only names of two underscores in a row are taken out, as the loop's tables of a run have them: nothing else in SQL
    is called so, and a translation passes them on as they are.

    Attributes:
        made_of: The same for statements that differ in these names alone.
        names: The names that were taken out, in the order of their numbers.
    """

    made_of: Hashable
    names: tuple[str, ...]

    @classmethod
    def of(cls, sql: str, tables: Tables, *more: Hashable) -> Source:
        """The source of a statement in BigQuery's SQL; `more` is what else counts."""
        wanted = {name for (_, _, name), what in tables if "__" in name and not isinstance(what, str)}
        names = tuple(dict.fromkeys(word for word in _RUN_TABLE.findall(sql) if word in wanted))
        places = {name: place for place, name in enumerate(names)}
        shapes = frozenset(
            ((project, dataset, places.get(name, name)), what) for (project, dataset, name), what in tables
        )
        return cls((_numbered(sql, places), shapes, *more), names)


class Memory:
    """Translations by what they were made from, the latest ones; safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, str] = OrderedDict()
        self._lock = Lock()

    def get(self, source: Source) -> str | None:
        """What was made from this, with its names; None if it is not kept."""
        with self._lock:
            kept = self._kept.get(source.made_of)
            if kept is None:
                return None
            self._kept.move_to_end(source.made_of)
        return _NUMBER.sub(lambda match: source.names[int(match[1])], kept)

    def put(self, source: Source, text: str) -> None:
        """Keep a translation."""
        numbered = _numbered(text, {name: place for place, name in enumerate(source.names)})
        with self._lock:
            self._kept[source.made_of] = numbered
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)


class Translator(SQLTranslator):
    """bqemulator's translator with NUMERIC as BigQuery has it; safe to call from many threads."""

    def translate(self, bq_sql: str, **arguments: Any) -> Any:
        """DuckDB's SQL for one statement, as bqemulator's `Ok` or `Err`."""
        translated = super().translate(bq_sql, **arguments)
        return Ok(_with_numeric(translated.value)) if isinstance(translated, Ok) else translated

    def translate_plain(self, sql: str, tables: Tables, caller: CallerIdentity) -> str:
        """As bqemulator's whole chain for a statement that reads nothing but tables.

        Its other passes look for views, wildcards, INFORMATION_SCHEMA and policies, each with a parse of its own.

        Raises:
            DomainError: bqemulator cannot translate the statement.
        """
        schema = {
            name: {column: known for column, kind in columns if (known := _safe_bq_to_duckdb(kind))}
            for (_, _, name), columns in tables
            if not isinstance(columns, str)
        }
        translated = self.translate(rewrite_unnest_offset(sql), schema=schema or None, caller=caller)
        if isinstance(translated, Err):
            raise translated.error
        text: str = translated.value
        return text

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


def tables_as_they_are(tree: exp.Expr, project: str, catalog: CatalogRepository) -> Tables | None:
    """What a translation takes from the catalog: the columns of each table that a statement names, the text of each view.

    Returns:
        Something equal for equal columns and texts; None where more than these counts: tables with row access policies,
        wildcards, INFORMATION_SCHEMA.
    """
    found: dict[tuple[str, str, str], str | tuple[tuple[str, str], ...]] = {}
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


def only_tables(tables: Tables) -> bool:
    """Whether there is no view among them, and no two have one name: bqemulator knows columns by it."""
    return len({name for (_, _, name), what in tables if not isinstance(what, str)}) == len(tables)


def _numbered(text: str, places: Mapping[str, int]) -> str:
    return _RUN_TABLE.sub(lambda match: f"\0{places[match[0]]}\0" if match[0] in places else match[0], text)


@lru_cache(maxsize=KEPT)
def _tree_of_view(query: str) -> exp.Expr:
    """To be read only: it is kept."""
    return parse(query)


def _with_numeric(sql: str) -> str:
    """CAST to NUMERIC as DECIMAL(38, 9): sqlglot drops the precision on its way, and DuckDB's own default is (18, 3)."""
    return _DECIMAL.sub(lambda match: match.group(1) or "DECIMAL(38, 9)", sql)

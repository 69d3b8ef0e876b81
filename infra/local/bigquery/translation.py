"""From BigQuery's SQL to DuckDB's: bqemulator's translator with our mends before and after it, remembered.

A statement passes some thirty parses on its way; the loop's own statements are long and come again with other
parameters, so a translation is kept for as long as what it was made from is the same.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from threading import Lock
from typing import Any

import sqlglot
from bqemulator.domain.result import Ok
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp

from . import mends

KEPT = 512


class Translator(SQLTranslator):  # type: ignore[misc]  # bqemulator ships without type information
    """bqemulator's translator, mended; safe to call from many threads."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def translate(self, bq_sql: str, *, schema: dict[str, Any] | None = None, caller: Any = None, **extra: Any) -> Any:
        """DuckDB's SQL for one statement, as bqemulator's `Ok` or `Err`."""
        key = json.dumps([bq_sql, schema, getattr(caller, "principal", None)], sort_keys=True)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return Ok(kept)
        translated = super().translate(bq_sql, schema=schema, caller=caller, **extra)
        if not isinstance(translated, Ok):
            return translated
        tree = sqlglot.parse_one(translated.value, read="duckdb")
        assert isinstance(tree, exp.Expression)  # noqa: S101  # parse_one's declared type is wider than what it gives
        sql = mends.after_translation(tree).sql(dialect="duckdb")
        with self._lock:
            self._kept[key] = sql
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return Ok(sql)

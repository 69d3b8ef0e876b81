"""From BigQuery's SQL to DuckDB's: bqemulator's translator remembered.

A statement passes some thirty parses on its way; the loop's own statements are long and come again with other
parameters, so a translation is kept for as long as what it was made from is the same.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from threading import Lock
from typing import Any

from bqemulator.domain.result import Ok
from bqemulator.sql.translator import SQLTranslator

KEPT = 512
_DECIMAL = re.compile(r"('(?:[^']|'')*')|\bDECIMAL(?:\(18, 3\)|(?!\s*\())")


class Translator(SQLTranslator):
    """bqemulator's translator with a memory; safe to call from many threads."""

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
        translated = Ok(_with_numeric(translated.value))
        with self._lock:
            self._kept[key] = translated.value
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return translated


def _with_numeric(sql: str) -> str:
    """CAST to NUMERIC as DECIMAL(38, 9): sqlglot drops the precision on its way, and DuckDB's own default is (18, 3)."""
    return _DECIMAL.sub(lambda match: match.group(1) or "DECIMAL(38, 9)", sql)

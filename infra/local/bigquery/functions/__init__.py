"""Functions that BigQuery has and DuckDB lacks: macros in DuckDB's SQL, and vectorised ones where SQL does not reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
from duckdb.func import PythonUDFType

from ...bqml.fingerprint import farm_fingerprint
from . import unicode_text


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make them known to the database; the macros are written anew at every start."""
    text = duckdb.sqltypes.VARCHAR
    vectorised: tuple[tuple[str, Any, list[Any], Any], ...] = (
        ("bqloop_farm_fingerprint", farm_fingerprint, [text], duckdb.sqltypes.BIGINT),
        ("bqloop_edit_distance_unicode", unicode_text.edit_distance, [text, text], duckdb.sqltypes.BIGINT),
        ("bqloop_normalize_unicode", unicode_text.normalize, [text, text], text),
        ("bqloop_casefold_unicode", unicode_text.normalize_and_casefold, [text, text], text),
    )
    for name, function, parameters, returned in vectorised:
        connection.create_function(name, function, parameters, returned, type=PythonUDFType.ARROW)
    macros = re.sub(
        r"/\*.*?\*/", "", (Path(__file__).parent / "macros.sql").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for statement in macros.split(";\n"):
        if statement.strip():
            connection.execute(statement)

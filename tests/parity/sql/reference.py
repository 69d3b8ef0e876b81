"""Google's reference evaluator of GoogleSQL (PyPI `zetasql`, alpha): everything that this suite uses of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

zetasql_api = pytest.importorskip("zetasql.api", reason="zetasql is not installed: `uv sync` brings it")
zetasql_types = pytest.importorskip("zetasql.types", reason="zetasql is not installed: `uv sync` brings it")


class RefusedByReferenceError(Exception):
    """The reference refuses the query or fails at it."""


def _options() -> Any:
    language = zetasql_types.LanguageOptions.maximum_features()
    language.product_mode = zetasql_types.ProductMode.PRODUCT_EXTERNAL
    return language


_LANGUAGE = _options()
_CATALOG = (
    zetasql_api.CatalogBuilder("reference")
    .with_builtin_functions(zetasql_types.ZetaSQLBuiltinFunctionOptions(language_options=_LANGUAGE))
    .build()
)
_ANALYZER = zetasql_types.AnalyzerOptions(language_options=_LANGUAGE, default_timezone="UTC")


def evaluate(sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query that reads no table."""
    try:
        with (
            zetasql_api.PreparedQuery.builder()
            .set_sql(sql)
            .set_analyzer_options(_ANALYZER)
            .set_catalog(_CATALOG)
            .prepare() as query
        ):
            content = query.execute().content
            kinds = [column.type for column in query.columns]
    except Exception as error:
        raise RefusedByReferenceError(str(error)) from error
    rows = content.table_data.row if content and content.table_data else []
    return [tuple(_value(cell, kind) for cell, kind in zip(row.cell, kinds, strict=True)) for row in rows or []]


def _value(value: Any, kind: Any) -> Any:
    name = str(kind.type_kind).rsplit(".", 1)[-1].removeprefix("TYPE_")
    for field in ("int64_value", "bool_value", "double_value", "string_value", "bytes_value"):
        held = getattr(value, field, None)
        if held is not None:
            return int(held) if field == "int64_value" else held
    if value.date_value is not None:
        return dt.date(1970, 1, 1) + dt.timedelta(days=value.date_value)
    if value.numeric_value is not None:
        return Decimal(int.from_bytes(value.numeric_value, "little", signed=True)).scaleb(-9)
    if value.array_value is not None:
        element = kind.array_type.element_type
        return [_value(item, element) for item in value.array_value.element or []]
    if value.struct_value is not None:
        fields = kind.struct_type.field
        return {
            (field.field_name or f"_field_{place + 1}"): _value(item, field.field_type)
            for place, (item, field) in enumerate(zip(value.struct_value.field or [], fields, strict=True))
        }
    if value.json_value is not None:
        return str(value.json_value.json_string if hasattr(value.json_value, "json_string") else value.json_value)
    for field in ("timestamp_value", "datetime_value", "time_value", "interval_value", "bignumeric_value"):
        if getattr(value, field, None) is not None:
            raise RefusedByReferenceError(f"a value of type {name} is not decoded here; cast it to STRING")
    return None

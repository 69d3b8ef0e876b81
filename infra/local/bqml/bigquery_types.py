"""Arrow types as BigQuery names them, for messages, model metadata and the REST resource."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def type_name(arrow_type: pa.DataType) -> str:
    """``pa.int64()`` → ``INT64``; raises TypeError for a type that BigQuery has no counterpart of."""
    kind, detail = _kind(arrow_type)
    if kind == "ARRAY":
        return f"ARRAY<{type_name(detail)}>"
    if kind == "STRUCT":
        return "STRUCT<" + ", ".join(f"{field.name} {type_name(field.type)}" for field in detail) + ">"
    return kind


def type_resource(arrow_type: pa.DataType) -> dict[str, Any]:
    """The REST v2 ``StandardSqlDataType`` of an Arrow type."""
    kind, detail = _kind(arrow_type)
    if kind == "ARRAY":
        return {"typeKind": "ARRAY", "arrayElementType": type_resource(detail)}
    if kind == "STRUCT":
        fields = [{"name": field.name, "type": type_resource(field.type)} for field in detail]
        return {"typeKind": "STRUCT", "structType": {"fields": fields}}
    return {"typeKind": kind}


def is_numeric(arrow_type: pa.DataType) -> bool:
    """INT64, FLOAT64, NUMERIC or BIGNUMERIC."""
    return bool(pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type) or pa.types.is_decimal(arrow_type))


def is_list(arrow_type: pa.DataType) -> bool:
    """An ARRAY, however Arrow stores it."""
    return bool(
        pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type) or pa.types.is_fixed_size_list(arrow_type)
    )


def _kind(arrow_type: pa.DataType) -> tuple[str, Any]:
    types = pa.types
    if types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type)
    if is_list(arrow_type):
        return "ARRAY", arrow_type.value_type
    if types.is_struct(arrow_type):
        return "STRUCT", list(arrow_type)
    if types.is_decimal(arrow_type):
        big = arrow_type.scale > 9 or arrow_type.precision - arrow_type.scale > 29
        return ("BIGNUMERIC" if big and arrow_type.precision != 38 else "NUMERIC"), None
    if types.is_timestamp(arrow_type):
        return ("TIMESTAMP" if arrow_type.tz else "DATETIME"), None
    for test, name in _SIMPLE:
        if test(arrow_type):
            return name, None
    raise TypeError(f"no BigQuery type for Arrow type {arrow_type}")


_SIMPLE = (
    (pa.types.is_boolean, "BOOL"),
    (pa.types.is_integer, "INT64"),
    (pa.types.is_floating, "FLOAT64"),
    (pa.types.is_string, "STRING"),
    (pa.types.is_large_string, "STRING"),
    (pa.types.is_string_view, "STRING"),
    (pa.types.is_binary, "BYTES"),
    (pa.types.is_large_binary, "BYTES"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_interval, "INTERVAL"),
    (pa.types.is_null, "INT64"),
)

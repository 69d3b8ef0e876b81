"""Columns of a file as columns of a table: everything becomes text, then the field's type, or a reason.

Most values are plain and go through Arrow's kernels in one sweep; what is not plain is looked at by itself. So a
million rows take seconds, and every value that is refused says why. An empty value is NULL.

What is accepted, by BigQuery type: NUMERIC with at most 29 digits before the point (more than nine decimals are rounded half
away from zero, as BigQuery's own CAST does); TIMESTAMP and DATE in ISO 8601 (without a zone: UTC); BOOL as
1/0, true/false, yes/no, y/n, t/f; INT64; FLOAT64; JSON. Case and space around a value do not count.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import InputError

NUMERIC = pa.decimal128(38, 9)
TIMESTAMP = pa.timestamp("us", tz="UTC")
_TRUE = pa.array(["1", "true", "yes", "y", "t"])
_FALSE = pa.array(["0", "false", "no", "n", "f"])
_QUANTUM = Decimal("1e-9")
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)  # the usual 28 digits are fewer than NUMERIC has
_SHOWN = 60

Reasons = dict[int, list[str]]


def refuse(reasons: Reasons, row: int, reason: str) -> None:
    """Note why a row (its position in the chunk) cannot be taken."""
    reasons.setdefault(row, []).append(reason)


def told(name: str, text: str, what: str) -> str:
    """A reason: the field, its value (cut where it is long) and what is wrong with it."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{name}: {cut!r} {what}"


def as_text(name: str, values: Sequence[Any] | pa.Array, reasons: Reasons) -> pa.Array:
    """Values of any format as trimmed text, NULL where they are empty; what is no single value is refused."""
    if isinstance(values, pa.Array):
        text = _arrow_text(values)
        if text is None:
            values = values.to_pylist()
    else:
        try:
            text = pa.array(values, pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            text = None
    if text is None:
        text = pa.array([_scalar_text(name, row, value, reasons) for row, value in enumerate(values)], pa.string())
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), None, text)


def _arrow_text(values: pa.Array) -> pa.Array | None:
    try:
        text = values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if pa.types.is_floating(values.type):  # NaN is how data frames write "nothing"
        text = pc.if_else(pc.is_nan(values), None, text)
    holds_nul = pc.any(pc.match_substring(text, "\0")).as_py()
    return None if holds_nul else text


def _scalar_text(name: str, row: int, value: Any, reasons: Reasons) -> str | None:
    if value is None or isinstance(value, str):
        if value is not None and "\0" in value:
            refuse(reasons, row, f"{name}: holds a NUL character")
            return None
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal | dt.date):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            refuse(reasons, row, f"{name}: is not UTF-8")
            return None
    refuse(reasons, row, f"{name}: is {'an object' if isinstance(value, dict) else 'a list'}, not a single value")
    return None


def typed(name: str, kind: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    """A column of text as a column of BigQuery type `kind`; NULL with a reason where a value does not fit.

    Raises:
        InputError: No text can fill a column of that type.
    """
    if kind not in _PARSERS:
        raise InputError(f"{name}: a file cannot fill a column of type {kind}; possible are {', '.join(_PARSERS)}")
    return _PARSERS[kind](name, text, reasons)


def plain_or_each(
    name: str,
    text: pa.Array,
    reasons: Reasons,
    *,
    plain: str,
    cast: Callable[[pa.Array], pa.Array],
    each: Callable[[str], Any],
) -> pa.Array:
    """Values that match `plain` by one `cast`, every other one by `each`, which raises ValueError with the reason."""
    fits = pc.fill_null(pc.match_substring_regex(text, plain), True)
    try:
        column = cast(pc.if_else(fits, text, None))
    except pa.ArrowInvalid:  # plain in form, but not a value: 31 February
        fits = pc.is_null(text)
        column = cast(pc.if_else(fits, text, None))
    odd = pc.invert(fits)
    rows = pc.indices_nonzero(odd).to_pylist()
    if not rows:
        return column
    found: list[Any] = []
    for row in rows:
        value = text[row].as_py()
        try:
            found.append(each(value))
        except ValueError as error:
            refuse(reasons, row, told(name, value, str(error)))
            found.append(None)
    return pc.replace_with_mask(column, odd, pa.array(found, column.type))


def exact_number(text: str) -> Decimal:
    """Text as a NUMERIC.

    Raises:
        ValueError: It is no finite number, or has more than 29 digits before the point.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("is not a number") from None
    if not value.is_finite() or "_" in text:
        raise ValueError("is not a number")
    rounded = value.quantize(_QUANTUM, context=_EXACT) if value.adjusted() < 30 else value
    if rounded.adjusted() >= 29:
        raise ValueError("has more than 29 digits before the point, beyond NUMERIC")
    return rounded


def numerics(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    """Text as NUMERIC."""
    return plain_or_each(
        name,
        text,
        reasons,
        plain=r"^-?[0-9]{1,29}(\.[0-9]{1,9})?$",
        cast=lambda column: column.cast(NUMERIC),
        each=exact_number,
    )


def timestamps(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    """ISO 8601 text as TIMESTAMP; without a zone it is UTC."""

    def cast(column: pa.Array) -> pa.Array:
        naive = pc.replace_substring_regex(column, r"(Z|\+00:00)$", "")
        return pc.assume_timezone(naive.cast(pa.timestamp("us")), "UTC")

    def each(value: str) -> dt.datetime:
        try:
            instant = dt.datetime.fromisoformat(value)
            return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            raise ValueError("is not an ISO 8601 date and time, such as 2026-01-31T09:00:00Z") from None

    plain = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)?)?$"
    return plain_or_each(name, text, reasons, plain=plain, cast=cast, each=each)


def _dates(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    def each(value: str) -> dt.date:
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            raise ValueError("is not an ISO 8601 date, such as 2026-01-31") from None

    plain = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
    return plain_or_each(name, text, reasons, plain=plain, cast=lambda c: c.cast(pa.date32()), each=each)


def _bools(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    lowered = pc.utf8_lower(text)
    yes, no = pc.is_in(lowered, _TRUE), pc.is_in(lowered, _FALSE)
    known = pc.or_(pc.or_(yes, no), pc.is_null(text))
    for row in pc.indices_nonzero(pc.invert(known)).to_pylist():
        refuse(reasons, row, told(name, text[row].as_py(), "is none of 1, 0, true, false, yes, no"))
    return pc.if_else(pc.or_(yes, no), yes, None)


def _int64s(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    def each(value: str) -> int:
        try:
            number = int(value) if "_" not in value else None
        except ValueError:
            number = None
        if number is None or not -(2**63) <= number < 2**63:
            raise ValueError("is not a whole number of 64 bits")
        return number

    plain = "^-?[0-9]{1,18}$"
    return plain_or_each(name, text, reasons, plain=plain, cast=lambda c: c.cast(pa.int64()), each=each)


def _float64s(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    def each(value: str) -> float:
        try:
            number = float(value) if "_" not in value else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError("is not a finite number")
        return number

    plain = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
    return plain_or_each(name, text, reasons, plain=plain, cast=lambda c: c.cast(pa.float64()), each=each)


def _json_texts(name: str, text: pa.Array, reasons: Reasons) -> pa.Array:
    def each(value: str) -> str:
        try:
            return json.dumps(json.loads(value), ensure_ascii=False, sort_keys=True, allow_nan=False)
        except (ValueError, RecursionError):
            raise ValueError("is not JSON") from None

    return plain_or_each(name, text, reasons, plain="^$", cast=lambda c: c, each=each)


def _strings(_name: str, text: pa.Array, _reasons: Reasons) -> pa.Array:
    return text


_PARSERS: dict[str, Callable[[str, pa.Array, Reasons], pa.Array]] = {
    "STRING": _strings,
    "NUMERIC": numerics,
    "TIMESTAMP": timestamps,
    "DATE": _dates,
    "BOOLEAN": _bools,
    "BOOL": _bools,
    "INTEGER": _int64s,
    "INT64": _int64s,
    "FLOAT": _float64s,
    "FLOAT64": _float64s,
    "JSON": _json_texts,
}

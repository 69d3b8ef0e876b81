"""Dates and times: whole units in TIMESTAMP_DIFF, weeks that begin where BigQuery begins them, %E seconds."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_PIECES = re.compile(r"%E(?:([0-9])|(\*))S|%-d")


def _call(name: str, *arguments: exp.Expr | int) -> exp.Anonymous:
    return exp.Anonymous(
        this=name,
        expressions=[exp.Literal.number(a) if isinstance(a, int) else a.copy() for a in arguments],
    )


def _first_day(unit: exp.Expr | None) -> int | None:
    """0 for weeks that begin on Monday; None for what is no week."""
    if unit is None:
        return None
    if isinstance(unit, exp.WeekStart) or (isinstance(unit, exp.Week) and unit.this is not None):
        return WEEKDAYS.index(unit.this.name.upper())
    name = unit.name.upper()
    named = re.fullmatch(r"WEEK\((\w+)\)", name)
    if named:
        return WEEKDAYS.index(named.group(1))
    return {"ISOWEEK": 0, "WEEK": 6}.get(name)


def _timestamp_diff(node: exp.Expr) -> exp.Expr | None:
    size = MICROSECONDS.get(node.args["unit"].name.upper())
    return None if size is None else _call("bqloop_timestamp_diff", node.this, node.expression, size)


def _date_diff(node: exp.Expr) -> exp.Expr | None:
    first = _first_day(node.args.get("unit"))
    return None if first is None else _call("bqloop_week_diff", node.this, node.expression, first)


def _date_trunc(node: exp.Expr) -> exp.Expr | None:
    first = _first_day(node.args.get("unit"))
    return None if first is None else _call("bqloop_week_date", node.this, first)


def _timestamp_trunc(node: exp.Expr) -> exp.Expr | None:
    first = _first_day(node.args.get("unit"))
    return None if first is None or node.args.get("zone") else _call("bqloop_week", node.this, first)


def _unix_seconds(node: exp.Expr) -> exp.Expr | None:
    return _call("bqloop_unix", node.this, 1_000_000)


def _format_time(node: exp.Expr) -> exp.Expr | None:
    """Formats with %E<n>S or %e are put together of pieces: DuckDB's strftime has neither."""
    pattern = node.args.get("format")
    if not isinstance(pattern, exp.Literal) or not _PIECES.search(pattern.this):
        return None
    value = (
        node.this.this
        if isinstance(node.this, (exp.TsOrDsToTimestamp, exp.TsOrDsToDate, exp.TsOrDsToDatetime))
        else node.this
    )
    parts: list[exp.Expr] = []
    last = 0
    for piece in _PIECES.finditer(pattern.this):
        parts.append(_formatted(node, pattern.this[last : piece.start()]))
        last = piece.end()
        if piece.group(0) == "%-d":
            day = _formatted(node, "%d")
            parts.append(
                exp.Anonymous(
                    this="regexp_replace", expressions=[day, exp.Literal.string("^0"), exp.Literal.string(" ")]
                )
            )
        else:
            digits = -1 if piece.group(2) else int(piece.group(1))
            number = exp.Neg(this=exp.Literal.number(1)) if digits < 0 else exp.Literal.number(digits)
            parts.append(_call("bqloop_seconds", value, number))
    parts.append(_formatted(node, pattern.this[last:]))
    kept = [part for part in parts if not (isinstance(part, exp.Literal) and part.this == "")]
    return kept[0] if len(kept) == 1 else exp.Concat(expressions=kept, safe=False, coalesce=False)


def _formatted(node: exp.Expr, pattern: str) -> exp.Expr:
    if "%" not in pattern:
        return exp.Literal.string(pattern)
    piece = node.copy()
    piece.set("format", exp.Literal.string(pattern))
    return piece


RULES: dict[type[Any], Any] = {
    exp.TimestampDiff: _timestamp_diff,
    exp.DateDiff: _date_diff,
    exp.DateTrunc: _date_trunc,
    exp.TimestampTrunc: _timestamp_trunc,
    exp.DatetimeTrunc: _timestamp_trunc,
    exp.UnixSeconds: _unix_seconds,
    exp.TimeToStr: _format_time,
}

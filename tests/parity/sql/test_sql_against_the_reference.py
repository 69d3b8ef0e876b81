"""The local BigQuery against Google's reference evaluator: the same values, and errors where it has errors."""

from __future__ import annotations

import datetime as dt
import functools
import math
from decimal import Decimal
from typing import Any

import pytest
from bqemulator.domain.errors import DomainError
from duckdb import Error as DuckDbError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parity.sql.expressions import FAMILIES, KNOWN_DIFFERENCES


@functools.cache
def evaluator() -> Any:
    """The reference; loaded when first asked, since loading it takes seconds and every worker would pay for it."""
    return pytest.importorskip("tests.parity.sql.reference", reason="zetasql is not installed")


GENERATED = settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def plain(value: Any) -> Any:
    """Values that mean the same in the same form."""
    if isinstance(value, list):
        return [plain(item) for item in value] or None  # the reference's rows do not tell an empty array from NULL
    if isinstance(value, dict):
        return tuple(plain(item) for item in value.values())
    if isinstance(value, Decimal) and value == int(value):
        return int(value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.12g}")
    return value


def compare(local: Any, expressions: list[str]) -> None:
    """Compute each expression twice; one query for all of those that the reference can compute."""
    reference = evaluator()
    wanted: dict[str, Any] = {}
    for expression in expressions:
        try:
            wanted[expression] = plain(reference.evaluate(f"SELECT {expression}")[0][0])
        except reference.RefusedByReferenceError as error:
            wanted[expression] = error
    differences = []
    for expression, want in wanted.items():
        try:
            got = plain(local(f"SELECT {expression}")[0][0])
        except (DomainError, DuckDbError) as error:
            got = error
        if isinstance(want, Exception) and isinstance(got, Exception):
            continue
        if (
            isinstance(want, Exception)
            or isinstance(got, Exception)
            or got != want
            or isinstance(got, bool) != isinstance(want, bool)
        ):
            differences.append(f"{expression}\n    reference: {want!r}\n    local:     {got!r}")
    assert not differences, "\n".join(differences)


def test_every_expression_has_the_references_value(local):
    expressions = [expression for family in FAMILIES.values() for expression in family]
    compare(local, [expression for expression in expressions if expression not in KNOWN_DIFFERENCES])


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


TEXT = st.text(alphabet="abcXYZ 019äöüßéñ€-./", max_size=40)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
MOMENTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001  # UTC by the literal
DAYS = st.dates(dt.date(1971, 1, 1), dt.date(2100, 1, 1))


@pytest.mark.slow
@GENERATED
@given(a=TEXT, b=TEXT, start=st.integers(-8, 8), length=st.integers(0, 8))
def test_text_functions(local, a, b, start, length):
    a, b = literal(a), literal(b)
    compare(
        local,
        [
            f"EDIT_DISTANCE({a}, {b})",
            f"SUBSTR({a}, {start}, {length})",
            f"FARM_FINGERPRINT(CONCAT({a}, {b}, {a}, {b}))",
            f"NORMALIZE({a})",
            f"SPLIT({a}, ' ')",
            f"REGEXP_EXTRACT_ALL({a}, r'[a-z]+|[0-9]+')",
            f"STRPOS({a}, SUBSTR({b}, 1, 1))",
        ],
    )


@pytest.mark.slow
@GENERATED
@given(x=NUMBERS, y=NUMBERS, n=st.integers(-(10**9), 10**9))
def test_numbers_and_their_casts(local, x, y, n):
    compare(
        local,
        [
            f"CAST({x!r} AS INT64)",
            f"CAST({x!r} AS STRING)",
            f"SAFE_DIVIDE({x!r}, {y!r})",
            f"ROUND({x!r}, 2)",
            f"CAST(NUMERIC '{n}.125' AS STRING)",
            f"MOD({n}, 7)",
            f"DIV({n}, 7)",
            f"SAFE_CAST('{x!r}' AS INT64)",
        ],
    )


@pytest.mark.slow
@GENERATED
@given(a=MOMENTS, b=MOMENTS, digits=st.integers(0, 6))
def test_timestamps(local, a, b, digits):
    a, b = f"TIMESTAMP '{a.isoformat(' ')}+00'", f"TIMESTAMP '{b.isoformat(' ')}+00'"
    compare(
        local,
        [
            *(f"TIMESTAMP_DIFF({a}, {b}, {unit})" for unit in ("DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND")),
            *(f"UNIX_MICROS(TIMESTAMP_TRUNC({a}, {unit}))" for unit in ("WEEK", "ISOWEEK", "WEEK(TUESDAY)", "MONTH")),
            f"UNIX_SECONDS({a})",
            f"FORMAT_TIMESTAMP('%F %H:%M:%E{digits}S', {a})",
            f"FORMAT_TIMESTAMP('%E*S', {a})",
            f"CAST({a} AS STRING)",
        ],
    )


@pytest.mark.slow
@GENERATED
@given(a=DAYS, b=DAYS)
def test_dates(local, a, b):
    a, b = f"DATE '{a}'", f"DATE '{b}'"
    units = ("DAY", "WEEK", "ISOWEEK", "WEEK(THURSDAY)", "MONTH", "QUARTER", "YEAR")
    compare(
        local,
        [f"DATE_DIFF({a}, {b}, {unit})" for unit in units]
        + [f"DATE_TRUNC({a}, {unit})" for unit in units]
        + [f"FORMAT_DATE('%e %G-%V', {a})"],
    )

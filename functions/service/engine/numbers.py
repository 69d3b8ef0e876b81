"""Operators and functions over numbers, truth values, dates and instants, as BigQuery means them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from functions.service.engine.columns import Array, Column, EngineError, Mask, TextColumn, either
from functions.service.engine.strings import NULL

Operator = Callable[[Array, Array], Array]


def arithmetic(operator: Operator) -> Callable[[Column, Column], Column]:
    """An operator that gives NULL where a side is NULL."""

    def apply(one: Column, other: Column) -> Column:
        left, right = one.values, other.values
        if left.dtype.kind not in "if" or right.dtype.kind not in "if":
            raise EngineError(f"arithmetic with {left.dtype} and {right.dtype}")
        null = one.null
        if null is None:
            null = other.null
        elif other.null is not None:
            null = null | other.null
        return Column(operator(left, right), null)

    return apply


def _number(column: Column) -> Array:
    values = column.values
    if values.dtype.kind not in "if":
        raise EngineError(f"arithmetic with {values.dtype}")
    return values


def comparison(operator: Operator, name: str) -> Callable[[Column, Column], Column]:
    """An operator that gives a truth value, NULL where a side is NULL."""
    equality = name in {"==", "!="}

    def apply(one: Column, other: Column) -> Column:
        if isinstance(one, TextColumn) or isinstance(other, TextColumn):
            return _texts_compared(one, other)
        left, right = one.values, other.values
        if left.dtype == object or right.dtype == object:
            left, right = left.astype(object), right.astype(object)
            return Column(operator(left, right).astype(np.bool_), either(one.null, other.null))
        return Column(operator(left, right), either(one.null, other.null))

    def _texts_compared(one: Column, other: Column) -> Column:
        if not isinstance(one, TextColumn) or not isinstance(other, TextColumn):
            raise EngineError("a text compared with a number")
        if equality:
            codes, others = _codes_alike(one, other)
            missing = (codes == NULL) | (others == NULL)
            return Column(operator(codes, others), missing if missing.any() else None)
        count = max(len(one), len(other))
        pairs = zip(one.spread(count).texts, other.spread(count).texts, strict=True)
        found = [None if a is None or b is None else bool(operator(a, b)) for a, b in pairs]  # type: ignore[arg-type]  # texts compare like arrays
        null = np.array([f is None for f in found], np.bool_)
        return Column(np.array([bool(f) for f in found], np.bool_), null if null.any() else None)

    return apply


def _codes_alike(one: TextColumn, other: TextColumn) -> tuple[Array, Array]:
    """Codes that are equal where the texts are; a literal that the pool does not know is not added to it."""
    for mine, its in ((one, other), (other, one)):
        if its.is_coded and not mine.is_coded and len(mine) == 1 and mine.texts[0] is not None:
            code = its.pool.find([mine.texts[0]])[0]
            single = np.array([code if code != NULL else NULL - 1], np.int64)
            return (single, its.codes) if mine is one else (its.codes, single)
    if not one.is_coded and not other.is_coded:
        own: dict[str | None, int] = {None: NULL}
        left = [own.setdefault(text, len(own)) for text in one.texts]
        right = [own.setdefault(text, len(own)) for text in other.texts]
        return np.array(left, np.int64), np.array(right, np.int64)
    return one.codes, other.codes


def both(one: Column, other: Column) -> Column:
    """AND: false wins over NULL."""
    if one.null is None and other.null is None:
        return Column(one.values & other.values)
    true = is_true(one) & is_true(other)
    false = _is_false(one) | _is_false(other)
    return Column(true, ~(true | false))


def any_of(one: Column, other: Column) -> Column:
    """OR: true wins over NULL."""
    if one.null is None and other.null is None:
        return Column(one.values | other.values)
    true = is_true(one) | is_true(other)
    false = _is_false(one) & _is_false(other)
    return Column(true, ~(true | false))


def negation(one: Column) -> Column:
    """NOT."""
    return Column(~one.values, one.null)


def is_true(one: Column) -> Mask:
    """Where a condition holds: not where it is NULL."""
    values = one.values if one.values.dtype == np.bool_ else one.values.astype(np.bool_)
    return values if one.null is None else values & ~one.null


def _is_false(one: Column) -> Mask:
    return ~one.values if one.null is None else ~one.values & ~one.null


def is_null(one: Column) -> Column:
    """IS NULL."""
    null = one.null
    return Column(np.zeros(len(one), np.bool_) if null is None else null)


def chosen(condition: Column, one: Column, other: Column, count: int) -> Column:
    """IF: the one where the condition holds, else the other, also where it is NULL."""
    holds = condition.values if condition.null is None else condition.values & ~condition.null
    if isinstance(one, TextColumn) or isinstance(other, TextColumn):
        return _texts_chosen(holds, one, other, count)
    left, right = _like(one, other), _like(other, one)
    null = None
    if one.null is not None or other.null is not None:
        null = np.where(holds, False if one.null is None else one.null, False if other.null is None else other.null)
    return Column(np.where(holds, left, right), null)


def _texts_chosen(holds: Mask, one: Column, other: Column, count: int) -> Column:
    pool = one.pool if isinstance(one, TextColumn) else other.pool  # type: ignore[attr-defined]  # one of the two is text
    codes = [
        column.codes if isinstance(column, TextColumn) else _null_codes(column)
        for column in (one.spread(count), other.spread(count))
    ]
    return TextColumn(pool, codes=np.where(np.broadcast_to(holds, count), *codes))


def _null_codes(column: Column) -> Array:
    if column.null is None or not column.null.all():
        raise EngineError("texts and numbers in one column")
    return np.full(len(column), NULL, np.int64)


def _like(one: Column, other: Column) -> Array:
    """Values that can stand beside the other's; NULL alone takes the other's type."""
    if one.null is not None and one.values.dtype != other.values.dtype and one.null.all():
        return np.zeros(len(one), other.values.dtype)
    if (one.values.dtype.kind in "if") != (other.values.dtype.kind in "if") and not _is_null(other):
        raise EngineError(f"{one.values.dtype} and {other.values.dtype} in one column")
    return one.values


def _is_null(column: Column) -> bool:
    return column.null is not None and bool(column.null.all())


def coalesce(arguments: Sequence[Column], count: int) -> Column:
    """COALESCE."""
    first = arguments[0]
    if not isinstance(first, TextColumn) and first.null is None:
        # Nothing is missing; the type is that of all of them all the same.
        kind = first.values.dtype
        for argument in arguments[1:]:
            if argument.values.dtype != kind and not _is_null(argument):
                kind = np.result_type(kind, argument.values.dtype)
        return first if kind == first.values.dtype else Column(first.values.astype(kind))
    found = arguments[-1]
    for argument in reversed(arguments[:-1]):
        found = chosen(negation(is_null(argument)), argument, found, count)
    return found


def extreme(operator: Operator) -> Callable[[Sequence[Column]], Column]:
    """GREATEST and LEAST: NULL where any argument is."""

    def apply(arguments: Sequence[Column]) -> Column:
        found = arguments[0]
        for argument in arguments[1:]:
            if argument.values.dtype == object or found.values.dtype == object:
                raise EngineError("GREATEST or LEAST of decimals")
            found = Column(operator(found.values, argument.values), either(found.null, argument.null))
        return found

    return apply


def safe_divide(one: Column, other: Column) -> Column:
    """SAFE_DIVIDE: NULL where the divisor is 0."""
    divisor = _number(other)
    zero = divisor == 0
    null = either(one.null, other.null)
    if zero.any():
        return Column(_number(one) / np.where(zero, 1, divisor), either(zero, null))
    return Column(_number(one) / divisor, null)


def divide(one: Column, other: Column) -> Column:
    """The operator `/`.

    Raises:
        ZeroDivisionError: A divisor is 0.
    """
    divisor = _number(other)
    zero = divisor == 0
    if other.null is not None:
        zero = zero & ~other.null
    if zero.any():
        raise ZeroDivisionError("division by zero in a feature; SAFE_DIVIDE gives NULL instead")
    return Column(_number(one) / np.where(divisor == 0, 1, divisor), either(one.null, other.null))


def modulo(one: Column, other: Column) -> Column:
    """MOD: the remainder has the sign of the dividend."""
    return Column(np.fmod(_number(one), _number(other)), either(one.null, other.null))


def rounded(one: Column, digits: int) -> Column:
    """ROUND: halves away from zero."""
    values = _number(one)
    if values.dtype.kind == "i" and digits >= 0:
        return one
    scale = 10.0**digits
    scaled = values * scale
    whole = np.trunc(scaled)
    found = np.where(np.abs(scaled - whole) == 0.5, whole + np.sign(scaled), np.rint(scaled)) / scale
    return Column(found, one.null)


def function(operator: Callable[[Array], Array]) -> Callable[[Column], Column]:
    """A function of one number; NULL stays NULL."""

    def apply(one: Column) -> Column:
        values = _number(one)
        if one.null is not None:
            values = np.where(one.null, 1, values)
        with np.errstate(invalid="raise", divide="raise"):
            return Column(operator(values), one.null)

    return apply


def cast(one: Column, to: str) -> Column:
    """CAST to INT64, FLOAT64 or DATE.

    Raises:
        EngineError: From or to another type.
    """
    kind = one.values.dtype.kind
    if to == "FLOAT64" and kind == "O":
        values = [float(value) if isinstance(value, Decimal) else np.nan for value in one.values.tolist()]
        return Column(np.array(values, np.float64), one.null)
    if to == "FLOAT64" and kind in "if":
        return Column(one.values.astype(np.float64), one.null)
    if to == "INT64" and kind in "bi":
        return Column(one.values.astype(np.int64), one.null)
    if to == "INT64" and kind == "f":
        return Column(rounded(one, 0).values.astype(np.int64), one.null)
    if to == "DATE" and kind == "M":
        return Column(one.values.astype("datetime64[D]"), one.null)
    raise EngineError(f"CAST of {one.values.dtype} to {to}")


def days_between(one: Column, other: Column) -> Column:
    """DATE_DIFF in days."""
    for column in (one, other):
        if column.values.dtype != np.dtype("datetime64[D]"):
            raise EngineError(f"DATE_DIFF of {column.values.dtype}")
    return Column((one.values - other.values).astype(np.int64), either(one.null, other.null))


def as_number(value: Any) -> Any:
    """A literal's text as a number: whole where it is written so."""
    text = str(value)
    return int(text) if text.lstrip("-").isdigit() else float(text)

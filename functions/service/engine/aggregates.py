"""Aggregate functions over groups of rows. NULLs are left out, and a group of nothing but NULLs gives NULL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from functions.service.engine.columns import Array, Column, EngineError, TextColumn
from functions.service.engine.grouping import Groups, grouped
from functions.service.engine.strings import NULL

Reduce = Callable[[Column, Groups], Column]


def _ordered(values: Array, groups: Groups) -> Array:
    return values if groups.order is None else values[groups.order]


def _reduced(operator: Any, values: Array, groups: Groups) -> Array:
    if not len(groups.starts):
        return values[:0]
    if not groups.count:  # one group of no rows: an aggregate without GROUP BY over nothing
        return np.zeros(len(groups.starts), values.dtype)
    found: Array = operator.reduceat(_ordered(values, groups), groups.starts)
    return found


def _nothing_in(column: Column, groups: Groups) -> Any:
    """Where a group holds no value; None for nowhere."""
    if not groups.count:
        return np.ones(len(groups.starts), np.bool_)
    if column.null is None:
        return None
    empty = _reduced(np.logical_and, column.null, groups)
    return empty if empty.any() else None


def count_rows(groups: Groups) -> Column:
    """COUNT(*)."""
    return Column(groups.sizes.astype(np.int64))


def count(column: Column, groups: Groups) -> Column:
    """COUNT of what is not NULL."""
    null = column.null
    if null is None:
        return count_rows(groups)
    return Column(_reduced(np.add, (~null).astype(np.int64), groups))


def count_distinct(column: Column, groups: Groups) -> Column:
    """COUNT(DISTINCT …)."""
    of_rows = Column(groups.of_rows())
    null = column.null
    kept = np.flatnonzero(~null) if null is not None else np.arange(groups.count)
    firsts = grouped([of_rows.take(kept), column.take(kept)], len(kept)).firsts if len(kept) else kept
    return Column(np.bincount(of_rows.values[kept][firsts], minlength=len(groups.starts)).astype(np.int64))


def count_if(column: Column, groups: Groups) -> Column:
    """COUNTIF."""
    holds = column.values if column.null is None else column.values & ~column.null
    return Column(_reduced(np.add, holds.astype(np.int64), groups))


def total(column: Column, groups: Groups) -> Column:
    """SUM."""
    values = column.values
    if values.dtype.kind not in "if":
        raise EngineError(f"SUM of {values.dtype}")
    if column.null is not None:
        values = np.where(column.null, 0, values)
    return Column(_reduced(np.add, values, groups), _nothing_in(column, groups))


def mean(column: Column, groups: Groups) -> Column:
    """AVG."""
    summed, many = total(column, groups), count(column, groups).values
    return Column(summed.values / np.maximum(many, 1), summed.null)


def most(column: Column, groups: Groups) -> Column:
    """MAX."""
    return _extreme(column, groups, np.maximum)


def least(column: Column, groups: Groups) -> Column:
    """MIN."""
    return _extreme(column, groups, np.minimum)


def _extreme(column: Column, groups: Groups, operator: Any) -> Column:
    if isinstance(column, TextColumn):
        ranks, ordered = _ranks(column)
        found = _extreme(ranks, groups, operator)
        codes = ordered[found.values] if len(ordered) else np.full(len(found), NULL, np.int64)
        return TextColumn(column.pool, codes=codes if found.null is None else np.where(found.null, NULL, codes))
    values = column.values
    kind = values.dtype.kind
    if kind not in "ifM":
        raise EngineError(f"MAX or MIN of {values.dtype}")
    if column.null is not None:
        biggest = operator is np.minimum
        if kind == "f":
            neutral: Any = np.inf if biggest else -np.inf
        else:
            neutral = np.array(np.iinfo(np.int64).max if biggest else np.iinfo(np.int64).min + 1).astype(values.dtype)
        values = np.where(column.null, neutral, values)
    empty = _nothing_in(column, groups)
    reduced = _reduced(operator, values, groups)
    return Column(reduced if empty is None else np.where(empty, np.zeros(1, values.dtype), reduced), empty)


def _ranks(column: TextColumn) -> tuple[Column, Array]:
    """The place of each text in their order, and the codes in that order."""
    codes, inverse = np.unique(column.codes, return_inverse=True)
    texts = column.pool.decode(codes)
    order = sorted(range(len(codes)), key=lambda place: texts[place] or "")
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes))
    return Column(rank[inverse], column.null), codes[order]


def sort_key(column: Column) -> Column:
    """Numbers that sort as the values do."""
    if isinstance(column, TextColumn):
        return _ranks(column)[0]
    if column.values.dtype.kind in "bM":
        return Column(column.values.astype(np.int64), column.null)
    return column


def all_of(column: Column, groups: Groups) -> Column:
    """LOGICAL_AND."""
    values = column.values if column.null is None else column.values | column.null
    return Column(_reduced(np.logical_and, values, groups), _nothing_in(column, groups))


def any_true(column: Column, groups: Groups) -> Column:
    """LOGICAL_OR."""
    values = column.values if column.null is None else column.values & ~column.null
    return Column(_reduced(np.logical_or, values, groups), _nothing_in(column, groups))

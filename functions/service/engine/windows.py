"""Window functions: aggregates over a whole partition, and places within an ordered one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functions.service.engine.aggregates import sort_key
from functions.service.engine.columns import Array, Column
from functions.service.engine.grouping import Groups
from functions.service.engine.strings import Codes


@dataclass(frozen=True)
class Ordering:
    """The rows, partition by partition, each in its order.

    Attributes:
        order: The rows' places.
        starts: For each of them, where in `order` its partition begins.
        is_first: For each of them, whether it is the first of its partition.
        is_new: For each of them, whether its order keys differ from those of the row before; the first's always do.
    """

    order: Codes
    starts: Codes
    is_first: Array
    is_new: Array


def ordering(groups: Groups, keys: Sequence[tuple[Column, bool]]) -> Ordering:
    """Order the rows of each partition.

    Args:
        groups: The partitions.
        keys: What to order by, and whether descending. NULLs come first, last where descending.
    """
    columns: list[Array] = []
    for column, descending in keys:
        key = sort_key(column)
        values = key.values
        if key.null is not None:
            values = np.where(key.null, values.dtype.type(0), values)
        columns.append(-values if descending else values)
        if key.null is not None:
            columns.append(key.null if descending else ~key.null)
            columns[-1], columns[-2] = columns[-2], columns[-1]
    of_rows = groups.of_rows()
    order = np.lexsort((*reversed(columns), of_rows)) if columns else np.argsort(of_rows, kind="stable")
    ordered = of_rows[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    is_new = is_first.copy()
    for values in columns:
        sorted_values = values[order]
        is_new[1:] |= sorted_values[1:] != sorted_values[:-1]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0)) if len(order) else order
    return Ordering(order, starts, is_first, is_new)


def _by_row(found: Array, ordered: Ordering) -> Array:
    by_row = np.empty(len(found), found.dtype)
    by_row[ordered.order] = found
    return by_row


def row_number(ordered: Ordering) -> Column:
    """ROW_NUMBER."""
    return Column(_by_row(np.arange(len(ordered.order)) - ordered.starts + 1, ordered))


def rank(ordered: Ordering) -> Column:
    """RANK: equals have the place of the first of them."""
    places = np.arange(len(ordered.order))
    if len(places):
        places = np.maximum.accumulate(np.where(ordered.is_new, places, 0))
    return Column(_by_row(places - ordered.starts + 1, ordered))


def dense_rank(ordered: Ordering) -> Column:
    """DENSE_RANK: no place is left out."""
    running = np.cumsum(ordered.is_new)
    return Column(_by_row(running - running[ordered.starts] + 1, ordered))


def shifted(column: Column, ordered: Ordering, by: int) -> Column:
    """LEAD (by 1 and more) and LAG (by -1 and less): NULL beyond the partition."""
    count = len(ordered.order)
    at = np.arange(count) + by
    inside = (at >= 0) & (at < count)
    at = np.clip(at, 0, max(count - 1, 0))
    if count:
        inside &= ordered.starts[at] == ordered.starts
    source: Any = np.empty(count, np.int64)
    source[ordered.order] = ordered.order[at]
    found = column.take(source)
    hidden = np.empty(count, np.bool_)
    hidden[ordered.order] = ~inside
    return found.hidden(hidden) if hidden.any() else found

"""Tables of a few rows as lists, and what a SELECT does with whole lists: aggregates, windows, different rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

Values = list[Any]
# Where a left join finds nothing.
NOBODY = (-1,)


class Table:
    """A table.

    Args:
        count: Rows.
        columns: The values of each column, None for NULL. Nobody changes them.
    """

    __slots__ = ("_indexes", "columns", "count")

    def __init__(self, count: int, columns: Mapping[str, Values]) -> None:
        self.count = count
        self.columns = columns
        self._indexes: dict[tuple[str, ...], dict[Any, list[int]]] = {}

    def index(self, names: tuple[str, ...]) -> dict[Any, list[int]]:
        """The places of the rows with each key (of one column its value, else a tuple); keys with a NULL are left out."""
        found = self._indexes.get(names)
        if found is None:
            found = {}
            lists = [self.columns[name] for name in names]
            if len(lists) == 1:
                for place, key in enumerate(lists[0]):
                    if key is not None:
                        found.setdefault(key, []).append(place)
            else:
                for place, row in enumerate(zip(*lists, strict=True)):
                    if None not in row:
                        found.setdefault(row, []).append(place)
            self._indexes[names] = found  # when it is whole: a frozen table is everybody's
        return found


class Columns(dict[str, Values]):
    """The columns of a table, each made when somebody asks for it.

    Args:
        make: Makes one.
    """

    def __init__(self, make: Callable[[str], Values]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Values:
        made = self[name] = self._make(name)
        return made


def stacked(parts: Sequence[Table], names: Sequence[str], *, different: bool = False) -> Table:
    """Tables one under the other; columns pair up by place, and each part has them all in the order of `names`."""
    lists = [[value for part in parts for value in part.columns[name]] for name in names]
    if different:
        lists = unlike(lists)
        return Table(len(lists[0]), dict(zip(names, lists, strict=True)))
    return Table(sum(part.count for part in parts), dict(zip(names, lists, strict=True)))


def unlike(lists: Sequence[Values]) -> list[Values]:
    """Each different row once."""
    rows = dict.fromkeys(zip(*lists, strict=True))
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in lists]


def _present(values: Values) -> Values:
    return [value for value in values if value is not None]


def total(values: Values) -> Any:
    """SUM."""
    there = _present(values)
    return sum(there) if there else None


def mean(values: Values) -> Any:
    """AVG."""
    there = _present(values)
    return sum(there) / len(there) if there else None


def most(values: Values) -> Any:
    """MAX."""
    return max(_present(values), default=None)


def least(values: Values) -> Any:
    """MIN."""
    return min(_present(values), default=None)


def count(values: Values) -> int:
    """COUNT of what is not NULL."""
    return len(values) - values.count(None)


def count_different(values: Values) -> int:
    """COUNT(DISTINCT …)."""
    return len(set(_present(values)))


def count_if(values: Values) -> int:
    """COUNTIF."""
    return values.count(True)


def all_of(values: Values) -> bool | None:
    """LOGICAL_AND."""
    there = _present(values)
    return all(there) if there else None


def any_of(values: Values) -> bool | None:
    """LOGICAL_OR."""
    there = _present(values)
    return any(there) if there else None


# Windows: lists as long as the table, `partition` the key of each row.


def over(partition: Values, values: Values, reduce: Callable[[Values], Any]) -> Values:
    """An aggregate over all rows of the partition."""
    groups: dict[Any, Values] = {}
    for key, value in zip(partition, values, strict=True):
        groups.setdefault(key, []).append(value)
    found = {key: reduce(of_key) for key, of_key in groups.items()}
    return [found[key] for key in partition]


def _ordered(partition: Values, keys: Sequence[tuple[Values, bool]]) -> list[list[int]]:
    """The places of each partition's rows in their order; NULLs come first, last where descending."""
    groups: dict[Any, list[int]] = {}
    for place, key in enumerate(partition):
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        for values, descending in reversed(keys):
            # By value first, as there may be nothing to compare NULL with; then those that are NULL apart.
            places.sort(key=partial(_or, values, next(iter(_present(values)), 0)), reverse=descending)
            places.sort(key=partial(_is_there, values), reverse=descending)
    return list(groups.values())


def _or(values: Values, filler: Any, place: int) -> Any:
    value = values[place]
    return filler if value is None else value


def _is_there(values: Values, place: int) -> bool:
    return values[place] is not None


def row_number(partition: Values, keys: Sequence[tuple[Values, bool]]) -> Values:
    """ROW_NUMBER."""
    found: Values = [0] * len(partition)
    for places in _ordered(partition, keys):
        for number, place in enumerate(places, 1):
            found[place] = number
    return found


def rank(partition: Values, keys: Sequence[tuple[Values, bool]]) -> Values:
    """RANK: equals have the place of the first of them."""
    return _ranked(partition, keys, is_dense=False)


def dense_rank(partition: Values, keys: Sequence[tuple[Values, bool]]) -> Values:
    """DENSE_RANK: no place is left out."""
    return _ranked(partition, keys, is_dense=True)


def _ranked(partition: Values, keys: Sequence[tuple[Values, bool]], *, is_dense: bool) -> Values:
    found: Values = [0] * len(partition)
    for places in _ordered(partition, keys):
        place_of, before = 0, None
        for number, place in enumerate(places, 1):
            mine = [values[place] for values, _ in keys]
            if mine != before:
                place_of, before = (place_of + 1 if is_dense else number), mine
            found[place] = place_of
    return found


def shifted(partition: Values, keys: Sequence[tuple[Values, bool]], values: Values, by: int) -> Values:
    """LEAD (by 1 and more) and LAG (by -1 and less): NULL beyond the partition."""
    found: Values = [None] * len(partition)
    for places in _ordered(partition, keys):
        for at, place in enumerate(places):
            if 0 <= at + by < len(places):
                found[place] = values[places[at + by]]
    return found

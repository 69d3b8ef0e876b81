"""The tables of one request, each made when it is asked for.

An object and not a function that calls itself: such a function refers to itself, so that all the tables of a request would lie
about until the collector comes, which then holds a request up for tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Table = TypeVar("Table")


class LazyTables(Generic[Table]):
    """Finds tables by name.

    Args:
        given: Those that there are already.
        make: Makes another one, by its name; is given these tables, too.
    """

    __slots__ = ("_make", "_tables")

    def __init__(self, given: Mapping[str, Table], make: Callable[[str, Callable[[str], Table]], Table]) -> None:
        self._tables = dict(given)
        self._make = make

    def __call__(self, name: str) -> Table:
        """The table of that name."""
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = self._make(name, self)
        return found

"""One column of values with its NULLs. A column of one value stands for as many rows as there are.

A text column holds codes of a pool, or texts, or both; each is made of the other when somebody asks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from functions.service.engine.strings import NULL, Codes, Pool

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class EngineError(Exception):
    """Something that this engine does not do, or not for values like these."""


class Column:
    """Numbers, truth values, dates, instants or decimals.

    Args:
        values: The values; anything where NULL.
        null: Where NULL, None for nowhere.
    """

    __slots__ = ("null", "values")

    def __init__(self, values: Array, null: Mask | None = None) -> None:
        self.values = values
        self.null = null

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: Codes) -> Column:
        """The rows at these places."""
        return Column(self.values[places], None if self.null is None else self.null[places])

    def spread(self, count: int) -> Column:
        """As many rows as there are, where it is one value for all."""
        if len(self.values) == count:
            return self
        return self.take(np.zeros(count, np.int64))

    def hidden(self, where: Mask) -> Column:
        """NULL in these rows as well."""
        return Column(self.values, where if self.null is None else self.null | where)

    def to_list(self) -> list[Any]:
        """Python's own values."""
        found: list[Any] = self.values.tolist()
        if self.null is None:
            return found
        return [None if gone else value for value, gone in zip(found, self.null.tolist(), strict=True)]


class TextColumn(Column):
    """Texts of one pool.

    Args:
        pool: The pool.
        codes: The code of each row.
        texts: The text of each row.
    """

    __slots__ = ("_codes", "_texts", "pool")

    def __init__(self, pool: Pool, codes: Codes | None = None, texts: list[str | None] | None = None) -> None:
        self.pool = pool
        self._codes = codes
        self._texts = texts

    def __len__(self) -> int:
        return len(self._codes) if self._codes is not None else len(self._texts or ())

    @property
    def is_coded(self) -> bool:
        """Whether there are codes already."""
        return self._codes is not None

    @property
    def codes(self) -> Codes:
        """The code of each row."""
        if self._codes is None:
            self._codes = self.pool.intern(self._texts or ())
        return self._codes

    @property
    def texts(self) -> list[str | None]:
        """The text of each row."""
        if self._texts is None:
            self._texts = self.pool.decode(self.codes)
        return self._texts

    @property
    def null(self) -> Mask | None:  # type: ignore[override]  # computed here, a slot there
        """Where NULL, None for nowhere."""
        if self._codes is not None:
            missing = self._codes < 0
        else:
            missing = np.array([text is None for text in self._texts or ()], np.bool_)
        return missing if missing.any() else None

    @property
    def values(self) -> Array:  # type: ignore[override]  # as above
        """Nothing that arithmetic could work on."""
        raise EngineError("a text where a number is wanted")

    def take(self, places: Codes) -> TextColumn:
        """The rows at these places."""
        if self._codes is not None:
            return TextColumn(self.pool, codes=self._codes[places])
        texts = self._texts or []
        return TextColumn(self.pool, texts=[texts[place] for place in places.tolist()])

    def spread(self, count: int) -> TextColumn:
        """As many rows as there are, where it is one text for all."""
        if len(self) == count:
            return self
        return self.take(np.zeros(count, np.int64))

    def hidden(self, where: Mask) -> TextColumn:
        """NULL in these rows as well."""
        return TextColumn(self.pool, codes=np.where(where, NULL, self.codes))

    def to_list(self) -> list[Any]:
        """Python's own texts."""
        return list(self.texts)


class ListColumn(Column):
    """An array a row: what SPLIT and its kin give and UNNEST takes.

    Args:
        items: The elements of all rows, one after the other.
        sizes: How many of them each row has.
    """

    __slots__ = ("items", "sizes")

    def __init__(self, items: Column, sizes: Codes) -> None:
        self.items = items
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def values(self) -> Array:  # type: ignore[override]  # nothing to calculate with
        """Nothing that arithmetic could work on."""
        raise EngineError("an array where a number is wanted")

    @property
    def null(self) -> Mask | None:  # type: ignore[override]  # UNNEST takes NULL for an empty array
        """Nowhere: an array that is NULL has no elements."""
        return None

    def take(self, places: Codes) -> ListColumn:
        """The rows at these places."""
        starts = np.cumsum(self.sizes) - self.sizes
        return ListColumn(self.items.take(runs(starts[places], self.sizes[places])), self.sizes[places])

    def spread(self, count: int) -> ListColumn:
        """As many rows as there are, where it is one array for all."""
        return self if len(self.sizes) == count else self.take(np.zeros(count, np.int64))


def rows_with(keys: Array, wanted: Array) -> Codes:
    """Where each wanted key stands among the keys, which are different ones and hold them all."""
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], wanted)]


def runs(starts: Codes, sizes: Codes) -> Codes:
    """The places of many runs, one after the other.

    >>> runs(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    places: Codes = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - sizes), sizes)
    return places


def either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Where one or the other."""
    if one is None:
        return other
    return one if other is None else one | other


def constant(value: Any, pool: Pool) -> Column:
    """One value for all rows."""
    if isinstance(value, str):
        return TextColumn(pool, texts=[value])
    if value is None:
        return Column(np.zeros(1), np.ones(1, np.bool_))
    return Column(np.array([value]))


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _instant(value: dt.datetime) -> int:
    moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _column_of(values: Sequence[Any], make: Callable[[Any], Any], nothing: Any, kind: Any) -> Column:
    null = np.array([value is None for value in values], np.bool_)
    filled = [nothing if value is None else make(value) for value in values]
    return Column(np.array(filled, kind), null if null.any() else None)


def typed_column(kind: Any, values: Sequence[Any], pool: Pool) -> Column:
    """A column of Python's own values; `kind` is `str` for text, else NumPy's type."""
    if kind is str:
        return TextColumn(pool, texts=list(values))
    return _column_of(values, lambda value: value, _NOTHING.get(kind.kind, 0), kind)


# What stands where NULL is, by NumPy's letter of the type; elsewhere 0.
_NOTHING: dict[str, Any] = {"M": dt.date(1970, 1, 1), "O": Decimal(0)}


def column_of(kind: str, values: Sequence[Any], pool: Pool) -> Column:
    """A column of Python's own values; `kind` is DuckDB's name of the type."""
    if kind == "VARCHAR":
        return TextColumn(pool, texts=list(values))
    if kind == "TIMESTAMP":
        return _column_of(values, _instant, 0, "datetime64[us]")
    if kind.startswith("DECIMAL"):
        return _column_of(values, Decimal, Decimal(0), object)
    kinds = {"BIGINT": np.int64, "DOUBLE": np.float64, "BOOLEAN": np.bool_}
    if kind not in kinds:
        raise EngineError(f"columns of type {kind}")
    return _column_of(values, lambda value: value, 0, kinds[kind])


def joined(columns: Sequence[Column]) -> Column:
    """Columns one under the other."""
    if len(columns) == 1:
        return columns[0]
    pools = [c.pool for c in columns if isinstance(c, TextColumn)]
    if pools:
        pool = max(pools, key=lambda one: one.first)  # a request's own knows the index's texts, too
        coded = [_texts_like(c, pool) for c in columns]
        if any(c.is_coded for c in coded):
            return TextColumn(pool, codes=np.concatenate([c.codes for c in coded]))
        return TextColumn(pool, texts=[text for c in coded for text in c.texts])
    null = None
    if any(c.null is not None for c in columns):
        null = np.concatenate([np.zeros(len(c), np.bool_) if c.null is None else c.null for c in columns])
    kinds = {c.values.dtype for c in columns if c.null is None or not c.null.all()}
    kind = kinds.pop() if len(kinds) == 1 else None  # what is NULL alone has no type of its own
    return Column(np.concatenate([c.values if kind is None else c.values.astype(kind) for c in columns]), null)


def _texts_like(column: Column, pool: Pool) -> TextColumn:
    if isinstance(column, TextColumn):
        return column
    if column.null is None or not column.null.all():
        raise EngineError("texts and numbers in one column")
    return TextColumn(pool, codes=np.full(len(column), NULL, np.int64))

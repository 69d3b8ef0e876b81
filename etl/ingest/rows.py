"""What a file's rows look like to the rest of the import, whatever format they came in.

A reader gives chunks, so that a file of any size is read in bounded memory. Rows that are broken as rows (bytes that are
no text, a quote that never closes, too many fields) come beside the good ones, with their line and content: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import pyarrow as pa

CHUNK_ROWS = 20_000


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be taken.

    Attributes:
        line: Line of the file where it begins, the first is 1 (Parquet: the row).
        reason: What is wrong with it.
        content: The row as it stood.
    """

    line: int
    reason: str
    content: str


@dataclass
class Chunk:
    """Some rows of a file, by column.

    Attributes:
        columns: The wanted columns, a value a row: text from CSV, JSON's values from NDJSON, Arrow from Parquet.
        rest: For each row the other columns that hold something, by name; empty when the file has no other columns.
        lines: For each row the line where it begins.
        content: Gives a row's text by its position in the chunk.
        broken: Rows that are no rows.
    """

    columns: Mapping[str, Sequence[Any] | pa.Array]
    rest: list[dict[str, Any]]
    lines: list[int]
    content: Callable[[int], str]
    broken: list[BrokenRow] = field(default_factory=list)


class RowReader(Protocol):
    """A file of rows.

    Attributes:
        columns: Names of all its columns, in order.
    """

    columns: tuple[str, ...]

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """The rows, in order, with the `wanted` columns apart from the rest."""


def json_value(value: Any) -> Any:
    """What JSON has no type for, as something that it has: for `json.dumps(default=...)`."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)

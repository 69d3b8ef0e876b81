"""Rows of a CSV file, by Python's own reader: it is the one that lets a bad row keep its line and its content.

A quote that is opened and never closed would swallow the rows behind it. So when a record of several lines turns out
to be broken, its first line alone is refused and reading goes on at the second.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from etl.errors import InputError
from etl.ingest.rows import CHUNK_ROWS, BrokenRow, Chunk
from etl.ingest.text_file import shown, text_lines, unreadable

_DELIMITERS = ",;\t|"


class _Lines:
    """Physical lines that remember which of them the record at hand took, and can take some back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._before = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    @property
    def several(self) -> bool:
        """Whether the record took more than one line."""
        return len(self._taken) > 1

    def record(self, *, first_only: bool = False) -> tuple[int, str]:
        """Line and text of the record just read; with `first_only` all but its first line is to be read again."""
        if first_only:
            self._again.extendleft(reversed(self._taken[1:]))
            del self._taken[1:]
        line = self._before + 1
        self._before += len(self._taken)
        text = self._taken[0] if len(self._taken) == 1 else "".join(self._taken)
        self._taken.clear()
        return line, text


class CsvRows:
    """A CSV file with a header; comma, semicolon, tab or bar between fields, whichever the header has most.

    Raises:
        InputError: There is no header, or a name stands in it twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with text_lines(path, newline="") as lines:
            first = next(lines, "")
        self._delimiter = max(_DELIMITERS, key=first.count)
        with text_lines(path, newline="") as lines:
            try:
                header = next(self._reader(_Lines(iter(lines))), [])
            except csv.Error as error:
                raise InputError(f"{path}: the first line must name the columns, and is no CSV: {error}") from error
        self.columns = _names(path, header)

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """The rows, as `RowReader.chunks`."""
        with text_lines(self._path, newline="") as file:
            lines = _Lines(iter(file))
            next(self._reader(lines), None)
            lines.record()
            records: list[list[str]] = []
            texts: list[str] = []
            numbers: list[int] = []
            broken: list[BrokenRow] = []
            for found in self._records(lines):
                if isinstance(found, BrokenRow):
                    broken.append(found)
                else:
                    numbers.append(found[0])
                    texts.append(found[1])
                    records.append(found[2])
                if len(records) + len(broken) >= CHUNK_ROWS:
                    yield self._chunk(wanted, records, texts, numbers, broken)
                    records, texts, numbers, broken = [], [], [], []
            yield self._chunk(wanted, records, texts, numbers, broken)

    def _records(self, lines: _Lines) -> Iterator[BrokenRow | tuple[int, str, list[str]]]:
        width = len(self.columns)
        reader = self._reader(lines)
        while True:
            wrong = None
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields, wrong = [], str(error)
                reader = self._reader(lines)
            if wrong is None and len(fields) not in {0, width}:
                wrong = f"{len(fields)} fields instead of {width}"
            if wrong is not None:
                number, text = lines.record(first_only=lines.several)
                reader = self._reader(lines)
                yield BrokenRow(number, unreadable(text) or wrong, shown(text))
                continue
            number, text = lines.record()
            bad = unreadable(text)
            if bad is not None:
                yield BrokenRow(number, bad, shown(text))
            elif fields:  # an empty line is no row
                yield number, text, fields

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _chunk(
        self,
        wanted: Sequence[str],
        records: list[list[str]],
        texts: list[str],
        numbers: list[int],
        broken: list[BrokenRow],
    ) -> Chunk:
        by_column = list(zip(*records, strict=True)) or [()] * len(self.columns)
        others = [(i, name) for i, name in enumerate(self.columns) if name not in set(wanted)]
        rest = [{name: row[i] for i, name in others if row[i]} for row in records] if others else []
        columns: dict[str, Sequence[str]] = {name: by_column[self.columns.index(name)] for name in wanted}
        return Chunk(columns, rest, numbers, lambda i: shown(texts[i]), broken)


def _names(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    """Column names of a header; a column without one is called by its place, as `column_3`."""
    if not any(cell.strip() for cell in header):
        raise InputError(f"{path}: the first line must name the columns, and is empty")
    names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(header, start=1))
    bad = unreadable("".join(names))
    if bad is not None:
        raise InputError(f"{path}: the line that names the columns is {bad}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: columns of the same name: {', '.join(twice)}; rename them in its first line")
    return names

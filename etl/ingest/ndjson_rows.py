"""Rows of newline-delimited JSON: one object a line, its keys are the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from etl.errors import InputError
from etl.ingest.rows import CHUNK_ROWS, BrokenRow, Chunk
from etl.ingest.text_file import shown, text_lines, unreadable


class NdjsonRows:
    """A file of JSON objects, one a line. The columns are all keys of all rows, for which the file is read once before.

    Raises:
        InputError: It is one JSON array, or holds no object at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        names: dict[str, None] = {}
        for found in self._rows():
            if not isinstance(found, BrokenRow):
                names.update(dict.fromkeys(found[2]))
        if not names:
            raise InputError(f'{path}: holds no JSON object; each line must be one, as in {{"title": "..."}}')
        self.columns = tuple(names)

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """The rows, as `RowReader.chunks`. Numbers with a point come as Decimal, so that no digit is lost."""
        rows: list[tuple[int, str, dict[str, Any]]] = []
        broken: list[BrokenRow] = []
        for found in self._rows():
            if isinstance(found, BrokenRow):
                broken.append(found)
            else:
                rows.append(found)
            if len(rows) + len(broken) >= CHUNK_ROWS:
                yield _chunk(wanted, rows, broken)
                rows, broken = [], []
        yield _chunk(wanted, rows, broken)

    def _rows(self) -> Iterator[BrokenRow | tuple[int, str, dict[str, Any]]]:
        with text_lines(self._path, newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                if number == 1 and line.lstrip().startswith("["):
                    raise InputError(
                        f"{self._path}: is one JSON array; put one object on each line, for example with: jq -c '.[]'"
                    )
                bad = unreadable(line)
                row = None
                if bad is None:
                    row, bad = _parsed(line)
                if row is None:
                    yield BrokenRow(number, bad or "", shown(line))
                else:
                    yield number, line, row


def _parsed(line: str) -> tuple[dict[str, Any] | None, str | None]:
    """The object that a line holds, or why it holds none."""
    try:
        row = json.loads(line, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    if not isinstance(row, dict):
        return None, f"a JSON {_KINDS.get(type(row), 'value')}, not an object"
    if "\\u" in line:  # only an escape can bring in what the line itself cannot hold
        bad = unreadable(json.dumps(row, ensure_ascii=False, default=str).replace("\\u0000", "\0"))
        if bad is not None:
            return None, "an escape that is no character: " + ("NUL" if "NUL" in bad else "half a surrogate pair")
    return row, None


_KINDS = {list: "array", str: "string", int: "number", Decimal: "number", bool: "boolean", type(None): "null"}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _chunk(wanted: Sequence[str], rows: list[tuple[int, str, dict[str, Any]]], broken: list[BrokenRow]) -> Chunk:
    apart = frozenset(wanted)
    rest = [{k: v for k, v in row.items() if k not in apart and v is not None} for _, _, row in rows]
    return Chunk(
        columns={name: [row.get(name) for _, _, row in rows] for name in wanted},
        rest=rest if any(rest) else [],
        lines=[number for number, _, _ in rows],
        content=lambda i: shown(rows[i][1]),
        broken=broken,
    )

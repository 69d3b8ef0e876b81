"""Rows of a Parquet file, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from etl.errors import InputError
from etl.ingest.rows import CHUNK_ROWS, Chunk, json_value


class ParquetRows:
    """A Parquet file; what it calls a row's line is the number of the row.

    Raises:
        InputError: It is no Parquet file, or two columns have one name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: is no Parquet file: {error}") from error
        names = self._file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path}: columns of the same name: {', '.join(twice)}")
        self.columns = tuple(names)

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """The rows, as `RowReader.chunks`.

        Raises:
            InputError: The file ends early or is damaged inside.
        """
        others = [name for name in self.columns if name not in set(wanted)]
        before = 0
        try:
            for batch in map(_readable, self._file.iter_batches(CHUNK_ROWS)):
                rest = batch.select(others).to_pylist() if others else []
                yield Chunk(
                    columns={name: batch.column(name) for name in wanted},
                    rest=[{k: v for k, v in row.items() if v is not None} for row in rest],
                    lines=list(range(before + 1, before + batch.num_rows + 1)),
                    content=lambda i, batch=batch: json.dumps(  # type: ignore[misc]  # bound as it is now
                        batch.slice(i, 1).to_pylist()[0], default=json_value, ensure_ascii=False
                    ),
                )
                before += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{self._path}: is damaged after row {before}: {error}") from error


def _readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with text columns that are not UTF-8 throughout as bytes: Parquet itself does not look."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return pa.RecordBatch.from_arrays([_readable_column(c) for c in batch.columns], names=batch.schema.names)
    return batch


def _readable_column(column: pa.Array) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return column.cast(pa.binary())
    return column

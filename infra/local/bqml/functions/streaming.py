"""Rows in, rows out, a bounded number of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import pyarrow as pa

Data: TypeAlias = pa.Table | pa.RecordBatchReader
ROWS = 65_536
WORKERS = 4


def as_table(data: Data) -> pa.Table:
    """All rows at once, for what cannot be told from a part of them."""
    return data if isinstance(data, pa.Table) else data.read_all()


def transformed(
    data: Data, schema: pa.Schema, work: Callable[[pa.RecordBatch], pa.RecordBatch], *, side_by_side: bool
) -> Data:
    """``work`` over the rows, in order: a table for a table, a reader for a reader.

    ``side_by_side`` lets four batches be worked on at once (for work whose own code is single-threaded).
    """
    batches = sized(data)
    done = _mapped(batches, work) if side_by_side else (work(batch) for batch in batches)
    if isinstance(data, pa.Table):
        return pa.Table.from_batches(done, schema)
    return pa.RecordBatchReader.from_batches(schema, done)


def sized(data: Data, rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Batches of at most ``rows`` rows; small ones are put together, so that few calls do the work."""
    if isinstance(data, pa.Table):
        yield from _even(data.to_batches(max_chunksize=rows), rows)
    else:
        yield from _even(data, rows)


def _even(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        if batch.num_rows >= rows // 2:
            yield from _flushed(waiting)
            waiting, count = [], 0
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
            continue
        waiting.append(batch)
        count += batch.num_rows
        if count >= rows // 2:
            yield from _flushed(waiting)
            waiting, count = [], 0
    yield from _flushed(waiting)


def _flushed(waiting: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if len(waiting) == 1:
        yield waiting[0]
    elif waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


def _mapped(
    batches: Iterator[pa.RecordBatch], work: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with ThreadPoolExecutor(WORKERS) as pool:
        ahead: deque[Future[pa.RecordBatch]] = deque()
        for batch in batches:
            ahead.append(pool.submit(work, batch))
            if len(ahead) > WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

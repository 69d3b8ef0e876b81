"""What an index is written with: arrays that grow in memory or in files, and texts that get codes on their way to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from functions.service.engine import string_writer
from functions.service.engine.columns import Column, EngineError, TextColumn
from functions.service.engine.relations import Relation
from functions.service.engine.storage import StoredTable, TableWriter
from functions.service.engine.stores import InFolder, InMemory
from functions.service.engine.string_writer import StringWriter
from functions.service.engine.strings import NULL, Pool, StringFile
from functions.service.workers import Workers


def test_texts_have_the_codes_of_a_pool_and_are_found_again(tmp_path: Path) -> None:
    pool = Pool()
    batches = [[f"text {n % 97} {'é' * (n % 3)}" for n in range(first, first + 40)] for first in range(0, 400, 20)]
    with StringWriter(tmp_path) as writer:
        for batch in batches:
            different = list(dict.fromkeys(batch))
            assert writer.intern(different).tolist() == pool.intern(different).tolist()
        writer.finish()
        strings = StringFile(tmp_path)
        assert strings.decode(np.arange(len(strings))) == list(pool.texts)
        assert strings.find(["nobody's", *pool.texts]) == [NULL, *range(len(strings))]
        assert writer.intern(["late", pool.texts[3]]).tolist() == [len(strings), 3]
        writer.finish()
    assert StringFile(tmp_path).find(["late"]) == [len(strings)]


def test_two_texts_with_one_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(string_writer, "digests", lambda texts: np.array([[7, len(text)] for text in texts], np.uint64))
    with StringWriter(tmp_path) as writer:
        writer.intern(["a"])
        with pytest.raises(EngineError, match="same hash"):
            writer.intern(["bb"])


@pytest.mark.parametrize("in_files", [True, False])
def test_a_table_holds_what_was_added_batch_by_batch(tmp_path: Path, in_files: bool) -> None:
    pool = Pool()
    store = InFolder(tmp_path) if in_files else InMemory()
    writer = TableWriter(store, "t")
    batches = [  # whole numbers become fractions, and NULLs come late
        {"number": Column(np.array([3, 1])), "text": TextColumn(pool, texts=["x", None])},
        {"number": Column(np.array([0.5])), "text": TextColumn(pool, texts=["y"])},
        {"number": Column(np.array([2.0, 0.0]), np.array([False, True])), "text": TextColumn(pool, texts=["x", "x"])},
    ]
    owners = [np.array([1, 0]), np.array([0]), np.array([0, 2])]
    for columns, of in zip(batches, owners, strict=True):
        writer.add(Relation(len(of), dict(columns)), of, int(of.max()) + 1)
    table: Any = writer.table()
    if in_files:
        table = StoredTable.read(tmp_path, "t")
        assert not list(tmp_path.glob("*.part"))
    rows, sizes = table.rows_of(np.arange(6))
    assert sizes.tolist() == [1, 1, 1, 1, 0, 1]
    assert table.column("number", rows, pool).to_list() == [1.0, 3.0, 0.5, 2.0, None]
    assert table.column("text", rows, pool).to_list() == [None, "x", "y", "x", "x"]


def test_work_is_taken_as_it_is_needed_and_comes_back_in_its_order() -> None:
    taken: list[int] = []

    def works() -> Any:
        for n in range(60):
            taken.append(n)
            yield n

    made = Workers(2).map(_squared, works(), step="squaring", deals=1)
    assert [next(made) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 3 + 2 * 2 + 1  # handed out, waiting to be, and one in the hand
    made.close()  # type: ignore[attr-defined]  # a generator: whoever stops early gets away


def _squared(number: int) -> int:
    return number * number

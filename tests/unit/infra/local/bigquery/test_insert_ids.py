import time
from unittest.mock import create_autospec

import pytest

from infra.local.bigquery.engine import ThreadedEngine
from infra.local.bigquery.table_routes import REMEMBERED_S, InsertIds

TABLE = "p.d.t"


@pytest.fixture
def ids() -> InsertIds:
    return InsertIds(create_autospec(ThreadedEngine))


def test_an_id_counts_once_for_a_table_and_a_row_without_one_always(ids):
    assert ids.claim(TABLE, ["a", None, "b", "a"]) == [0, 1, 2]
    assert ids.claim(TABLE, ["b", None, "c"]) == [1, 2]
    assert ids.claim("p.d.other", ["b"]) == [0]


def test_an_id_whose_row_was_not_inserted_is_new_again(ids):
    ids.claim(TABLE, ["a", "b"])
    ids.release(TABLE, ["a", None])
    assert ids.claim(TABLE, ["a", "b"]) == [0]


def test_an_id_is_forgotten_after_its_hour_and_no_younger_one_with_it(ids, monkeypatch):
    now = time.time()
    ids.claim(TABLE, ["old"])
    monkeypatch.setattr(time, "time", lambda: now + REMEMBERED_S / 2)
    ids.claim(TABLE, ["young"])
    monkeypatch.setattr(time, "time", lambda: now + REMEMBERED_S + 1)
    assert ids.claim(TABLE, ["old", "young"]) == [0]

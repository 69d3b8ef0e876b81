from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_files import staged, staged_text

from etl.errors import InputError
from etl.ingest.formats import open_rows


def test_json_values_keep_their_digits_and_the_rest_keeps_its_types(tmp_path):
    row = '{"deal_id": 7, "source": "shop", "title": "tv", "price": 12345678901234567890.123456789, "tags": ["a", 1.5], "x": null}'
    good, refused = staged_text(tmp_path, row + "\n", name="d.ndjson")
    assert refused == []
    assert good[0]["deal_id"] == "7"
    assert good[0]["price"] == Decimal("12345678901234567890.123456789")
    assert json.loads(good[0]["attributes"]) == {"tags": ["a", 1.5]}


def test_lines_that_hold_no_json_object_are_refused_with_their_reason(tmp_path):
    good_line = '{"deal_id": "1", "source": "shop", "title": "tv"}'
    lines = [
        good_line,
        "{broken",
        "[1]",
        "42",
        "",
        good_line.replace('"1"', "NaN"),
        good_line.replace("tv", "\\ud800"),
        good_line.replace("tv", "\\u0000"),
    ]
    good, refused = staged_text(tmp_path, "\n".join(lines), name="d.jsonl")
    assert [r["line"] for r in good] == [1]
    assert [r["line"] for r in refused] == [2, 3, 4, 6, 7, 8]
    reasons = [r["reason"] for r in refused]
    assert reasons[0].startswith("not JSON: Expecting property name")
    assert reasons[1:3] == ["a JSON array, not an object", "a JSON number, not an object"]
    assert reasons[3] == "not JSON: NaN is no JSON number"
    assert reasons[4:] == [
        "an escape that is no character: half a surrogate pair",
        "an escape that is no character: NUL",
    ]
    assert refused[0]["content"] == "{broken"


def test_a_field_that_holds_an_object_or_a_list_is_refused(tmp_path):
    row = {"deal_id": "1", "source": "shop", "title": {"en": "tv"}, "brand": ["a"]}
    _, refused = staged_text(tmp_path, json.dumps(row), name="d.ndjson")
    assert refused[0]["reason"] == "title: is an object, not a single value; brand: is a list, not a single value"


def test_a_key_that_only_a_late_row_has_is_a_column_too(tmp_path):
    first = {"deal_id": "1", "source": "shop", "title": "tv"}
    lines = [json.dumps(first)] * 3 + [json.dumps({**first, "brand": "Acme"})]
    good, _ = staged_text(tmp_path, "\n".join(lines), name="d.ndjson")
    assert [r.get("brand") for r in good] == [None, None, None, "Acme"]


def test_a_json_array_is_refused_with_the_way_to_mend_it(tmp_path):
    with pytest.raises(InputError, match="jq -c"):
        staged_text(tmp_path, '[{"deal_id": 1}]', name="d.json")


def test_an_exported_deal_comes_back_as_it_was(tmp_path):
    row = {"deal_id": "1", "source": "shop", "title": "tv", "attributes": {"ean": "4006381333931"}, "stock": 3}
    good, _ = staged_text(tmp_path, json.dumps(row), name="d.ndjson")
    assert json.loads(good[0]["attributes"]) == {"ean": "4006381333931", "stock": 3}


def test_parquet_types_become_the_fields_types(tmp_path):
    path = tmp_path / "d.parquet"
    table = pa.table(
        {
            "deal_id": pa.array([1, 2, 3]),
            "source": pa.array(["shop"] * 3).dictionary_encode(),
            "title": ["tv", "radio", None],
            "price": [19.99, float("nan"), 3.0],
            "list_price": pa.array([Decimal("25.50"), None, None], pa.decimal128(10, 2)),
            "starts_at": pa.array([dt.date(2026, 1, 31), None, None], pa.date32()),
            "seen": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 3),
            "sizes": [[1, 2], None, []],
        }
    )
    pq.write_table(table, path)
    good, refused = staged(path)
    assert [r["deal_id"] for r in good] == ["1", "2"]
    assert good[0]["price"] == Decimal("19.99")
    assert good[0]["list_price"] == Decimal("25.5")
    assert good[0]["starts_at"] == dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    assert json.loads(good[0]["attributes"]) == {"seen": "2026-01-01T00:00:00+00:00", "sizes": [1, 2]}
    assert "price" not in good[1]
    assert (refused[0]["line"], refused[0]["reason"]) == (3, "title: missing")
    assert json.loads(refused[0]["content"])["deal_id"] == 3


def test_text_in_parquet_that_is_not_utf8_refuses_its_row(tmp_path):
    path = tmp_path / "d.parquet"
    text = pa.array([b"tv", b"caf\xe9", None], pa.binary()).cast(pa.binary())
    title = pa.Array.from_buffers(pa.string(), 3, text.buffers())
    pq.write_table(pa.table({"deal_id": ["1", "2", "3"], "source": ["s"] * 3, "title": title, "note": title}), path)
    good, refused = staged(path)
    assert [(r["deal_id"], r["attributes"]) for r in good] == [("1", '{"note": "tv"}')]
    assert [r["reason"] for r in refused] == ["title: is not UTF-8", "title: missing"]
    assert "caf\\\\xe9" in refused[0]["content"]


def test_what_only_says_that_it_is_parquet_is_refused(tmp_path):
    path = tmp_path / "d.parquet"
    path.write_text("deal_id,title")
    with pytest.raises(InputError, match="no Parquet file"):
        open_rows(path)


def test_a_format_that_is_not_known_is_refused_with_those_that_are(tmp_path):
    path = tmp_path / "d.xlsx"
    path.touch()
    with pytest.raises(InputError, match=r"--format csv\|ndjson\|parquet"):
        open_rows(path)
    with pytest.raises(InputError, match="no such file"):
        open_rows(tmp_path / "absent.csv")

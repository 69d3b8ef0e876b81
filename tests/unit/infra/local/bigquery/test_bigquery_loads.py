from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from google.api_core import exceptions
from google.cloud import bigquery


def test_csv_goes_in_by_position_with_its_options(client, rows):
    config = bigquery.LoadJobConfig(
        source_format="CSV",
        skip_leading_rows=1,
        field_delimiter=";",
        schema=[
            bigquery.SchemaField("a", "INT64"),
            bigquery.SchemaField("s", "STRING"),
            bigquery.SchemaField("p", "NUMERIC"),
        ],
    )
    data = 'a;s;p\n1;"x;""y""";1.25\n2;;\n'
    client.load_table_from_file(io.BytesIO(data.encode()), "d.csv", job_config=config).result()
    assert rows("SELECT * FROM d.csv ORDER BY a") == [(1, 'x;"y"', Decimal("1.25")), (2, None, None)]


def test_json_and_frames_go_in_by_name(client, rows):
    client.load_table_from_json([{"b": "x", "a": 1}, {"a": 2}], "d.ndjson").result()
    assert rows("SELECT a, b FROM d.ndjson ORDER BY a") == [(1, "x"), (2, None)]
    frame = pd.DataFrame({"b": ["z"], "a": [3]})
    client.load_table_from_dataframe(frame, "d.ndjson").result()
    assert rows("SELECT a, b FROM d.ndjson WHERE a = 3") == [(3, "z")]


def test_truncate_replaces_and_empty_refuses(client, rows):
    client.load_table_from_json([{"a": 1}], "d.again").result()
    client.load_table_from_json(
        [{"a": 2}], "d.again", job_config=bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE", autodetect=True)
    ).result()
    assert rows("SELECT a FROM d.again") == [(2,)]
    config = bigquery.LoadJobConfig(write_disposition="WRITE_EMPTY", autodetect=True)
    with pytest.raises(exceptions.Conflict):
        client.load_table_from_json([{"a": 3}], "d.again", job_config=config).result()


def test_a_file_that_does_not_fit_loads_nothing(client, rows):
    rows("CREATE OR REPLACE TABLE d.strict (a INT64)")
    config = bigquery.LoadJobConfig(source_format="CSV")
    with pytest.raises(exceptions.BadRequest, match="Error while reading data"):
        client.load_table_from_file(io.BytesIO(b"1\nx\n"), "d.strict", job_config=config).result()
    assert rows("SELECT COUNT(*) FROM d.strict") == [(0,)]


def test_a_load_job_has_an_id_like_any_other(client):
    client.load_table_from_json([{"a": 1}], "d.ids", job_id="load-once").result()
    with pytest.raises(exceptions.Conflict):
        client.load_table_from_json([{"a": 1}], "d.ids", job_id="load-once")
    assert client.get_job("load-once").output_rows == 1


def test_streamed_rows_are_there_at_once_and_repeats_are_dropped(client, rows):
    rows("CREATE OR REPLACE TABLE d.streamed (a INT64, t TIMESTAMP, tags ARRAY<STRING>, s STRUCT<x FLOAT64>)")
    now = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    row = {"a": 1, "t": now.isoformat(), "tags": ["x"], "s": {"x": 0.5}}
    assert client.insert_rows_json("d.streamed", [row], row_ids=["1"]) == []
    assert client.insert_rows_json("d.streamed", [row], row_ids=["1"]) == []
    assert rows("SELECT * FROM d.streamed") == [(1, now, ["x"], {"x": 0.5})]


def test_a_bad_streamed_row_stops_the_batch_and_is_named(client, rows):
    rows("CREATE OR REPLACE TABLE d.checked (a INT64 NOT NULL)")
    errors = client.insert_rows_json("d.checked", [{"a": 1}, {"a": "x"}, {"b": 1}])
    reasons = {error["index"]: error["errors"][0]["reason"] for error in errors}
    assert reasons == {0: "stopped", 1: "invalid", 2: "invalid"}
    assert rows("SELECT COUNT(*) FROM d.checked") == [(0,)]
    assert [e["index"] for e in client.insert_rows_json("d.checked", [{"a": 1}, {"b": 1}], skip_invalid_rows=True)] == [
        1
    ]
    assert rows("SELECT a FROM d.checked") == [(1,)]


def test_a_text_that_is_no_json_is_refused_by_itself(client, rows):
    rows("CREATE OR REPLACE TABLE d.documents (a INT64, j JSON)")
    sent = [{"a": 1, "j": '{"x": 1}{"x": 2}'}, {"a": 2, "j": '{"x": 1}'}, {"a": 3, "j": None}]
    (error,) = client.insert_rows_json("d.documents", sent, skip_invalid_rows=True)
    assert (error["index"], error["errors"][0]["location"]) == (0, "j")
    assert rows("SELECT a, INT64(j.x) FROM d.documents ORDER BY a") == [(2, 1), (3, None)]


def test_rows_are_read_back_in_pages_and_as_frames(client, rows):
    rows("CREATE OR REPLACE TABLE d.paged AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) x")
    assert sorted(row.x for row in client.list_rows("d.paged", page_size=10)) == list(range(1, 26))
    result = client.query("SELECT x FROM d.paged ORDER BY x").result(page_size=10)
    assert [row.x for row in result] == list(range(1, 26))
    assert client.query("SELECT x FROM d.paged").to_dataframe(create_bqstorage_client=False).x.sum() == 325

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from google.api_core import exceptions
from google.cloud import bigquery


def test_parameters_keep_their_types_and_text_that_looks_like_one_is_text(rows):
    parameters = [
        bigquery.ScalarQueryParameter("n", "INT64", 5),
        bigquery.ScalarQueryParameter("nothing", "STRING", None),
        bigquery.ScalarQueryParameter("day", "DATE", "2026-01-02"),
        bigquery.ArrayQueryParameter("many", "INT64", [1, 2]),
        bigquery.StructQueryParameter("s", bigquery.ScalarQueryParameter("a", "NUMERIC", Decimal("1.5"))),
    ]
    sql = "SELECT @n + 1, @nothing, EXTRACT(DAY FROM @day), @many, @s.a, '@n $n ?'"
    assert rows(sql, query_parameters=parameters) == [(6, None, 2, [1, 2], Decimal("1.5"), "@n $n ?")]


def test_positional_parameters_go_by_their_order(rows):
    parameters = [bigquery.ScalarQueryParameter(None, "INT64", 7), bigquery.ScalarQueryParameter(None, "INT64", 2)]
    assert rows("SELECT ? - ?", query_parameters=parameters) == [(5,)]


def test_unnamed_columns_are_called_f0_and_so_on(client):
    assert [field.name for field in client.query("SELECT 1, 2 AS two, 'x'").result().schema] == ["f0_", "two", "f1_"]


def test_create_table_keeps_partition_cluster_and_options(client, rows):
    rows(
        "CREATE OR REPLACE TABLE d.laid_out PARTITION BY day CLUSTER BY source, id "
        "OPTIONS (description = 'deals', labels = [('team', 'growth')]) AS "
        "SELECT DATE '2026-01-01' AS day, 'a' AS source, 1 AS id"
    )
    table = client.get_table("d.laid_out")
    assert table.time_partitioning.field == "day"
    assert table.clustering_fields == ["source", "id"]
    assert (table.description, table.labels, table.num_rows) == ("deals", {"team": "growth"}, 1)
    rows("ALTER TABLE d.laid_out SET OPTIONS (description = 'offers')")
    rows("ALTER TABLE d.laid_out ADD COLUMN price NUMERIC")
    table = client.get_table("d.laid_out")
    assert (table.description, table.schema[-1].name, table.schema[-1].field_type) == ("offers", "price", "NUMERIC")


def test_one_alter_adds_several_columns_and_leaves_the_descriptions_of_the_others(client, rows):
    rows("CREATE OR REPLACE TABLE d.grown (a INT64 NOT NULL OPTIONS (description = 'the first'))")
    rows("INSERT INTO d.grown VALUES (1)")
    rows(
        "ALTER TABLE d.grown ADD COLUMN IF NOT EXISTS a INT64, "
        "ADD COLUMN IF NOT EXISTS b STRING OPTIONS (description = 'the second'), ADD COLUMN c ARRAY<FLOAT64>"
    )
    told = [(f.name, f.mode, f.description) for f in client.get_table("d.grown").schema]
    assert told == [("a", "REQUIRED", "the first"), ("b", "NULLABLE", "the second"), ("c", "REPEATED", None)]
    assert rows("SELECT a, b, ARRAY_LENGTH(c) FROM d.grown") == [(1, None, None)]
    with pytest.raises(exceptions.BadRequest):
        rows("ALTER TABLE d.grown ADD COLUMN e STRING, ADD COLUMN b STRING")
    assert len(client.get_table("d.grown").schema) == 3, "all of it or nothing"


def test_merge_inserts_a_whole_row_and_update_sets_a_field_of_a_struct(rows):
    rows("CREATE OR REPLACE TABLE d.merged (id INT64, s STRUCT<a INT64, b STRING>, price NUMERIC)")
    rows(
        "MERGE d.merged t USING (SELECT 1 AS id, STRUCT(1 AS a, 'x' AS b) AS s, NUMERIC '1.123456789' AS price) n "
        "ON t.id = n.id WHEN NOT MATCHED THEN INSERT ROW"
    )
    rows("UPDATE d.merged SET s.a = 9 WHERE id = 1")
    assert rows("SELECT * FROM d.merged") == [(1, {"a": 9, "b": "x"}, Decimal("1.123456789"))]


def test_a_transaction_is_seen_as_a_whole_or_not_at_all(rows):
    rows("CREATE OR REPLACE TABLE d.account AS SELECT 1 AS id, 10 AS n UNION ALL SELECT 2, 0")
    rows("BEGIN TRANSACTION; UPDATE d.account SET n = 0 WHERE id = 1; ROLLBACK TRANSACTION;")
    assert rows("SELECT SUM(n) FROM d.account WHERE id = 1") == [(10,)]
    with pytest.raises(exceptions.BadRequest):
        rows("BEGIN TRANSACTION; UPDATE d.account SET n = 0 WHERE id = 1; SELECT ERROR('no'); COMMIT TRANSACTION;")
    assert rows("SELECT n FROM d.account ORDER BY id") == [(10,), (0,)]
    rows(
        "BEGIN TRANSACTION; UPDATE d.account SET n = n - 4 WHERE id = 1; "
        "UPDATE d.account SET n = n + 4 WHERE id = 2; COMMIT TRANSACTION;"
    )
    assert rows("SELECT n FROM d.account ORDER BY id") == [(6,), (4,)]


def test_a_script_has_variables_temporary_tables_and_handlers(rows):
    assert rows(
        "DECLARE x INT64 DEFAULT 3; SET x = x + 1; CREATE TEMP TABLE t AS SELECT x AS y; SELECT y * 2 FROM t WHERE y = x"
    ) == [(8,)]
    assert rows("BEGIN RAISE USING MESSAGE = 'boo'; EXCEPTION WHEN ERROR THEN SELECT @@error.message; END") == [
        ("boo",)
    ]
    # What a script kept to itself is gone with it.
    with pytest.raises(exceptions.NotFound):
        rows("SELECT * FROM t")


def test_a_table_can_be_read_as_it_was(rows):
    rows("CREATE OR REPLACE TABLE d.past AS SELECT 1 AS a")
    time.sleep(0.05)
    first = rows("SELECT CURRENT_TIMESTAMP()")[0][0]
    time.sleep(0.05)
    rows("INSERT INTO d.past VALUES (2)")
    second = rows("SELECT CURRENT_TIMESTAMP()")[0][0]
    time.sleep(0.05)
    rows("DELETE FROM d.past WHERE a = 1")

    def as_of(moment):
        parameters = [bigquery.ScalarQueryParameter("t", "TIMESTAMP", moment)]
        return sorted(rows("SELECT a FROM d.past FOR SYSTEM_TIME AS OF @t", query_parameters=parameters))

    assert as_of(first) == [(1,)]
    assert as_of(second) == [(1,), (2,)]
    assert rows("SELECT a FROM d.past") == [(2,)]
    with pytest.raises(exceptions.GoogleAPICallError, match=r"[Ii]nvalid"):
        rows("SELECT a FROM d.past FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)")


def test_a_query_writes_to_its_destination_by_its_disposition(client, rows):
    def write(sql, disposition):
        config = {"destination": f"{client.project}.d.target", "write_disposition": disposition}
        return rows(sql, **config)

    assert write("SELECT 1 AS a", "WRITE_TRUNCATE") == [(1,)]
    write("SELECT 2 AS a", "WRITE_APPEND")
    assert sorted(rows("SELECT a FROM d.target")) == [(1,), (2,)]
    with pytest.raises(exceptions.Conflict):
        write("SELECT 3 AS a", "WRITE_EMPTY")
    write("SELECT 'x' AS b", "WRITE_TRUNCATE")
    assert rows("SELECT * FROM d.target") == [("x",)]


def test_export_data_writes_files_under_the_storage_root(rows, state):
    rows("EXPORT DATA OPTIONS (uri = 'gs://bucket/out/*.csv', format = 'CSV', overwrite = TRUE) AS SELECT 1 AS a")
    assert [path.read_text() for path in (state / "gs/bucket/out").iterdir()] == ["a\n1\n"]


def test_views_functions_and_information_schema_answer(rows):
    rows("CREATE OR REPLACE VIEW d.doubled AS SELECT x * 2 AS y FROM UNNEST([1, 2]) AS x")
    assert rows("SELECT SUM(y) FROM d.doubled") == [(6,)]
    rows("CREATE OR REPLACE FUNCTION d.plus_one(x INT64) AS (x + 1)")
    assert rows("SELECT d.plus_one(4)") == [(5,)]
    assert ("doubled",) in rows("SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES")
    assert rows("SELECT column_name FROM d.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'doubled'") == [("y",)]


def test_json_columns_are_read_by_their_fields(rows):
    rows('CREATE OR REPLACE TABLE d.docs AS SELECT JSON \'{"a": {"b": [5, 6]}}\' AS j')
    assert rows("SELECT JSON_VALUE(j.a.b[1]), INT64(j.a.b[0]), JSON_TYPE(j.a) FROM d.docs") == [("6", 5, "object")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT w, place FROM UNNEST(['a', 'b']) AS w WITH OFFSET AS place ORDER BY place", [("a", 0), ("b", 1)]),
        ("SELECT w, offset FROM UNNEST(['a', 'b']) AS w WITH OFFSET ORDER BY offset", [("a", 0), ("b", 1)]),
        (
            (
                "WITH t AS (SELECT place FROM UNNEST(['a', 'b']) AS w WITH OFFSET AS place), "
                "u AS (SELECT place + 10 AS place FROM t) SELECT MIN(place), MAX(place) FROM u"
            ),
            [(10, 11)],
        ),
        ("SELECT (SELECT MAX(o) FROM UNNEST([7, 8, 9]) WITH OFFSET AS o WHERE o <= i) FROM UNNEST([1]) AS i", [(1,)]),
        ("SELECT ['a', 'b'][OFFSET(o)] FROM UNNEST(['x', 'y']) AS v WITH OFFSET AS o ORDER BY o", [("a",), ("b",)]),
    ],
)
def test_an_offset_column_counts_from_zero_and_no_other_column_of_its_name_is_touched(rows, sql, expected):
    assert rows(sql) == expected

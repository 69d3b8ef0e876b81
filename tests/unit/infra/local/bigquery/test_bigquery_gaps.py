"""What an analyst's daily SQL needs beyond single expressions: offsets under a star, dataset lists, the past, dry runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from google.api_core import exceptions
from google.cloud import bigquery

MODEL = "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) AS SELECT f, y FROM d.gaps"


@pytest.fixture(scope="module", autouse=True)
def table(rows):
    rows("CREATE OR REPLACE TABLE d.gaps AS SELECT x AS f, IF(x > 50, 1, 0) AS y FROM UNNEST(GENERATE_ARRAY(1, 100)) x")
    rows(f"CREATE OR REPLACE MODEL d.gaps_model {MODEL}")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM UNNEST(['a', 'b']) AS x WITH OFFSET", [("a", 0), ("b", 1)]),
        ("SELECT * FROM UNNEST(['a', 'b']) WITH OFFSET AS o", [("a", 0), ("b", 1)]),
        ("SELECT *, o + 1 FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o WHERE o > 0", [("b", 1, 2)]),
        ("SELECT * EXCEPT (o) FROM UNNEST(['a']) AS x WITH OFFSET AS o", [("a",)]),
        ("SELECT * REPLACE (o * 10 AS o) FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o", [("a", 0), ("b", 10)]),
        ("SELECT o FROM (SELECT * FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o) WHERE o = 1", [(1,)]),
        (
            "SELECT * EXCEPT (l) FROM (SELECT 7 AS k, ['p', 'q'] AS l) AS t, UNNEST(t.l) AS x WITH OFFSET AS o ORDER BY o",
            [(7, "p", 0), (7, "q", 1)],
        ),
    ],
)
def test_an_offset_counts_from_0_under_a_star_too(rows, sql, expected):
    assert rows(sql) == expected


def test_a_dataset_lists_its_tables_with_rows_and_bytes(rows, client):
    rows("CREATE OR REPLACE VIEW d.gaps_view AS SELECT f FROM d.gaps")
    found = rows("SELECT table_id, row_count, size_bytes, type FROM `d.__TABLES__` WHERE table_id LIKE 'gaps%'")
    assert found == [("gaps", 100, 100 * 2 * 8, 1), ("gaps_view", 0, 0, 2)]
    assert ("gaps",) in rows(f"SELECT table_id FROM `{client.project}.d.__TABLES__` AS t WHERE t.row_count = 100")
    with pytest.raises(exceptions.NotFound, match="nowhere"):
        rows("SELECT * FROM nowhere.__TABLES__")


def test_what_a_replaced_table_held_can_still_be_asked_for(rows):
    rows("CREATE OR REPLACE TABLE d.replaced AS SELECT 1 AS a")
    moments = []
    for statement in (
        "CREATE OR REPLACE TABLE d.replaced AS SELECT 'two' AS b",
        "INSERT INTO d.replaced VALUES ('three')",
        "CREATE OR REPLACE TABLE d.replaced (c STRING)",
    ):
        moments.append(datetime.now(UTC).isoformat())
        time.sleep(0.05)
        rows(statement)
    then = [rows(f"SELECT * FROM d.replaced FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'") for moment in moments]
    assert then[:2] == [[(1,)], [("two",)]]
    assert sorted(then[2]) == [("three",), ("two",)]
    assert rows("SELECT * FROM d.replaced") == []
    rows(f"CREATE OR REPLACE TABLE d.replaced AS SELECT a FROM d.replaced FOR SYSTEM_TIME AS OF '{moments[0]}'")
    assert rows("SELECT * FROM d.replaced") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT predicted_y, f FROM ML.PREDICT(MODEL d.gaps_model, TABLE d.gaps)", ["predicted_y", "f"]),
        (
            "SELECT * FROM ML.EVALUATE(MODEL d.gaps_model, TABLE d.gaps, STRUCT(0.3 AS threshold))",
            ["precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"],
        ),
        (
            "SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL d.gaps_model, TABLE d.gaps)",
            ["input", "metric", "threshold", "value", "is_anomaly"],
        ),
        ("SELECT *, ML.STANDARD_SCALER(f) OVER () AS z FROM d.gaps", ["f", "y", "z"]),
    ],
)
def test_a_dry_run_tells_the_columns_of_an_ml_query(client, sql, columns):
    job = client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True))
    assert [field.name for field in job.schema] == columns


def test_of_many_who_delete_a_model_one_succeeds_and_the_others_find_none(client, rows):
    rows(f"CREATE OR REPLACE MODEL d.gaps_gone {MODEL}")
    together = threading.Barrier(4)
    outcomes: Counter[str] = Counter()

    def delete() -> None:
        together.wait()
        try:
            client.delete_model("d.gaps_gone", retry=None)
            outcomes["deleted"] += 1
        except exceptions.GoogleAPICallError as error:
            outcomes[str(error.code)] += 1

    threads = [threading.Thread(target=delete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"deleted": 1, "404": 3}


def test_roc_curve_takes_generated_thresholds(rows):
    sql = "SELECT threshold FROM ML.ROC_CURVE(MODEL d.gaps_model, TABLE d.gaps, GENERATE_ARRAY(0.4, 0.5, 0.1))"
    assert rows(sql) == [(0.5,), (0.4,)]


def test_preprocessing_needs_neither_columns_nor_names(rows):
    assert rows("SELECT ML.BUCKETIZE(2.5, [1, 2, 3]), ML.HASH_BUCKETIZE('a', 3), ML.NGRAMS(['a', 'b'], 2)") == [
        ("bin_3", 0, ["a b"])
    ]


def test_a_star_beside_a_preprocessing_function_is_every_column(rows):
    sql = (
        "SELECT t.*, ML.MAX_ABS_SCALER(t.f) OVER () AS s, u.* EXCEPT (b) "
        "FROM d.gaps AS t CROSS JOIN (SELECT 'a' AS a, 'b' AS b) AS u ORDER BY t.f DESC LIMIT 1"
    )
    assert rows(sql) == [(100, 1, 1.0, "a")]


def test_preprocessed_rows_can_be_sorted_by_what_is_not_shown(rows):
    assert rows("SELECT ML.MAX_ABS_SCALER(f) OVER () FROM d.gaps ORDER BY f DESC LIMIT 2") == [(1.0,), (0.99,)]


def test_div_divides_the_whole_of_its_first_argument_by_the_whole_of_its_second(rows):
    assert rows("SELECT DIV(a + 1, 2), DIV(a - 1, b + 1) FROM (SELECT 8 AS a, 2 AS b)") == [(9 // 2, 7 // 3)]


def test_a_field_of_an_element_is_called_as_the_field_is(client):
    job = client.query("SELECT ARRAY_AGG(STRUCT(f, y) ORDER BY f LIMIT 1)[OFFSET(0)].f, COUNT(*) FROM d.gaps")
    assert [field.name for field in job.result().schema] == ["f", "f0_"]


def test_a_model_is_gone_when_its_time_is_over(client, rows):
    options = "model_type = 'linear_reg', input_label_cols = ['y'], expiration_timestamp = TIMESTAMP '{}'"
    rows(f"CREATE OR REPLACE MODEL d.gaps_kept OPTIONS ({options.format('2999-01-01')}) AS SELECT f, y FROM d.gaps")
    assert client.get_model("d.gaps_kept").expires.year == 2999
    rows("ALTER MODEL d.gaps_kept SET OPTIONS (expiration_timestamp = TIMESTAMP '2020-01-01')")
    assert "gaps_kept" not in {model.model_id for model in client.list_models("d")}
    with pytest.raises(exceptions.NotFound, match="gaps_kept"):
        rows("SELECT * FROM ML.WEIGHTS(MODEL d.gaps_kept)")


@pytest.mark.parametrize(("value", "kind"), [("JSON '1'", "JSON"), ("INTERVAL 1 DAY", "INTERVAL")])
def test_a_column_that_is_no_feature_is_refused_by_name_and_type(rows, value, kind):
    with pytest.raises(exceptions.BadRequest, match=f"'odd' has type {kind}"):
        rows(
            "CREATE MODEL d.gaps_odd OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) "
            f"AS SELECT f, {value} AS odd, y FROM d.gaps"
        )

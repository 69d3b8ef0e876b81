"""The README's table of the local BigQuery against the local BigQuery: every item of it is tried, and no other is claimed.

An item without a check fails, and so does a check without its item: what is added or dropped has to be said on the page.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import bigquery

ROOT = Path(__file__).parents[5]
README = (ROOT / "infra/local/README.md").read_text(encoding="utf-8").split("## BigQuery\n")[1].split("\n## ")[0]
HERE = "tests/unit/infra/local/bigquery"
READ_BACK = "FROM d.readme FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()"
TRAINING = (
    "OPTIONS (model_type = 'linear_reg', input_label_cols = ['a']) AS SELECT a, a * 2 AS b FROM UNNEST([1, 2, 3]) AS a"
)

CARRIED_OUT: dict[str, str | list[str]] = {
    "query, load, copy and extract jobs": f"{HERE}/test_bigquery_jobs.py::test_a_job_id_works_once",
    "results for a day": f"{HERE}/test_bigquery_jobs.py::test_everything_survives_a_restart",
    "streaming inserts": f"{HERE}/test_bigquery_loads.py::test_streamed_rows_are_there_at_once_and_repeats_are_dropped",
    "CSV, newline-delimited JSON and Parquet loads": f"{HERE}/test_bigquery_loads.py::test_json_and_frames_go_in_by_name",
    "DDL, DML, MERGE, ASSERT, scripts": [
        "MERGE d.readme t USING (SELECT 2 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT ROW",
        "ASSERT TRUE AS 'fine'",
        "DECLARE x INT64 DEFAULT 1; BEGIN SELECT ERROR('no'); EXCEPTION WHEN ERROR THEN SET x = 2; END; SELECT x",
        "BEGIN TRANSACTION; DELETE FROM d.readme WHERE FALSE; COMMIT TRANSACTION",
    ],
    "time travel": [f"SELECT * {READ_BACK}"],
    "EXPORT DATA": [
        f"EXPORT DATA OPTIONS (uri = 'gs://readme/{kind}-*', format = '{kind}', overwrite = TRUE) AS SELECT 1 AS a"
        for kind in ("CSV", "JSON", "PARQUET", "AVRO")
    ],
    "INFORMATION_SCHEMA": [
        "SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES",
        "SELECT COUNT(*) FROM `region-us`.INFORMATION_SCHEMA.JOBS",
        "SELECT table_id FROM d.__TABLES__",
    ],
    "functions, views, snapshots, clones, row access policies": [
        "CREATE OR REPLACE FUNCTION d.readme_twice(x INT64) AS (x * 2); SELECT d.readme_twice(2)",
        "CREATE OR REPLACE VIEW d.readme_again AS SELECT * FROM d.readme",
        "CREATE SNAPSHOT TABLE d.readme_snapshot CLONE d.readme",
        "CREATE OR REPLACE TABLE d.readme_clone CLONE d.readme",
        "CREATE OR REPLACE ROW ACCESS POLICY p ON d.readme_clone GRANT TO ('allAuthenticatedUsers') FILTER USING (a > 0)",
    ],
    "`bq`, pandas-gbq": f"{HERE}/test_bigquery_peers.py::test_pandas_gbq_reads_and_writes",
}
BIGQUERY_ML: dict[str, str | list[str]] = {
    "CREATE MODEL": [
        f"CREATE OR REPLACE MODEL d.readme_model {TRAINING}",
        f"CREATE MODEL IF NOT EXISTS d.readme_model {TRAINING}",
        "ALTER MODEL d.readme_model SET OPTIONS (description = 'x')",
        "EXPORT MODEL d.readme_model OPTIONS (uri = 'gs://readme/model')",
    ],
    "`ML.*` table functions": ["SELECT COUNT(*) FROM ML.WEIGHTS(MODEL d.readme_model) JOIN d.readme ON TRUE"],
    "preprocessing functions": ["SELECT ML.BUCKETIZE(1, [2]), ML.STANDARD_SCALER(a) OVER () FROM d.readme"],
    "models REST API": f"{HERE}/test_bigquery_ml.py::test_models_are_listed_labelled_and_deleted",
    "the Vertex AI registry": f"{HERE}/test_bigquery_ml.py::test_a_registered_model_is_in_the_registry_under_its_id_and_aliases",
}
REFUSED: dict[str, str | list[str]] = {
    "GEOGRAPHY": ["SELECT ST_GEOGPOINT(1, 2)"],
    "loading Avro and ORC files": f"{HERE}/test_bigquery_readme.py::test_loads_of_other_formats_are_refused",
    "Avro exports with `use_avro_logical_types`": f"{HERE}/test_export_data.py::test_logical_types_in_avro_are_refused_by_name",
    "Snappy in Avro": [
        "EXPORT DATA OPTIONS (uri = 'gs://readme/s-*', format = 'AVRO', compression = 'SNAPPY', overwrite = TRUE) AS SELECT 1 AS a"
    ],
    "remote and imported models, and model types": [
        "CREATE MODEL d.readme_no OPTIONS (model_type = 'tensorflow', model_path = 'gs://x')",
        "CREATE MODEL d.readme_no OPTIONS (model_type = 'dnn_classifier') AS SELECT 1 AS label",
    ],
    "ML.FORECAST and other functions": ["SELECT * FROM ML.FORECAST(MODEL d.readme)"],
    "FOR SYSTEM_TIME AS OF on a view": ["SELECT * FROM d.readme_view FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()"],
    "views and functions over ML functions": [
        "CREATE VIEW d.readme_no AS SELECT * FROM ML.WEIGHTS(MODEL d.readme_model)",
        "CREATE VIEW d.readme_no AS SELECT ML.STANDARD_SCALER(a) OVER () AS s FROM d.readme",
    ],
    "KMS keys": [
        "CREATE MODEL d.readme_no OPTIONS (model_type = 'linear_reg', kms_key_name = 'k') AS SELECT 1 AS f, 1 AS label"
    ],
}
DIFFERS = {
    "Costs are estimates": f"{HERE}/test_bigquery_jobs.py::test_a_dry_run_estimates_and_changes_nothing",
    "A table that is dropped takes its history with it.": f"{HERE}/test_bigquery_readme.py::test_a_dropped_table_has_no_past",
    "After an error inside a transaction only ROLLBACK works.": f"{HERE}/test_bigquery_readme.py::test_an_error_ends_all_but_a_rollback",
    "Two statements that change the same rows": f"{HERE}/test_bigquery_jobs.py::test_concurrent_changes_of_one_table_all_happen",
    "APPROX_ functions are exact.": "SELECT APPROX_COUNT_DISTINCT(x) = 50000 FROM UNNEST(GENERATE_ARRAY(1, 50000)) AS x",
    "EXPORT DATA makes a bucket that is missing.": f"{HERE}/test_export_data.py::test_an_export_makes_a_bucket_that_is_missing",
    "A SUM or AVG of floats inside a training query": f"{HERE}/test_bigquery_determinism.py::"
    "test_the_same_statement_gives_the_same_model_while_others_run",
    "A float that overflows is infinite.": "SELECT IS_INF(1e308 * 10)",
    "REGEXP_EXTRACT gives NULL for an empty match.": "SELECT REGEXP_EXTRACT('', 'x*') IS NULL",
    "TO_JSON_STRING writes a whole float as `1.0`.": "SELECT TO_JSON_STRING(1.0) = '1.0'",
    "A division or mean of NUMERIC columns is one of floats.": "SELECT LENGTH(CAST(v / 3 AS STRING)) > LENGTH('0.333333333') "
    "FROM (SELECT NUMERIC '1' AS v)",
}
"""Sentences, each with a query that is TRUE while the difference is there, or with the test that shows it."""


def row(title: str) -> str:
    (found,) = [line for line in README.splitlines() if line.startswith(f"| **{title}**")]
    return found.split("|")[2].strip()


def unmatched(said: list[str], known: dict[str, object]) -> tuple[list[str], list[str]]:
    """What the page says without a check, and the checks of what it does not say."""
    unsaid = [start for start in known if not any(item.startswith(start) for item in said)]
    return [item for item in said if not any(item.startswith(start) for start in known)], unsaid


@pytest.fixture(scope="module", autouse=True)
def tables(rows):
    rows("CREATE OR REPLACE TABLE d.readme AS SELECT 1 AS a")
    rows("CREATE OR REPLACE VIEW d.readme_view AS SELECT * FROM d.readme")


@pytest.mark.parametrize(
    ("title", "known"), [("Carried out", CARRIED_OUT), ("BigQuery ML", BIGQUERY_ML), ("Refused by name", REFUSED)]
)
def test_every_item_of_the_page_has_a_check_and_every_check_an_item(title, known):
    assert unmatched(row(title).split(" · "), known) == ([], [])


def test_every_difference_of_the_page_has_a_check_and_every_check_a_difference():
    assert unmatched(re.split(r"(?<=[.`]) (?=[A-Z])", row("Differs")), DIFFERS) == ([], [])


def checks(known):
    return [(start, one) for start, check in known.items() for one in ([check] if isinstance(check, str) else check)]


@pytest.mark.parametrize(("said", "check"), checks(CARRIED_OUT) + checks(BIGQUERY_ML))
def test_what_the_page_says_is_carried_out_is(rows, said, check):
    if "::" in check:
        assert_there(check)
    else:
        rows(check)


@pytest.mark.parametrize(("said", "check"), checks(REFUSED))
def test_what_the_page_says_is_refused_is(rows, said, check):
    if "::" in check:
        assert_there(check)
    else:
        with pytest.raises(exceptions.GoogleAPICallError):
            rows(check)


@pytest.mark.parametrize(("said", "check"), DIFFERS.items())
def test_what_the_page_says_differs_does(rows, said, check):
    if "::" in check:
        assert_there(check)
    else:
        assert rows(check) == [(True,)]


def assert_there(test: str) -> None:
    """A test of that name is in that file; it runs by itself."""
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["AVRO", "ORC"])
def test_loads_of_other_formats_are_refused(client, kind):
    config = bigquery.LoadJobConfig(source_format=kind)
    with pytest.raises(exceptions.GoogleAPICallError, match=f"(?i){kind}"):
        client.load_table_from_file(io.BytesIO(b"x"), "d.readme_loaded", job_config=config).result()


def test_a_dropped_table_has_no_past(rows):
    rows("CREATE OR REPLACE TABLE d.readme_gone AS SELECT 1 AS a")
    before = datetime.now(UTC).isoformat()
    rows("DROP TABLE d.readme_gone")
    rows("CREATE TABLE d.readme_gone AS SELECT 2 AS a")
    with pytest.raises(exceptions.BadRequest, match="readme_gone"):
        rows(f"SELECT * FROM d.readme_gone FOR SYSTEM_TIME AS OF TIMESTAMP '{before}'")


def test_an_error_ends_all_but_a_rollback(rows):
    script = (
        "BEGIN TRANSACTION; BEGIN SELECT CAST('x' AS INT64); EXCEPTION WHEN ERROR THEN {}; END; ROLLBACK TRANSACTION"
    )
    rows(script.format("ROLLBACK TRANSACTION; BEGIN TRANSACTION"))
    with pytest.raises(exceptions.GoogleAPICallError):
        rows(script.format("INSERT INTO d.readme VALUES (5)"))

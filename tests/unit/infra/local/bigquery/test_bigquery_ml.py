from __future__ import annotations

import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from infra.local.bigquery import load_predictor

TRAINING = "SELECT x AS f, MOD(x, 7) AS g, IF(x > 500, 1, 0) AS y FROM UNNEST(GENERATE_ARRAY(1, 1000)) x"
OPTIONS = "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y'])"


@pytest.fixture(scope="module", autouse=True)
def model(client, rows):
    rows(f"CREATE OR REPLACE TABLE d.training AS {TRAINING}")
    rows(f"CREATE MODEL d.m {OPTIONS} AS SELECT * FROM d.training")


def test_create_model_obeys_if_not_exists_and_or_replace(client, rows):
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        rows(f"CREATE MODEL d.m {OPTIONS} AS SELECT * FROM d.training")
    before = client.get_model("d.m").etag
    rows(f"CREATE MODEL IF NOT EXISTS d.m {OPTIONS} AS SELECT * FROM d.training")
    assert client.get_model("d.m").etag == before
    rows(f"CREATE OR REPLACE MODEL d.m {OPTIONS} AS SELECT * FROM d.training")
    assert client.get_model("d.m").etag != before


def test_a_failed_create_leaves_nothing_and_a_failed_replace_leaves_the_old(client, rows):
    with pytest.raises(exceptions.BadRequest, match=r"(?i)label"):
        rows("CREATE MODEL d.bad OPTIONS (model_type = 'logistic_reg', input_label_cols = ['nope']) AS SELECT 1 AS a")
    with pytest.raises(exceptions.NotFound):
        client.get_model("d.bad")
    before = client.get_model("d.m").etag
    with pytest.raises(exceptions.BadRequest, match=r"(?i)speed"):
        rows("CREATE OR REPLACE MODEL d.m OPTIONS (model_type = 'logistic_reg', speed = 1) AS SELECT * FROM d.training")
    assert client.get_model("d.m").etag == before


def test_table_functions_stand_in_joins_ctes_and_subqueries_with_parameters(rows):
    parameters = [bigquery.ScalarQueryParameter("least", "INT64", 900)]
    sql = """
    WITH recent AS (SELECT * FROM d.training WHERE f > @least),
      scored AS (SELECT f, predicted_y FROM ML.PREDICT(MODEL d.m, (SELECT * FROM recent)))
    SELECT COUNT(*), SUM(s.predicted_y), ANY_VALUE(e.accuracy), (SELECT COUNT(*) FROM ML.WEIGHTS(MODEL `d.m`))
    FROM scored AS s
    JOIN recent AS r USING (f)
    CROSS JOIN ML.EVALUATE(MODEL d.m, TABLE recent, STRUCT(0.5 AS threshold)) AS e
    """
    assert rows(sql, query_parameters=parameters) == [(100, 100, 1.0, 3)]


def test_a_cte_that_is_read_twice_gives_its_rows_twice(rows):
    sql = """
    WITH p AS (SELECT * FROM ML.PREDICT(MODEL d.m, TABLE d.training))
    SELECT (SELECT COUNT(*) FROM p), COUNT(*) FROM p AS a JOIN p AS b USING (f)
    """
    assert rows(sql) == [(1000, 1000)]


def test_predictions_can_be_written_into_a_table(rows):
    rows("CREATE OR REPLACE TABLE d.scored AS SELECT f, predicted_y FROM ML.PREDICT(MODEL d.m, TABLE d.training)")
    ((count, positives),) = rows("SELECT COUNT(*), SUM(predicted_y) FROM d.scored")
    assert count == 1000
    assert abs(positives - 500) < 20


def test_transform_is_frozen_with_the_model_and_replayed(rows):
    rows(
        "CREATE OR REPLACE MODEL d.t TRANSFORM (ML.STANDARD_SCALER(f) OVER () AS z, ML.BUCKETIZE(g, [3]) AS b, y) "
        "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) AS SELECT * FROM d.training"
    )
    # Mean 500.5 and population deviation sqrt((1000^2 - 1) / 12) = 288.675 of 1..1000, whatever is asked about.
    (row,) = rows("SELECT z, b FROM ML.TRANSFORM(MODEL d.t, (SELECT 1000 AS f, 5 AS g))")
    assert row == (pytest.approx((1000 - 500.5) / 288.6749902), "bin_2")
    assert rows(
        "SELECT predicted_y, f, extra FROM ML.PREDICT(MODEL d.t, (SELECT 999 AS f, 5 AS g, 'kept' AS extra))"
    ) == [(1, 999, "kept")]
    assert rows("SELECT accuracy > 0.95 FROM ML.EVALUATE(MODEL d.t, TABLE d.training)") == [(True,)]


def test_preprocessing_functions_work_in_plain_queries(rows):
    sql = (
        "SELECT x, ML.MIN_MAX_SCALER(x) OVER () AS s, ML.BUCKETIZE(x, [2]) AS b FROM UNNEST([1, 2, 3]) AS x ORDER BY x"
    )
    assert rows(sql) == [(1, 0.0, "bin_1"), (2, 0.5, "bin_2"), (3, 1.0, "bin_2")]


def test_models_are_listed_labelled_and_deleted(client, rows):
    rows(f"CREATE OR REPLACE MODEL d.gone {OPTIONS} AS SELECT * FROM d.training")
    rows("ALTER MODEL d.gone SET OPTIONS (labels = [('run', '1')], description = 'old')")
    model = client.get_model("d.gone")
    assert (model.labels, model.description, model.model_type) == ({"run": "1"}, "old", "LOGISTIC_REGRESSION")
    assert [column.name for column in model.label_columns] == ["y"]
    assert "gone" in {found.model_id for found in client.list_models("d")}
    client.delete_model("d.gone")
    with pytest.raises(exceptions.NotFound):
        rows("SELECT * FROM ML.WEIGHTS(MODEL d.gone)")
    with pytest.raises(exceptions.NotFound):
        rows("DROP MODEL d.gone")
    rows("DROP MODEL IF EXISTS d.gone")


def test_export_model_writes_its_files(rows, state):
    rows(
        "CREATE OR REPLACE MODEL d.trees OPTIONS (model_type = 'boosted_tree_classifier', input_label_cols = ['y']) "
        "AS SELECT * FROM d.training"
    )
    rows("EXPORT MODEL d.trees OPTIONS (uri = 'gs://bucket/exported')")
    assert any((state / "gs/bucket/exported").iterdir())


def test_an_extract_job_writes_a_model_in_its_own_format(client, rows, state):
    source = bigquery.ModelReference.from_string(f"{client.project}.d.m")
    config = bigquery.ExtractJobConfig(destination_format="ML_TF_SAVED_MODEL")
    client.extract_table(source, "gs://bucket/extracted", source_type="Model", job_config=config).result()
    assert (state / "gs/bucket/extracted/saved_model.pb").is_file()
    config = bigquery.ExtractJobConfig(destination_format="ML_XGBOOST_BOOSTER")
    with pytest.raises(exceptions.BadRequest, match="ML_TF_SAVED_MODEL"):
        client.extract_table(source, "gs://bucket/no", source_type="Model", job_config=config).result()


def test_two_queries_are_transformed_alike(rows):
    rows(
        "CREATE OR REPLACE MODEL d.twice TRANSFORM (ML.STANDARD_SCALER(f) OVER () AS z, y) "
        "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) AS ("
        "training_data AS (SELECT f, y FROM d.training WHERE MOD(f, 5) > 0), "
        "evaluation_data AS (SELECT f, y FROM d.training WHERE MOD(f, 5) = 0 AND f BETWEEN 401 AND 600))"
    )
    # The scale of the evaluation rows alone would put the border of 500 elsewhere.
    ((recall,),) = rows("SELECT recall FROM ML.EVALUATE(MODEL d.twice)")
    assert recall > 0.8
    (row,) = rows("SELECT z FROM ML.TRANSFORM(MODEL d.twice, (SELECT 500 AS f))")
    assert row == (pytest.approx(0.0, abs=0.01),)


@pytest.mark.parametrize(
    ("sql", "reason", "says"),
    [
        ("SELECT * FROM ML.PREDICT(MODEL d.nope, TABLE d.training)", "notFound", "nope"),
        ("SELECT * FROM ML.FORECAST(MODEL d.m)", "notImplemented", "ML.FORECAST"),
        ("SELECT * FROM ML.NO_SUCH(MODEL d.m)", "invalidQuery", "NO_SUCH"),
        ("SELECT * FROM ML.EVALUATE(MODEL d.m, STRUCT(0.5 AS threshold))", "invalidQuery", "threshold"),
        ("CREATE MODEL d.x OPTIONS (model_type = 'dnn_classifier') AS SELECT 1 AS label", "invalidQuery", "DNN"),
        ("CREATE MODEL nope.x OPTIONS (model_type = 'linear_reg') AS SELECT 1 AS label", "notFound", "nope"),
        ("SELECT ML.NO_SUCH(1)", "invalidQuery", "NO_SUCH"),
        ("ALTER MODEL d.m SET OPTIONS (max_iterations = 3)", "invalidQuery", "MAX_ITERATIONS"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, sql, reason, says):
    job = client.query(sql, job_retry=None)
    with pytest.raises(exceptions.GoogleAPICallError):
        job.result(retry=None)
    assert client.get_job(job.job_id).error_result["reason"] == reason
    assert says.lower() in client.get_job(job.job_id).error_result["message"].lower()


REGISTERED = "model_type = 'logistic_reg', input_label_cols = ['y'], model_registry = 'vertex_ai'"


def test_a_registered_model_is_in_the_registry_under_its_id_and_aliases(client, rows, registry):
    options = f"OPTIONS ({REGISTERED}, vertex_ai_model_id = 'deals', vertex_ai_model_version_aliases = ['run-1'])"
    rows(f"CREATE MODEL d.registered {options} AS SELECT * FROM d.training")
    version = registry.versions[f"{client.project}.d.registered"]
    assert (version["vertex_ai_model_id"], version["aliases"]) == ("deals", ["run-1"])
    assert version["model_dir"].is_dir()
    registry.deployed.add(f"{client.project}.d.registered")
    with pytest.raises(exceptions.BadRequest, match="deployed"):
        rows("DROP MODEL d.registered")
    assert client.get_model("d.registered")
    registry.deployed.clear()
    rows("DROP MODEL d.registered")
    assert f"{client.project}.d.registered" not in registry.versions


def test_a_registry_that_refuses_leaves_no_model(client, rows, registry):
    registry.refuse = "the alias is malformed"
    with pytest.raises(exceptions.BadRequest, match="malformed"):
        rows(f"CREATE MODEL d.refused OPTIONS ({REGISTERED}) AS SELECT * FROM d.training")
    registry.refuse = ""
    with pytest.raises(exceptions.NotFound):
        client.get_model("d.refused")


def test_a_registered_model_with_transform_predicts_from_the_raw_columns(client, rows, registry):
    rows(
        "CREATE MODEL d.online TRANSFORM (ML.STANDARD_SCALER(f) OVER () AS z, UPPER(word) AS word, y) "
        f"OPTIONS ({REGISTERED}) AS SELECT *, IF(y = 1, 'yes', 'no') AS word FROM d.training"
    )
    predictor = load_predictor(registry.versions[f"{client.project}.d.online"]["model_dir"])
    (low, high) = predictor.predict_instances([{"f": 10, "word": "no"}, {"f": 990, "word": "yes"}])
    assert (low["predicted_y"], high["predicted_y"]) == (["0"], ["1"])

"""EXPORT MODEL of models with TRANSFORM: the raw columns through `transform/` and the model give what ML.PREDICT gives."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

from tests.unit.infra.local.bqml.graph_interpreter import SavedModel

CLAUSE = """
  ML.STANDARD_SCALER(f) OVER () AS scaled,
  ML.MIN_MAX_SCALER(ML.IMPUTER(g, 'mean') OVER ()) OVER () AS filled,
  ML.ROBUST_SCALER(f) OVER () AS robust,
  ML.MIN_MAX_SCALER(k) OVER () AS constant,
  ML.BUCKETIZE(g, [2, 4]) AS bucket,
  ML.QUANTILE_BUCKETIZE(f, 3, 'bucket_ranges') OVER () AS quantile,
  ML.LABEL_ENCODER(w) OVER () AS code,
  ML.POLYNOMIAL_EXPAND(STRUCT(f, g)) AS poly,
  ML.FEATURE_CROSS(STRUCT(w, CAST(b AS STRING) AS b)) AS crossed,
  LN(f + 1) * 2 - f / 100 AS sum,
  * EXCEPT (f, g, w, k)
"""
ROWS = """
  SELECT x AS f, IF(MOD(x, 11) = 0, NULL, MOD(x, 7) * 1.5) AS g, IF(MOD(x, 9) = 0, NULL, ['p', 'q', 'r'][OFFSET(MOD(x, 3))]) AS w,
    5.0 AS k, MOD(x, 2) = 0 AS b, IF(MOD(x * 17, 101) > 50, 1, 0) AS y
  FROM UNNEST(GENERATE_ARRAY(1, 400)) AS x
"""


@pytest.fixture(scope="module")
def exported(rows, state):
    rows(f"CREATE OR REPLACE TABLE d.to_export AS {ROWS}")
    rows(
        f"CREATE OR REPLACE MODEL d.exported TRANSFORM ({CLAUSE}) "
        "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) AS SELECT * FROM d.to_export"
    )
    rows("EXPORT MODEL d.exported OPTIONS (uri = 'gs://bucket/transformed')")
    return state / "gs/bucket/transformed"


def both(exported, given, compute):
    """Raw rows through both graphs, the outputs of the first under their names into the second."""
    changed = compute(SavedModel(exported / "transform"), given)
    names = list(changed)
    second = [dict(zip(names, values, strict=True)) for values in zip(*changed.values(), strict=True)]
    assert set(names) == set(SavedModel(exported).inputs)
    return compute(SavedModel(exported), second)


@pytest.fixture(scope="module")
def given(client):
    query = "SELECT f, g, w, b, k FROM d.to_export ORDER BY f LIMIT 60"
    return lambda: [dict(row.items()) for row in client.query(query).result()]


@pytest.fixture(scope="module")
def predicted(rows):
    sql = "SELECT predicted_y_probs[OFFSET(0)].prob FROM ML.PREDICT(MODEL d.exported, TABLE d.to_export) ORDER BY f LIMIT 60"
    return lambda: [probability for (probability,) in rows(sql)]


def test_both_graphs_give_what_predict_gives(exported, given, predicted):
    found = both(exported, given(), lambda graph, data: graph.by_numpy(data))
    assert [row[0] for row in found["y_probs"]] == pytest.approx(predicted(), rel=1e-9)


def test_tensorflow_gives_the_same(exported, given, predicted):
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is no dependency; install tensorflow-cpu")
    found = both(exported, given(), lambda graph, data: graph.by_tensorflow(tensorflow, data))
    assert [row[0] for row in found["y_probs"]] == pytest.approx(predicted(), rel=1e-9)


def test_what_is_not_exported_is_refused_by_name_and_leaves_nothing(rows, state):
    rows(
        "CREATE OR REPLACE MODEL d.no_export TRANSFORM (UPPER(w) AS word, y) "
        "OPTIONS (model_type = 'logistic_reg', input_label_cols = ['y']) AS SELECT w, y FROM d.to_export"
    )
    with pytest.raises(exceptions.GoogleAPICallError, match="UPPER"):
        rows("EXPORT MODEL d.no_export OPTIONS (uri = 'gs://bucket/none')")
    assert not (state / "gs/bucket/none").exists()

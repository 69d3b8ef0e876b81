import importlib.util
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from graph_interpreter import SavedModel

from infra.local.bqml import BqmlError, call


def exported_predictor(folder):
    spec = importlib.util.spec_from_file_location("exported_predictor_of_a_test", folder / "predictor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Predictor.from_path(folder)


@pytest.mark.parametrize("method", ["LABEL_ENCODING", "ONE_HOT_ENCODING", "DUMMY_ENCODING", "TARGET_ENCODING"])
def test_the_exported_predictor_agrees_with_the_model(fitted, table, tmp_path, method):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=3, category_encoding_method=method)
    model.export(tmp_path / "out")
    rows = table.drop_columns(["label"]).slice(0, 60)
    found = exported_predictor(tmp_path / "out").predict(rows.to_pylist())
    batch = call("PREDICT", model, rows, {}).to_pylist()
    for one, other in zip(found, batch, strict=True):
        assert one["predicted_label"] == str(other["predicted_label"])
        assert one["label_probs"] == pytest.approx([pair["prob"] for pair in other["predicted_label_probs"]])


def test_a_regressor_exports_too(fitted, table, tmp_path):
    model = fitted(table, model_type="RANDOM_FOREST_REGRESSOR", input_label_cols=["overlap"], num_parallel_tree=4)
    model.export(tmp_path / "out")
    rows = table.drop_columns(["overlap"]).slice(0, 5)
    found = [row["predicted_overlap"] for row in exported_predictor(tmp_path / "out").predict(rows.to_pylist())]
    assert found == pytest.approx(call("PREDICT", model, rows, {})["predicted_overlap"].to_pylist())


def with_more_kinds(table):
    """Also a BOOL and a DATE, and a label of three classes."""
    rows = table.num_rows
    score = table["overlap"].to_numpy() * 3
    return (
        table.append_column("flag", pa.array([row % 3 == 0 for row in range(rows)]))
        .append_column("day", pa.array(np.arange(rows) % 5).cast(pa.int32()).cast(pa.date32()))
        .append_column("size", pa.array([["small", "middle", "large"][int(s)] for s in score]))
    )


SAVED = {
    "binary": ("size", {"model_type": "LOGISTIC_REG"}),
    "three classes": ("label", {"model_type": "LOGISTIC_REG", "input_label_cols": ["size"]}),
    "dummy encoding": ("size", {"model_type": "LOGISTIC_REG", "category_encoding_method": "DUMMY_ENCODING"}),
    "linear": ("size", {"model_type": "LINEAR_REG", "input_label_cols": ["overlap"]}),
    "no intercept": ("size", {"model_type": "LINEAR_REG", "input_label_cols": ["overlap"], "fit_intercept": False}),
    "k-means": ("label", {"model_type": "KMEANS", "num_clusters": 4}),
    "plain k-means": ("label", {"model_type": "KMEANS", "num_clusters": 3, "standardize_features": False}),
    "cosine k-means": ("label", {"model_type": "KMEANS", "num_clusters": 3, "distance_type": "COSINE"}),
    "pca": ("label", {"model_type": "PCA", "num_principal_components": 3}),
}


def saved(fitted, table, folder, case):
    left_out, options = SAVED[case]
    model = fitted(with_more_kinds(table).drop_columns([left_out]), **options)
    model.export(folder)
    names = [field.name for field in model.features]
    rows = with_more_kinds(table).select(names).slice(0, 80).to_pylist()
    online = model.predict_instances([row | {"day": str(row["day"])} for row in rows])
    return SavedModel(folder), rows, {name: [row[name] for row in online] for name in online[0]}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        if isinstance(np.ravel(values)[0], str):
            assert found[name] == values
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", SAVED)
def test_a_saved_model_computes_what_online_prediction_answers(fitted, table, tmp_path, case):
    exported, rows, expected = saved(fitted, table, tmp_path / "out", case)
    assert_same(exported.by_numpy(rows), expected)


@pytest.mark.parametrize("case", SAVED)
def test_tensorflow_computes_the_same(fitted, table, tmp_path, case):
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is no dependency; install tensorflow-cpu")
    exported, rows, expected = saved(fitted, table, tmp_path / "out", case)
    assert_same(exported.by_tensorflow(tensorflow, rows), expected)


def test_the_same_model_gives_the_same_bytes(logistic, tmp_path):
    for name in ("one", "other"):
        logistic.export(tmp_path / name)
    one, other = ((tmp_path / name / "saved_model.pb").read_bytes() for name in ("one", "other"))
    assert one == other


@pytest.mark.parametrize(
    ("column", "kind"),
    [(pa.array([[1.0]] * 600), "ARRAY"), (pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 600), "TIMESTAMP")],
)
def test_array_and_timestamp_features_cannot_be_exported(fitted, table, tmp_path, column, kind):
    model = fitted(table.append_column("extra", column), model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=1)
    with pytest.raises(BqmlError, match=f"'extra'.*{kind}"):
        model.export(tmp_path / "out")

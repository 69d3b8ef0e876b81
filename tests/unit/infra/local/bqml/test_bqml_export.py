import importlib.util
from datetime import UTC, datetime

import pyarrow as pa
import pytest

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


def test_a_linear_model_is_refused_by_name(logistic, tmp_path):
    with pytest.raises(BqmlError, match=r"LOGISTIC_REG.*SavedModel"):
        logistic.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "kind"),
    [(pa.array([[1.0]] * 600), "ARRAY"), (pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 600), "TIMESTAMP")],
)
def test_array_and_timestamp_features_cannot_be_exported(fitted, table, tmp_path, column, kind):
    model = fitted(table.append_column("extra", column), model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=1)
    with pytest.raises(BqmlError, match=f"'extra'.*{kind}"):
        model.export(tmp_path / "out")

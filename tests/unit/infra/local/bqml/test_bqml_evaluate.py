import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, call

CLASSIFIER = ["precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"]
REGRESSOR = [
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
]


def test_the_columns_are_those_of_the_service(logistic, regressor):
    assert call("EVALUATE", logistic, None, {}).schema.names == CLASSIFIER
    assert call("EVALUATE", regressor, None, {}).schema.names == REGRESSOR


def test_without_data_the_held_out_rows_count(logistic, table):
    without = call("EVALUATE", logistic, None, {}).to_pylist()
    assert without != call("EVALUATE", logistic, table, {}).to_pylist()


def test_without_a_split_the_training_rows_count(fitted, table):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=3, data_split_method="NO_SPLIT")
    stored, computed = (call("EVALUATE", model, data, {}).to_pylist()[0] for data in (None, table))
    assert stored == pytest.approx(computed)


def test_metrics_agree_with_the_predictions(logistic, table):
    predicted = call("PREDICT", logistic, table, {})["predicted_label"].to_numpy()
    accuracy = float(np.mean(predicted == table["label"].to_numpy()))
    assert call("EVALUATE", logistic, table, {})["accuracy"][0].as_py() == pytest.approx(accuracy)


def test_a_threshold_needs_data(logistic, table):
    for function in ("EVALUATE", "CONFUSION_MATRIX"):
        with pytest.raises(BqmlError, match=r"threshold.*data") as caught:
            call(function, logistic, None, {"threshold": 0.3})
        assert caught.value.reason == "invalidQuery"
    assert call("EVALUATE", logistic, table, {"threshold": 0.01})["recall"][0].as_py() == 1.0


def test_a_threshold_needs_a_binary_model(regressor, table):
    with pytest.raises(BqmlError, match="binary"):
        call("EVALUATE", regressor, table.filter(table["price"].is_valid()), {"threshold": 0.3})


def test_evaluation_data_need_the_label(logistic, table):
    with pytest.raises(BqmlError, match="'label'"):
        call("EVALUATE", logistic, table.drop_columns(["label"]), {})


@pytest.mark.parametrize("labels", [pa.array([None, 1]), pa.array([1, 9])])
def test_a_null_or_new_label_fails(logistic, table, labels):
    data = table.slice(0, 2).set_column(3, "label", labels)
    with pytest.raises(BqmlError, match="'label'"):
        call("EVALUATE", logistic, data, {})


def test_the_confusion_matrix_has_a_row_and_a_column_a_class(logistic, table):
    found = call("CONFUSION_MATRIX", logistic, table, {})
    assert found.schema.names == ["expected_label", "_0", "_1"]
    assert found["expected_label"].to_pylist() == [0, 1]
    predicted = call("PREDICT", logistic, table, {})
    both = np.column_stack([predicted["predicted_label"].to_numpy(), table["label"].to_numpy()])
    hits = int((both == 1).all(axis=1).sum())
    assert found["_1"][1].as_py() == hits


def test_class_names_become_column_names(fitted):
    data = pa.table({"x": [0.0, 1.0] * 20, "label": ["not <= 5", "yes"] * 20})
    found = call("CONFUSION_MATRIX", fitted(data, model_type="LOGISTIC_REG"), None, {})
    assert found.schema.names == ["expected_label", "not____5", "yes"]


def test_the_curve_at_given_thresholds_matches_the_matrix(logistic, table):
    curve = call("ROC_CURVE", logistic, table, {"thresholds": [0.3, 0.7]}).to_pylist()
    assert [point["threshold"] for point in curve] == [0.7, 0.3]
    for point in curve:
        matrix = call("CONFUSION_MATRIX", logistic, table, {"threshold": point["threshold"]}).to_pylist()
        assert (matrix[1]["_1"], matrix[1]["_0"]) == (point["true_positives"], point["false_negatives"])
        assert (matrix[0]["_1"], matrix[0]["_0"]) == (point["false_positives"], point["true_negatives"])


def test_the_default_curve_rises_as_the_threshold_falls(logistic):
    curve = call("ROC_CURVE", logistic, None, {})
    recall = curve["recall"].to_pylist()
    assert recall == sorted(recall)
    assert recall[-1] == 1.0
    assert curve.schema.names == [
        "threshold",
        "recall",
        "false_positive_rate",
        "true_positives",
        "false_positives",
        "true_negatives",
        "false_negatives",
    ]


def test_the_curve_is_for_binary_classifiers(regressor):
    with pytest.raises(BqmlError, match="binary"):
        call("ROC_CURVE", regressor, None, {})

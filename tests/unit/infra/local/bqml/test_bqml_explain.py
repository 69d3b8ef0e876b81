import numpy as np
import pytest

from infra.local.bqml import BqmlError, call


@pytest.mark.parametrize("name", ["logistic", "boosted", "regressor"])
def test_baseline_and_attributions_add_up_to_the_prediction(request, table, name):
    model = request.getfixturevalue(name)
    for row in call("EXPLAIN_PREDICT", model, table.slice(0, 50), {}).to_pylist():
        total = row["baseline_prediction_value"] + sum(a["attribution"] for a in row["top_feature_attributions"])
        assert total == pytest.approx(row["prediction_value"], abs=1e-4)
        assert row["approximation_error"] == 0.0


def test_a_classifier_explains_the_log_odds_of_the_class_it_predicts(logistic, table):
    for row in call("EXPLAIN_PREDICT", logistic, table.slice(0, 50), {}).to_pylist():
        log_odds = np.log(row["probability"] / (1 - row["probability"]))
        assert row["prediction_value"] == pytest.approx(log_odds)
        assert row["probability"] >= 0.5


def test_the_columns_come_before_the_input(logistic, regressor, table):
    found = call("EXPLAIN_PREDICT", logistic, table, {})
    own = ["top_feature_attributions", "baseline_prediction_value", "prediction_value", "approximation_error"]
    assert found.schema.names == ["predicted_label", "probability", *own, *table.schema.names]
    assert "probability" not in call("EXPLAIN_PREDICT", regressor, table, {}).schema.names


def test_the_top_features_come_by_magnitude(logistic, table):
    row = call("EXPLAIN_PREDICT", logistic, table.slice(0, 1), {"top_k_features": 2}).to_pylist()[0]
    sizes = [abs(a["attribution"]) for a in row["top_feature_attributions"]]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)


def test_linear_attributions_are_weight_times_value(regressor, table):
    weights = {r["processed_input"]: r for r in call("WEIGHTS", regressor, None, {}).to_pylist()}
    row = call("EXPLAIN_PREDICT", regressor, table.slice(1, 1), {}).to_pylist()[0]
    shares = {a["feature"]: a["attribution"] for a in row["top_feature_attributions"]}
    assert shares["overlap"] == pytest.approx(weights["overlap"]["weight"] * row["overlap"])
    assert row["baseline_prediction_value"] == pytest.approx(weights["__INTERCEPT__"]["weight"])


def test_a_stream_is_explained_as_a_stream(boosted, table):
    streamed = call("EXPLAIN_PREDICT", boosted, table.to_reader(), {}).read_all()
    assert streamed.num_rows == table.num_rows


def test_approximate_contributions_are_for_trees(logistic, boosted, table):
    with pytest.raises(BqmlError, match="approx_feature_contrib"):
        call("EXPLAIN_PREDICT", logistic, table, {"approx_feature_contrib": True})
    assert call("EXPLAIN_PREDICT", boosted, table, {"approx_feature_contrib": True}).num_rows == table.num_rows


def test_a_global_explanation_must_have_been_asked_for(logistic):
    with pytest.raises(BqmlError, match="ENABLE_GLOBAL_EXPLAIN"):
        call("GLOBAL_EXPLAIN", logistic, None, {})


@pytest.mark.parametrize("model_type", ["LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER"])
def test_a_global_explanation_is_the_mean_magnitude(fitted, table, model_type):
    options = {"model_type": model_type, "enable_global_explain": True, "data_split_method": "NO_SPLIT"}
    model = fitted(table, max_iterations=4, **options)
    found = {r["feature"]: r["attribution"] for r in call("GLOBAL_EXPLAIN", model, None, {}).to_pylist()}
    rows = call("EXPLAIN_PREDICT", model, table, {}).to_pylist()
    mean = np.mean(
        [[abs(a["attribution"]) for a in r["top_feature_attributions"] if a["feature"] == "overlap"] for r in rows]
    )
    assert found["overlap"] == pytest.approx(mean, rel=1e-4)
    by_class = call("GLOBAL_EXPLAIN", model, None, {"class_level_explain": True})
    assert set(by_class["class_label"].to_pylist()) == {"0", "1"}

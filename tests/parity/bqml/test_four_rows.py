"""Gradient descent on four rows, recorded from the real service to all digits of a float.

So few rows are not solved in closed form, and twenty line-search steps leave their mark in every digit: standardisation,
step sizes and stopping are all in it.
"""

from __future__ import annotations

import pyarrow as pa
import pytest

from infra.local.bqml import ModelSpec, call, train

ROWS = pa.table(
    {
        "feature0": [20, 21, 19, 18],
        "feature1": [0, 1, 1, 0],
        "feature2": [0.2, 0.3, 0.4, 0.5],
        "outcome": [0, 0, 1, 1],
    }
)


def trained(model_type):
    spec = {"model_type": model_type, "input_label_cols": ["outcome"], "data_split_method": "NO_SPLIT"}
    return train(ModelSpec.of(spec), ROWS)


def test_logistic_regression_gives_the_recorded_probabilities():
    found = call("PREDICT", trained("LOGISTIC_REG"), ROWS, {})["predicted_outcome_probs"].to_pylist()
    recorded = [3.1895929877221615e-07, 5.662891265051953e-06, 0.9999917826885262, 0.9999999993659574]
    assert [row[0]["prob"] for row in found] == pytest.approx(recorded, rel=1e-12)


def test_linear_regression_gives_the_recorded_metrics():
    model = trained("LINEAR_REG")
    assert model.resource()["trainingRuns"][0]["trainingOptions"]["optimizationStrategy"] == "BATCH_GRADIENT_DESCENT"
    (found,) = call("EVALUATE", model, None, {}).to_pylist()
    recorded = {
        "mean_absolute_error": 0.022812,
        "mean_squared_error": 0.000602,
        "mean_squared_log_error": 0.00035,
        "median_absolute_error": 0.015077,
        "r2_score": 0.997591,
        "explained_variance": 0.997591,
    }
    assert found == pytest.approx(recorded, abs=5.1e-7)

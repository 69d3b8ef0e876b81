import numpy as np
import pytest

from infra.local.bqml.metrics import (
    ScoreTable,
    area_under_roc,
    classification_metrics,
    confusion,
    regression_metrics,
)


def test_regression_metrics_by_hand():
    actual, predicted = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.5, 2.0, 3.0, 9.0])
    found = regression_metrics(actual, predicted)
    errors = [0.5, 0.0, 1.0, 1.0]
    assert found["mean_absolute_error"] == pytest.approx(sum(errors) / 4)
    assert found["mean_squared_error"] == pytest.approx((0.25 + 0 + 1 + 1) / 4)
    assert found["median_absolute_error"] == 0.5  # the lower of 0.5 and 1.0
    assert found["r2_score"] == pytest.approx(1 - 2.25 / ((actual - 3.75) ** 2).sum())
    logs = np.log([2, 3, 5, 9]) - np.log([2.5, 3, 4, 10])
    assert found["mean_squared_log_error"] == pytest.approx((logs**2).mean())


def test_explained_variance_forgives_a_constant_error():
    actual = np.array([1.0, 2.0, 3.0])
    found = regression_metrics(actual, actual + 5.0)
    assert found["explained_variance"] == pytest.approx(1.0)
    assert found["r2_score"] < 0


def test_precision_is_nan_when_nothing_is_called_positive():
    found = classification_metrics(np.array([0, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]))
    assert np.isnan(found["precision"])
    assert (found["recall"], found["accuracy"]) == (0.0, 0.5)


def test_binary_metrics_are_of_the_higher_label():
    # codes: 0 = the higher label. Called positive: rows 0, 1, 3; right of them: rows 0, 1; missed: row 2.
    chances = np.array([0.9, 0.6, 0.2, 0.7, 0.1])
    found = classification_metrics(np.array([0, 0, 0, 1, 1]), np.column_stack([chances, 1 - chances]))
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1_score"] == pytest.approx(2 / 3)
    assert found["roc_auc"] == pytest.approx(4 / 6)  # of the 6 pairs, 0.6 < 0.7 and 0.2 < 0.7 are out of order
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.6, 0.2, 0.3, 0.9])))


def test_a_threshold_moves_the_decision():
    chances = np.array([[0.3, 0.7], [0.1, 0.9]])
    assert classification_metrics(np.array([0, 1]), chances, 0.3)["recall"] == 1.0


def test_more_classes_are_averaged_with_equal_weight():
    chances = np.eye(3)[[0, 1, 1, 1]]
    found = classification_metrics(np.array([0, 1, 1, 2]), chances)
    assert found["recall"] == pytest.approx((1 + 1 + 0) / 3)
    assert found["precision"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_the_log_loss_of_more_classes_is_the_mean_of_each_class_s_mean():
    chances = np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1], [0.2, 0.2, 0.6]])
    found = classification_metrics(np.array([0, 0, 2]), chances)
    of_class_0, of_class_2 = -(np.log(0.5) + np.log(0.8)) / 2, -np.log(0.6)
    assert found["log_loss"] == pytest.approx((of_class_0 + of_class_2) / 2)


def test_tied_scores_count_half():
    assert area_under_roc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5


def test_no_area_without_both_classes():
    assert area_under_roc(np.array([True, True]), np.array([0.1, 0.2])) is None


def test_confusion_has_actual_rows_and_predicted_columns():
    assert confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist() == [[1, 1], [0, 1]]


def test_a_curve_counts_rows_that_score_at_least_the_threshold():
    table = ScoreTable.of(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    curve = table.curve(np.array([0.9, 0.5, 0.0]))
    assert curve["true_positives"].tolist() == [1, 2, 2]
    assert curve["false_positives"].tolist() == [0, 1, 1]
    assert curve["true_negatives"].tolist() == [1, 0, 0]
    assert curve["recall"].tolist() == [0.5, 1.0, 1.0]


def test_a_compact_table_is_exact_on_its_grid():
    scores = np.random.default_rng(0).uniform(size=60_000)
    positive = scores > 0.3
    whole = ScoreTable.of(positive, scores)
    small = whole.compact()
    thresholds = np.arange(0, 20_001, 500) / 20_000
    assert len(small.scores) <= 20_000 < len(whole.scores)
    for name, values in whole.curve(thresholds).items():
        assert small.curve(thresholds)[name].tolist() == values.tolist()


def test_the_default_thresholds_are_at_most_101_falling_quantiles():
    scores = np.random.default_rng(0).uniform(size=5_000)
    thresholds = ScoreTable.of(scores > 0.5, scores).default_thresholds()
    assert len(thresholds) <= 101
    assert (np.diff(thresholds) < 0).all()
    assert set(thresholds) <= set(scores)

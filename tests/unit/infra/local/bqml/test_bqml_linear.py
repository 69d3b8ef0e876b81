from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from infra.local.bqml import BqmlError, ModelSpec, call, train


def line(rows=200, noise=0.1):
    generator = np.random.default_rng(5)
    x, z = generator.normal(2.0, 3.0, rows), generator.normal(size=rows)
    return pa.table({"x": x, "z": z, "label": 1.0 + 2.0 * x - z + generator.normal(0, noise, rows)})


def weights(model, **options):
    rows = call("WEIGHTS", model, None, options).to_pylist()
    return {row["processed_input"]: row["weight"] for row in rows}


def test_small_problems_are_solved_in_closed_form(fitted):
    data = line(noise=0.0)
    model = fitted(data, model_type="LINEAR_REG")
    found = weights(model)
    assert found["x"] == pytest.approx(2.0)
    assert found["z"] == pytest.approx(-1.0)
    assert found["__INTERCEPT__"] == pytest.approx(1.0)
    info = call("TRAINING_INFO", model, None, {}).to_pylist()
    assert len(info) == 1
    assert info[0]["learning_rate"] is None


@pytest.mark.parametrize("l2_reg", [0.0, 0.3])
def test_many_weights_are_solved_by_iteration_to_the_same_end(monkeypatch, fitted, table, l2_reg):
    data = table.filter(table["price"].is_valid())
    options = {"model_type": "LINEAR_REG", "input_label_cols": ["price"], "l2_reg": l2_reg}
    dense = fitted(data, **options).fit.learner.weights
    monkeypatch.setattr("infra.local.bqml.normal_equation.DENSE_WEIGHTS", 0)
    assert fitted(data, **options).fit.learner.weights == pytest.approx(dense, rel=1e-6, abs=1e-6)


def test_standardised_weights_are_those_of_the_scaled_columns(fitted):
    data = line(noise=0.0)
    model = fitted(data, model_type="LINEAR_REG")
    assert weights(model, standardize=True)["x"] == pytest.approx(2.0 * np.std(data["x"].to_numpy()))


def test_the_line_search_doubles_its_rate_while_that_helps(logistic):
    rates = call("TRAINING_INFO", logistic, None, {}).column("learning_rate").to_pylist()
    assert rates[:3] == [0.2, 0.4, 0.8]  # from 0.1, twice the last each time


def test_each_line_search_step_lowers_the_loss(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", early_stop=False, max_iterations=15)
    losses = call("TRAINING_INFO", model, None, {}).column("loss").to_pylist()
    assert len(losses) == 15
    assert all(later <= earlier for earlier, later in pairwise(losses))


def test_early_stop_ends_after_the_first_slow_iteration(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", min_rel_progress=0.05, max_iterations=100)
    losses = call("TRAINING_INFO", model, None, {}).column("loss").to_pylist()
    progress = [(a - b) / a for a, b in pairwise(losses)]
    assert len(losses) < 100
    assert progress[-1] < 0.05
    assert all(p >= 0.05 for p in progress[:-1])


def test_a_constant_rate_stays(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", learn_rate_strategy="CONSTANT", learn_rate=0.25, max_iterations=3)
    assert set(call("TRAINING_INFO", model, None, {}).column("learning_rate").to_pylist()) == {0.25}


def test_descent_without_stopping_reaches_the_closed_form(fitted):
    data = line()
    closed = weights(fitted(data, model_type="LINEAR_REG", optimize_strategy="NORMAL_EQUATION"))
    options = {"optimize_strategy": "BATCH_GRADIENT_DESCENT", "max_iterations": 200, "early_stop": False}
    descended = weights(fitted(data, model_type="LINEAR_REG", **options))
    assert descended == pytest.approx(closed, rel=1e-4)


def test_l1_makes_weights_zero_and_l2_makes_them_smaller(fitted, table):
    plain = weights(fitted(table, model_type="LOGISTIC_REG"), standardize=True)
    sparse = weights(fitted(table, model_type="LOGISTIC_REG", l1_reg=0.1), standardize=True)
    small = weights(fitted(table, model_type="LOGISTIC_REG", l2_reg=1.0), standardize=True)
    assert sparse["price"] == 0.0 != plain["price"]
    assert abs(small["overlap"]) < abs(plain["overlap"])


def test_without_intercept_there_is_none(fitted, table):
    found = weights(fitted(table, model_type="LOGISTIC_REG", fit_intercept=False))
    assert "__INTERCEPT__" not in found


def test_auto_class_weights_are_rows_over_rows_of_the_class_times_classes(fitted):
    data = pa.table({"x": [0.0, 1.0, 2.0, 3.0] * 25, "label": [0, 0, 0, 1] * 25})
    automatic = fitted(data, model_type="LOGISTIC_REG", auto_class_weights=True)
    # 100 rows: class 0 has 75, class 1 has 25
    by_hand = fitted(data, model_type="LOGISTIC_REG", class_weights=[("0", 100 / (75 * 2)), ("1", 100 / (25 * 2))])
    assert weights(automatic) == pytest.approx(weights(by_hand))
    assert weights(automatic) != pytest.approx(weights(fitted(data, model_type="LOGISTIC_REG")))


def test_a_class_weight_for_no_class_is_refused(fitted, table):
    with pytest.raises(BqmlError, match="'2'"):
        fitted(table, model_type="LOGISTIC_REG", class_weights=[("2", 1.0)])


def test_p_values_of_least_squares_are_those_of_the_textbook(fitted):
    data = line(noise=2.0)
    options = {"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"}
    model = fitted(data, model_type="LINEAR_REG", **options)
    matrix = np.column_stack([data["x"], data["z"], np.ones(200)])
    target = data["label"].to_numpy()
    beta, rss = np.linalg.lstsq(matrix, target, rcond=None)[:2]
    errors = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)) * rss / (200 - 3))
    rows = call("ADVANCED_WEIGHTS", model, None, {}).to_pylist()
    assert [r["processed_input"] for r in rows] == ["x", "z", "__INTERCEPT__"]
    assert [r["standard_error"] for r in rows] == pytest.approx(errors)
    expected = 2 * stats.t.sf(np.abs(beta / errors), 197)
    assert [r["p_value"] for r in rows] == pytest.approx(expected, rel=1e-4, abs=1e-300)


def test_p_values_of_dependent_features_are_refused(fitted):
    data = line().append_column("x2", line()["x"])
    options = {"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"}
    with pytest.raises(BqmlError, match="linearly dependent"):
        fitted(data, model_type="LINEAR_REG", **options)


def test_more_than_two_classes_are_multinomial(fitted):
    generator = np.random.default_rng(1)
    group = generator.integers(3, size=300)
    data = pa.table({"x": group + generator.normal(0, 0.1, 300), "label": [f"g{g}" for g in group]})
    model = fitted(data, model_type="LOGISTIC_REG", max_iterations=100, early_stop=False)
    assert call("EVALUATE", model, data, {}).column("accuracy")[0].as_py() > 0.95
    rows = call("WEIGHTS", model, None, {}).to_pylist()
    assert {row["class_label"] for row in rows} == {"g0", "g1", "g2"}


def test_a_warm_start_goes_on_from_the_old_weights(fitted, table):
    first = fitted(table, model_type="LOGISTIC_REG", max_iterations=2, early_stop=False)
    spec = ModelSpec.of({"model_type": "LOGISTIC_REG", "max_iterations": 2, "early_stop": False, "warm_start": True})
    second = train(spec, table, warm_start=first)
    info = call("TRAINING_INFO", second, None, {}).to_pylist()
    assert [row["training_run"] for row in info] == [0, 0, 1, 1]
    assert info[2]["loss"] < info[1]["loss"]


def test_a_warm_start_without_a_model_is_refused(table):
    with pytest.raises(BqmlError, match="WARM_START"):
        train(ModelSpec.of({"model_type": "LOGISTIC_REG", "warm_start": True}), table)


def test_dummy_encoding_pins_the_most_frequent_category_at_zero(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", category_encoding_method="DUMMY_ENCODING")
    rows = {r["processed_input"]: r for r in call("WEIGHTS", model, None, {}).to_pylist()}
    shop = {pair["category"]: pair["weight"] for pair in rows["shop"]["category_weights"]}
    counts = table["shop"].value_counts().to_pylist()
    frequent = max((c for c in counts if c["values"]), key=lambda c: c["counts"])["values"]
    assert [name for name, weight in shop.items() if weight == 0.0] == [frequent]
    assert set(shop) == {"north", "south", "west", "_null_filler"}

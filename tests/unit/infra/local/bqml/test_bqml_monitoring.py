import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, ModelSpec, call, train
from infra.local.bqml.functions.divergence import jensen_shannon


def rows_of(found):
    return {row["input"]: row for row in found.to_pylist()}


def test_the_training_data_have_no_skew(logistic, table):
    found = rows_of(call("VALIDATE_DATA_SKEW", logistic, table, {}))
    assert set(found) == {"price", "overlap", "shop"}
    assert not any(row["is_anomaly"] for row in found.values())
    assert found["shop"]["metric"] == "L_INFTY"
    assert found["price"]["metric"] == "JENSEN_SHANNON_DIVERGENCE"
    assert {row["threshold"] for row in found.values()} == {0.3}


def test_moved_data_are_an_anomaly(logistic, table):
    moved = table.set_column(0, "price", pa.array(table["price"].to_numpy() + 500.0))
    moved = moved.set_column(2, "shop", pa.array(["east"] * 600))
    found = rows_of(call("VALIDATE_DATA_SKEW", logistic, moved, {}))
    assert found["price"]["is_anomaly"]
    assert found["price"]["value"] == pytest.approx(1.0)
    assert found["shop"]["is_anomaly"]
    assert not found["overlap"]["is_anomaly"]


def test_a_column_may_have_a_threshold_of_its_own(logistic, table):
    half = table.filter(np.arange(600) < 300)
    loose = rows_of(call("VALIDATE_DATA_SKEW", logistic, half, {"thresholds": [("shop", 0.0)]}))
    assert loose["shop"]["threshold"] == 0.0
    assert loose["price"]["threshold"] == 0.3
    with pytest.raises(BqmlError, match="'shoe'"):
        call("VALIDATE_DATA_SKEW", logistic, half, {"thresholds": [("shoe", 0.1)]})


def test_skew_is_measured_on_the_rows_before_transform(table):
    raw = table.select(["price", "label"])
    model = train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), table.select(["overlap", "label"]), raw=raw)
    assert list(rows_of(call("VALIDATE_DATA_SKEW", model, table, {}))) == ["price"]


def test_l_infinity_is_the_largest_difference_of_a_share():
    base = pa.table({"s": ["a"] * 5 + ["b"] * 5})
    study = pa.table({"s": ["a"] * 8 + ["c"] * 2})
    found = rows_of(call("VALIDATE_DATA_DRIFT", None, base, {}, study=study))
    assert found["s"]["value"] == pytest.approx(0.5)  # b: 5/10 against 0
    assert found["s"]["is_anomaly"]


def test_jensen_shannon_is_in_bits():
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert jensen_shannon(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.0


def test_the_categorical_metric_can_be_chosen():
    base, study = pa.table({"s": ["a", "b"]}), pa.table({"s": ["c", "d"]})
    options = {"categorical_metric_type": "JENSEN_SHANNON_DIVERGENCE"}
    found = rows_of(call("VALIDATE_DATA_DRIFT", None, base, options, study=study))
    assert found["s"]["value"] == pytest.approx(1.0)
    with pytest.raises(BqmlError, match="categorical_metric_type"):
        call("VALIDATE_DATA_DRIFT", None, base, {"categorical_metric_type": "CHI"}, study=study)


def test_drift_compares_the_columns_that_both_have():
    base, study = pa.table({"a": [1.0, 2.0], "b": ["x", "y"]}), pa.table({"a": [1.0, 2.0], "c": [1, 2]})
    assert list(rows_of(call("VALIDATE_DATA_DRIFT", None, base, {}, study=study))) == ["a"]


def test_a_constant_column_can_drift():
    base, study = pa.table({"a": [1.0, 1.0]}), pa.table({"a": [5.0, 5.0]})
    assert rows_of(call("VALIDATE_DATA_DRIFT", None, base, {}, study=study))["a"]["value"] == pytest.approx(1.0)
    assert rows_of(call("VALIDATE_DATA_DRIFT", None, base, {}, study=base))["a"]["value"] == 0.0


def test_a_constant_column_is_near_data_around_it():
    base = pa.table({"a": [1.0] * 10})
    near = pa.table({"a": [1.0] * 9 + [2.0]})
    assert rows_of(call("VALIDATE_DATA_DRIFT", None, base, {}, study=near))["a"]["value"] < 0.1


def test_a_column_that_changed_its_kind_is_named():
    with pytest.raises(BqmlError, match="'a'"):
        call("VALIDATE_DATA_DRIFT", None, pa.table({"a": [1.0]}), {}, study=pa.table({"a": ["x"]}))


def test_thresholds_lie_below_one():
    data = pa.table({"a": [1.0]})
    with pytest.raises(BqmlError, match="numerical_default_threshold"):
        call("VALIDATE_DATA_DRIFT", None, data, {"numerical_default_threshold": 1.0}, study=data)


def test_data_are_described_by_column():
    data = pa.table(
        {
            "n": pa.array([0.0, 1.0, 2.0, 7.0, None]),
            "s": pa.array(["a", "bb", "a", None, "c"]),
            "v": pa.array([[1.0], [2.0, 3.0], [], None, [4.0]]),
        }
    )
    found = {row["name"]: row for row in call("DESCRIBE_DATA", None, data, {"top_k": 2}).to_pylist()}
    n, s, v = found["n"], found["s"], found["v"]
    assert (n["num_rows"], n["num_nulls"], n["num_zeros"], n["num_values"]) == (5, 1, 1, 4)
    assert (n["min"], n["max"], n["mean"]) == ("0", "7", 2.5)
    assert n["stddev"] == pytest.approx(np.std([0, 1, 2, 7]))
    assert n["quantiles"] == [0.0, 2.0, 7.0]
    assert s["unique"] == 3
    assert s["top_values"] == [{"value": "a", "count": 2}, {"value": "bb", "count": 1}]
    assert s["avg_string_length"] == pytest.approx(5 / 4)
    assert (v["min_array_length"], v["max_array_length"], v["total_array_length"]) == (0, 2, 4)
    assert v["mean"] == 2.5


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(BqmlError, match="num_quantiles"):
        call("DESCRIBE_DATA", None, pa.table({"a": [1]}), {"num_quantiles": 1})


def test_feature_info_describes_the_training_rows(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", data_split_method="NO_SPLIT")
    found = {row["input"]: row for row in call("FEATURE_INFO", model, None, {}).to_pylist()}
    price = table["price"].drop_null().to_numpy()
    assert found["price"]["mean"] == pytest.approx(price.mean())
    assert found["price"]["stddev"] == pytest.approx(price.std())
    assert found["price"]["median"] == np.sort(price)[(len(price) - 1) // 2]
    assert found["price"]["null_count"] == 600 - len(price)
    assert found["shop"]["category_count"] == 3
    assert found["shop"]["min"] is None

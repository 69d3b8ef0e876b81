import threading

import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, ModelSpec, call, train
from infra.local.bqml.table_functions import FUNCTIONS


def refused(data, match, reason="invalidQuery", **options):
    with pytest.raises(BqmlError, match=match) as caught:
        train(ModelSpec.of({"model_type": "LOGISTIC_REG", **options}), data)
    assert caught.value.reason == reason


def column(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


def test_a_missing_label_is_told_of(table):
    refused(table.drop_columns(["label"]), "label column")


def test_a_misspelt_label_is_named(table):
    refused(table, "'lable'", input_label_cols=["lable"])


def test_a_null_label_fails(table):
    labels = table["label"].to_pylist()
    refused(column(table, "label", pa.array([None, *labels[1:]])), "'label' has 1 NULL")


def test_one_class_alone_is_refused(table):
    refused(column(table, "label", pa.array([1] * 600)), "at least 2 unique labels.*'label'")


def test_more_than_50_classes_are_refused(table):
    refused(column(table, "label", pa.array([i % 51 for i in range(600)])), "up to 50 unique labels.*51")


def test_50_classes_are_not(table):
    spec = ModelSpec.of({"model_type": "LOGISTIC_REG", "max_iterations": 1})
    assert train(spec, column(table, "label", pa.array([i % 50 for i in range(600)]))).classes.count == 50


def test_an_all_null_feature_is_named(table):
    refused(column(table, "price", pa.array([None] * 600, pa.float64())), "'price' has only NULL")


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_an_infinite_feature_is_named(table, bad):
    values = table["overlap"].to_pylist()
    refused(column(table, "overlap", pa.array([bad, *values[1:]])), "'overlap' has NaN or infinite")


def test_an_infinite_label_is_named(table):
    values = [float("inf"), *table["overlap"].to_pylist()[1:]]
    refused(
        column(table, "overlap", pa.array(values)), "'overlap'", model_type="LINEAR_REG", input_label_cols=["overlap"]
    )


def test_a_text_label_cannot_be_regressed_on(table):
    known = table.filter(table["shop"].is_valid())
    refused(known, "'shop'.*numeric", model_type="LINEAR_REG", input_label_cols=["shop"])


def test_an_unsupported_type_is_named(table):
    nested = pa.array([[["a"]]] * 600)
    refused(table.append_column("nested", nested), "'nested'.*ARRAY<ARRAY<STRING>>")


def test_no_rows_and_no_features_are_refused(table):
    refused(table.slice(0, 0), "no rows")
    refused(table.select(["label"]), "no feature columns")


def test_two_columns_of_one_name_are_refused(table):
    refused(table.append_column("PRICE", table["price"]), "Duplicate column name 'PRICE'")


def test_an_evaluation_query_must_look_like_the_training_query(table):
    with pytest.raises(BqmlError, match="same columns"):
        train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), table, evaluation=table.drop_columns(["price"]))


def test_an_evaluation_query_evaluates(table):
    model = train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), table.slice(0, 400), evaluation=table.slice(400))
    stored = call("EVALUATE", model, None, {}).to_pylist()[0]
    assert stored == pytest.approx(call("EVALUATE", model, table.slice(400), {}).to_pylist()[0])


def test_a_cancelled_training_stops(table):
    cancel = threading.Event()
    cancel.set()
    for model_type in ("LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER", "KMEANS"):
        with pytest.raises(BqmlError, match="cancel") as caught:
            train(ModelSpec.of({"model_type": model_type}), table, cancel=cancel)
        assert caught.value.reason == "stopped"


def test_a_constant_feature_weighs_nothing(table):
    model = train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), table.append_column("same", pa.array([7.5] * 600)))
    rows = {r["processed_input"]: r["weight"] for r in call("WEIGHTS", model, None, {}).to_pylist()}
    assert rows["same"] == pytest.approx(0.0, abs=1e-12)


def test_a_function_that_is_not_carried_out_is_named(logistic, table):
    with pytest.raises(BqmlError, match=r"ML\.FORECAST") as caught:
        call("FORECAST", logistic, table, {})
    assert caught.value.reason == "invalidQuery"


def test_a_function_without_its_model_or_rows_is_refused(logistic, table):
    with pytest.raises(BqmlError, match="needs a model"):
        call("PREDICT", None, table, {})
    with pytest.raises(BqmlError, match="needs a table"):
        call("PREDICT", logistic, None, {})
    with pytest.raises(BqmlError, match="takes no input"):
        call("WEIGHTS", logistic, table, {})


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_refuses_a_setting_that_it_does_not_have(logistic, boosted, table, function):
    model = boosted if function == "FEATURE_IMPORTANCE" else logistic
    given = {"PREDICT", "EXPLAIN_PREDICT", "VALIDATE_DATA_SKEW", "DESCRIBE_DATA", "VALIDATE_DATA_DRIFT"}
    with pytest.raises(BqmlError):
        call(function, model, table if function in given else None, {"no_such_setting": 1}, study=table)


def test_very_large_and_very_small_numbers_train(table):
    scaled = table.append_column("big", pa.array(np.linspace(1e12, 1e12 + 1, 600)))
    scaled = scaled.append_column("small", pa.array(np.linspace(0, 1e-12, 600)))
    model = train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), scaled)
    assert np.isfinite(model.fit.learner.weights).all()

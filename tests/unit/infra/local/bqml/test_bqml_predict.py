import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, call


def test_the_prediction_comes_first_then_the_probabilities_then_the_input(logistic, table):
    found = call("PREDICT", logistic, table, {})
    assert found.schema.names == ["predicted_label", "predicted_label_probs", *table.schema.names]
    assert found.select(table.schema.names).equals(table)


def test_labels_come_in_falling_order_with_probabilities_that_add_up(logistic, table):
    for row in call("PREDICT", logistic, table, {}).slice(0, 20).to_pylist():
        assert [pair["label"] for pair in row["predicted_label_probs"]] == [1, 0]
        assert sum(pair["prob"] for pair in row["predicted_label_probs"]) == pytest.approx(1.0)
        assert row["predicted_label"] == (1 if row["predicted_label_probs"][0]["prob"] >= 0.5 else 0)


def test_a_threshold_moves_the_decision(logistic, table):
    found = call("PREDICT", logistic, table, {"threshold": 0.9}).to_pylist()
    assert all((r["predicted_label"] == 1) == (r["predicted_label_probs"][0]["prob"] >= 0.9) for r in found)


def test_a_regressor_gives_one_float(regressor, table):
    found = call("PREDICT", regressor, table, {})
    assert found.schema.field("predicted_price").type == pa.float64()


@pytest.mark.parametrize("name", ["logistic", "boosted"])
@pytest.mark.parametrize("batch", [1, 7, 100_000])
def test_a_stream_gives_what_the_table_gives(request, table, name, batch):
    model = request.getfixturevalue(name)
    streamed = call("PREDICT", model, table.to_reader(batch), {})
    assert isinstance(streamed, pa.RecordBatchReader)
    assert streamed.read_all().combine_chunks().equals(call("PREDICT", model, table, {}).combine_chunks())


def test_more_rows_than_a_batch_keep_their_order(logistic, table):
    many = pa.concat_tables([table] * 250)  # 150,000 rows, more than two batches
    found = call("PREDICT", logistic, many, {})
    assert found.num_rows == many.num_rows
    assert found.column("overlap").to_pylist() == many.column("overlap").to_pylist()
    first = call("PREDICT", logistic, table, {}).column("predicted_label").to_pylist()
    assert found.column("predicted_label").to_pylist() == first * 250


def test_no_rows_give_no_rows_and_the_same_columns(logistic, table):
    found = call("PREDICT", logistic, table.slice(0, 0), {})
    assert found.num_rows == 0
    assert found.schema == call("PREDICT", logistic, table, {}).schema


def test_column_names_do_not_mind_their_case_or_order(logistic, table):
    other = table.rename_columns([name.upper() for name in table.schema.names]).select(["SHOP", "OVERLAP", "PRICE"])
    first = call("PREDICT", logistic, table, {}).column("predicted_label_probs")
    assert call("PREDICT", logistic, other, {}).column("predicted_label_probs").equals(first)


def test_the_label_need_not_be_there(logistic, table):
    assert call("PREDICT", logistic, table.drop_columns(["label"]), {}).num_rows == table.num_rows


def test_int64_stands_for_float64(logistic, table):
    whole = table.set_column(1, "overlap", pa.array([1] * table.num_rows))
    assert call("PREDICT", logistic, whole, {}).num_rows == table.num_rows


def test_null_and_unseen_values_are_predicted_all_the_same(logistic, boosted):
    odd = pa.table({"price": pa.array([None], pa.float64()), "overlap": [0.5], "shop": ["nowhere"]})
    for model in (logistic, boosted):
        prob = call("PREDICT", model, odd, {}).column("predicted_label_probs")[0].as_py()[0]["prob"]
        assert 0.0 < prob < 1.0


def test_a_null_number_counts_as_the_mean(logistic, table):
    mean = np.nanmean(table["price"].to_numpy())
    rows = pa.table({"price": pa.array([None, mean]), "overlap": [0.5, 0.5], "shop": ["north", "north"]})
    first, second = call("PREDICT", logistic, rows, {}).column("predicted_label_probs").to_pylist()
    assert first[0]["prob"] == pytest.approx(second[0]["prob"], rel=0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.drop_columns(["shop"]), "'shop'"),
        (lambda t: t.set_column(2, "shop", pa.array([1.0] * t.num_rows)), "'shop'.*FLOAT64.*STRING"),
        (lambda t: t.set_column(0, "price", pa.array(["1"] * t.num_rows)), "'price'.*STRING.*FLOAT64"),
    ],
)
@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_a_missing_or_mistyped_column_is_refused_by_name(request, table, name, change, named):
    with pytest.raises(BqmlError, match=named) as caught:
        call("PREDICT", request.getfixturevalue(name), change(table), {})
    assert caught.value.reason == "invalidQuery"


def test_a_feature_that_comes_twice_is_refused(logistic, table):
    twice = pa.Table.from_arrays([*table.columns, table["shop"]], names=[*table.schema.names, "SHOP"])
    with pytest.raises(BqmlError, match="Duplicate column name 'shop'"):
        call("PREDICT", logistic, twice, {})


def test_unknown_settings_are_refused(logistic, table):
    with pytest.raises(BqmlError, match="'treshold'"):
        call("PREDICT", logistic, table, {"treshold": 0.4})
    with pytest.raises(BqmlError, match="between 0 and 1"):
        call("PREDICT", logistic, table, {"threshold": 1.4})


def test_labels_keep_their_own_type(fitted):
    for labels in ([True, False], ["yes", "no"], [2, 7], [1.5, 2.5]):
        data = pa.table({"x": [0.0, 1.0] * 20, "label": [labels[1], labels[0]] * 20})
        model = fitted(data, model_type="LOGISTIC_REG")
        found = call("PREDICT", model, data, {})
        assert found.schema.field("predicted_label").type == data.schema.field("label").type
        listed = [pair["label"] for pair in found.column("predicted_label_probs")[0].as_py()]
        assert listed == sorted(labels, reverse=True)

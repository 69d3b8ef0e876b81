from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.local.bqml import BqmlError, call

INSTANCE = {"price": 90.0, "overlap": 0.7, "shop": "south"}


def test_a_logistic_model_answers_as_the_service_does(logistic):
    (row,) = logistic.predict_instances([INSTANCE])
    assert set(row) == {"predicted_label", "label_probs", "label_values"}
    assert row["predicted_label"] in (["0"], ["1"])
    assert sum(row["label_probs"]) == pytest.approx(1.0)
    best = max(zip(row["label_probs"], row["label_values"], strict=True))[1]
    assert row["predicted_label"] == [best]


def test_a_tree_model_predicts_a_scalar(boosted):
    (row,) = boosted.predict_instances([INSTANCE])
    assert row["predicted_label"] in ("0", "1")


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_online_and_batch_agree(request, table, name):
    model = request.getfixturevalue(name)
    rows = table.drop_columns(["label"]).slice(0, 60)
    batch = call("PREDICT", model, rows, {}).column("predicted_label_probs").to_pylist()
    for online, listed in zip(model.predict_instances(rows.to_pylist()), batch, strict=True):
        by_label = dict(zip(online["label_values"], online["label_probs"], strict=True))
        assert by_label == pytest.approx({str(pair["label"]): pair["prob"] for pair in listed})


def test_a_regressor_answers_with_its_value(regressor):
    (row,) = regressor.predict_instances([{"overlap": 0.5, "shop": "north", "label": 1}])
    assert isinstance(row["predicted_price"][0], float)


def test_a_tree_model_wants_exactly_its_features(boosted):
    missing = {name: value for name, value in INSTANCE.items() if name != "shop"}
    with pytest.raises(BqmlError, match=r"Instance 1 .*'shop'") as caught:
        boosted.predict_instances([INSTANCE, missing])
    assert caught.value.reason == "invalid"
    with pytest.raises(BqmlError, match="'colour'"):
        boosted.predict_instances([{**INSTANCE, "colour": "red"}])


def test_a_linear_model_takes_a_missing_feature_for_null(logistic):
    assert logistic.predict_instances([{"overlap": 0.7}]) == logistic.predict_instances(
        [{"overlap": 0.7, "price": None, "shop": None}]
    )


@pytest.mark.parametrize("bad", [{"price": "cheap"}, {"shop": 7}, {"price": True}])
def test_a_mistyped_feature_is_named(logistic, bad):
    with pytest.raises(BqmlError, match=repr(next(iter(bad)))) as caught:
        logistic.predict_instances([{**INSTANCE, **bad}])
    assert caught.value.reason == "invalid"


def test_an_instance_must_be_an_object(logistic):
    with pytest.raises(BqmlError, match="Instance 0"):
        logistic.predict_instances(["south"])


def test_json_numbers_without_a_fraction_do(logistic):
    assert logistic.predict_instances([{**INSTANCE, "price": 90}]) == logistic.predict_instances([INSTANCE])


def test_no_instances_give_no_rows(logistic):
    assert logistic.predict_instances([]) == []


def test_many_threads_get_the_same_answer(boosted):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: boosted.predict_instances([INSTANCE]), range(64)))
    assert all(answer == answers[0] for answer in answers)

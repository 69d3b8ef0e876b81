import numpy as np
import pyarrow as pa
import pytest
import xgboost

from infra.local.bqml import ModelSpec, call
from infra.local.bqml.trees import parameters


def test_the_options_reach_xgboost_in_its_own_words():
    spec = ModelSpec.of(
        {
            "model_type": "BOOSTED_TREE_CLASSIFIER",
            "booster_type": "DART",
            "dart_normalize_type": "FOREST",
            "dropout": 0.2,
            "max_tree_depth": 4,
            "l1_reg": 0.5,
            "l2_reg": 2.0,
            "min_split_loss": 0.1,
            "min_tree_child_weight": 3,
            "subsample": 0.9,
            "colsample_bytree": 0.8,
            "tree_method": "EXACT",
            "learn_rate": 0.05,
        }
    )
    found = parameters(spec, 2)
    assert found["objective"] == "binary:logistic"
    assert (found["booster"], found["normalize_type"], found["rate_drop"]) == ("dart", "forest", 0.2)
    assert (found["alpha"], found["lambda"], found["gamma"], found["min_child_weight"]) == (0.5, 2.0, 0.1, 3)
    assert (found["max_depth"], found["eta"], found["tree_method"]) == (4, 0.05, "exact")


def test_the_base_score_is_a_half_unless_a_later_xgboost_is_asked_for():
    assert parameters(ModelSpec.of({"model_type": "BOOSTED_TREE_REGRESSOR"}), 0)["base_score"] == 0.5
    later = ModelSpec.of({"model_type": "BOOSTED_TREE_REGRESSOR", "xgboost_version": "2.1"})
    assert "base_score" not in parameters(later, 0)


def test_a_forest_is_one_round_of_bagged_trees_at_full_rate(fitted, table):
    model = fitted(table, model_type="RANDOM_FOREST_CLASSIFIER", num_parallel_tree=7)
    assert parameters(model.spec, 2)["eta"] == 1.0
    assert len(model.fit.learner.booster.get_dump()) == 7
    assert call("TRAINING_INFO", model, None, {}).column("iteration").to_pylist() == [1]


def test_predictions_are_those_of_xgboost_on_the_same_matrix(fitted):
    generator = np.random.default_rng(2)
    x = generator.normal(size=(300, 3))
    y = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(np.int64)
    data = pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "label": y})
    model = fitted(data, model_type="BOOSTED_TREE_CLASSIFIER", early_stop=False, max_iterations=8)
    params = {"objective": "binary:logistic", "base_score": 0.5, "tree_method": "hist", "max_depth": 6, "eta": 0.3}
    direct = xgboost.train(params, xgboost.DMatrix(x.astype(np.float32), y), 8)
    expected = direct.predict(xgboost.DMatrix(x.astype(np.float32)))
    probs = call("PREDICT", model, data, {}).column("predicted_label_probs").to_pylist()
    assert [row[0]["prob"] for row in probs] == pytest.approx(expected, abs=1e-6)
    assert probs[0][0]["label"] == 1


def test_early_stop_watches_the_evaluation_loss(fitted, table):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=100, min_rel_progress=0.01)
    losses = call("TRAINING_INFO", model, None, {}).column("eval_loss").to_pylist()
    assert len(losses) < 100
    assert (losses[-2] - losses[-1]) / losses[-2] < 0.01


def test_class_weights_change_what_trees_learn(fitted, table):
    plain = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=3)
    heavy = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=3, class_weights=[("1", 50.0)])
    recall = [call("EVALUATE", m, table, {}).column("recall")[0].as_py() for m in (plain, heavy)]
    assert recall[1] > recall[0]


def test_instance_weights_of_zero_leave_rows_out(fitted, table):
    keep = np.asarray(table["shop"].fill_null("none").to_pylist()) == "north"
    weighted = table.append_column("w", pa.array(keep.astype(np.float64)))
    options = {"model_type": "BOOSTED_TREE_CLASSIFIER", "max_iterations": 3, "data_split_method": "NO_SPLIT"}
    model = fitted(weighted, instance_weight_col="w", **options)
    assert "w" not in dict(model.feature_columns)
    importance = {r["feature"]: r["importance_weight"] for r in call("FEATURE_IMPORTANCE", model, None, {}).to_pylist()}
    assert importance["shop"] == 0  # one shop alone had any weight


@pytest.mark.parametrize("method", ["LABEL_ENCODING", "ONE_HOT_ENCODING", "DUMMY_ENCODING", "TARGET_ENCODING"])
def test_every_category_encoding_trains_and_predicts(fitted, table, method):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=3, category_encoding_method=method)
    assert call("EVALUATE", model, table, {}).column("roc_auc")[0].as_py() > 0.8
    assert [r["feature"] for r in call("FEATURE_IMPORTANCE", model, None, {}).to_pylist()] == [
        "price",
        "overlap",
        "shop",
    ]


def test_importance_is_gain_a_split(boosted):
    found = {r["feature"]: r for r in call("FEATURE_IMPORTANCE", boosted, None, {}).to_pylist()}
    direct = boosted.fit.learner.booster.get_score(importance_type="gain")
    assert found["overlap"]["importance_gain"] == pytest.approx(direct["f1"])
    splits = boosted.fit.learner.booster.get_score(importance_type="weight")
    assert found["price"]["importance_weight"] == splits["f0"]


def test_one_row_and_many_rows_score_alike(boosted, table):
    many = call("PREDICT", boosted, pa.concat_tables([table] * 2), {}).column("predicted_label_probs").to_pylist()
    one = call("PREDICT", boosted, table.slice(0, 1), {}).column("predicted_label_probs").to_pylist()
    assert one[0] == many[0]


def test_the_exact_method_trains(fitted, table):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", tree_method="EXACT", max_iterations=2)
    assert call("EVALUATE", model, None, {})["roc_auc"][0].as_py() > 0.8


def test_categories_are_numbered_by_their_fingerprint(fitted, table):
    # FARM_FINGERPRINT, unsigned: FEMALE 6736675143250971023, MALE 15551093034680718408, '.' 15830612087174379815.
    sexes = table.append_column("sex", pa.array([["MALE", "FEMALE", "."][row % 3] for row in range(table.num_rows)]))
    model = fitted(sexes, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=1)
    (encoding,) = [e for e in model.encoder.encodings if e.name == "sex"]
    assert encoding.categories == ["FEMALE", "MALE", "."]

import pytest

from infra.local.bqml import BqmlError, HparamCandidates, HparamRange, ModelSpec, call
from infra.local.bqml.tuning import Suggestions


def spec(**options):
    return ModelSpec.of({"model_type": "BOOSTED_TREE_CLASSIFIER", "num_trials": 10, **options})


def test_the_best_trial_by_roc_auc_is_the_model(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", num_trials=4, l2_reg=HparamCandidates([50.0, 0.0, 10.0]))
    rows = call("TRIAL_INFO", model, None, {}).to_pylist()
    scores = {r["trial_id"]: r["hparam_tuning_evaluation_metrics"]["roc_auc"] for r in rows}
    best = [r["trial_id"] for r in rows if r["is_optimal"]]
    assert best == [model.optimal_trial]
    assert scores[best[0]] == max(scores.values())
    assert {r["status"] for r in rows} == {"SUCCEEDED"}
    assert call("PREDICT", model, table, {}).equals(call("PREDICT", model, table, {"trial_id": best[0]}))


def test_evaluate_shows_every_trial_unless_one_is_asked_for(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", num_trials=2, l2_reg=HparamRange(0.0, 1.0))
    assert call("EVALUATE", model, None, {})["trial_id"].to_pylist() == [1, 2]
    assert call("EVALUATE", model, None, {"trial_id": 2})["trial_id"].to_pylist() == [2]
    assert call("EVALUATE", model, table, {})["trial_id"].to_pylist() == [model.optimal_trial]
    with pytest.raises(BqmlError, match="TRIAL_ID 9"):
        call("EVALUATE", model, None, {"trial_id": 9})


def test_an_error_objective_is_minimised(fitted, table):
    model = fitted(
        table.filter(table["price"].is_valid()),
        model_type="LINEAR_REG",
        input_label_cols=["overlap"],
        num_trials=2,
        l2_reg=HparamCandidates([100.0, 0.0]),
        hparam_tuning_objectives=["MEAN_SQUARED_ERROR"],
    )
    rows = call("TRIAL_INFO", model, None, {}).to_pylist()
    errors = {r["trial_id"]: r["hparam_tuning_evaluation_metrics"]["mean_squared_error"] for r in rows}
    assert errors[model.optimal_trial] == min(errors.values())


def test_the_first_trial_starts_from_the_default():
    assert Suggestions(spec(max_tree_depth=HparamRange(2, 9))).next(None) == {"max_tree_depth": 6}
    assert Suggestions(spec(max_tree_depth=HparamRange(8, 9))).next(None) == {"max_tree_depth": 8}
    assert Suggestions(spec(max_tree_depth=HparamCandidates([1, 4, 9]))).next(None) == {"max_tree_depth": 4}


def test_a_grid_walks_every_combination_and_then_ends():
    options = {"max_tree_depth": HparamCandidates([2, 3]), "booster_type": HparamCandidates(["GBTREE", "DART"])}
    suggestions = Suggestions(spec(hparam_tuning_algorithm="GRID_SEARCH", **options))
    found = [suggestions.next(None) for _ in range(5)]
    assert found[4] is None
    assert len({tuple(point.items()) for point in found[:4]}) == 4


def test_draws_stay_in_their_range_and_type():
    suggestions = Suggestions(spec(max_tree_depth=HparamRange(2, 5), l1_reg=HparamRange(0.0, 3.0)))
    best = suggestions.next(None)
    for _ in range(30):
        point = suggestions.next(best)
        assert isinstance(point["max_tree_depth"], int)
        assert 2 <= point["max_tree_depth"] <= 5
        assert 0.0 <= point["l1_reg"] <= 3.0


def test_a_search_space_needs_no_saying():
    assert set(spec().search_space) == {"learn_rate", "l1_reg", "l2_reg", "max_tree_depth", "subsample"}


def test_trials_that_fail_are_told_and_do_not_count(fitted, table):
    model = fitted(
        table.drop_columns(["label"]).slice(0, 5),
        model_type="KMEANS",
        num_trials=2,
        num_clusters=HparamCandidates([2, 9]),
    )
    rows = {r["status"]: r for r in call("TRIAL_INFO", model, None, {}).to_pylist()}
    if "FAILED" in rows:
        assert "NUM_CLUSTERS" in rows["FAILED"]["error_message"]
        assert not rows["FAILED"]["is_optimal"]
    assert rows["SUCCEEDED"]["is_optimal"]


def test_trial_info_is_for_tuned_models(logistic):
    with pytest.raises(BqmlError, match="NUM_TRIALS"):
        call("TRIAL_INFO", logistic, None, {})
    with pytest.raises(BqmlError, match="NUM_TRIALS"):
        call("EVALUATE", logistic, None, {"trial_id": 1})

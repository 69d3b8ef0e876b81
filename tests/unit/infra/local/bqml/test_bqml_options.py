import pytest

from infra.local.bqml import BqmlError, HparamCandidates, HparamRange, ModelSpec
from infra.local.bqml.option_tables import TABLES


def spec(**options):
    return ModelSpec.of({"model_type": "LOGISTIC_REG", **options})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("l1_reg", 0.0),
        ("l2_reg", 0.0),
        ("max_iterations", 20),
        ("early_stop", True),
        ("min_rel_progress", 0.01),
        ("fit_intercept", True),
        ("learn_rate_strategy", "LINE_SEARCH"),
        ("ls_init_learn_rate", 0.1),
        ("category_encoding_method", "ONE_HOT_ENCODING"),
        ("auto_class_weights", False),
        ("calculate_p_values", False),
        ("enable_global_explain", False),
        ("warm_start", False),
        ("data_split_method", "AUTO_SPLIT"),
        ("input_label_cols", ["label"]),
    ],
)
def test_a_linear_model_has_the_documented_default(option, value):
    assert spec().value(option) == value


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("booster_type", "GBTREE"),
        ("num_parallel_tree", 1),
        ("max_tree_depth", 6),
        ("learn_rate", 0.3),
        ("l1_reg", 0.0),
        ("l2_reg", 1.0),
        ("min_split_loss", 0.0),
        ("min_tree_child_weight", 1),
        ("subsample", 1.0),
        ("colsample_bytree", 1.0),
        ("tree_method", "AUTO"),
        ("max_iterations", 20),
        ("category_encoding_method", "LABEL_ENCODING"),
    ],
)
def test_a_boosted_tree_has_the_documented_default(option, value):
    assert ModelSpec.of({"model_type": "BOOSTED_TREE_CLASSIFIER"}).value(option) == value


def test_names_and_choices_are_read_in_any_case():
    read = ModelSpec.of({"MODEL_TYPE": "logistic_reg", "Data_Split_Method": "no_split"})
    assert (read.model_type, read.value("data_split_method")) == ("LOGISTIC_REG", "NO_SPLIT")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_tree_depth": 3}, "MAX_TREE_DEPTH"),
        ({"no_such_option": 1}, "NO_SUCH_OPTION"),
        ({"max_iterations": 0}, "MAX_ITERATIONS"),
        ({"max_iterations": 1.5}, "MAX_ITERATIONS"),
        ({"early_stop": 1}, "EARLY_STOP"),
        ({"l2_reg": -0.1}, "L2_REG"),
        ({"l2_reg": float("nan")}, "L2_REG"),
        ({"data_split_method": "HALF"}, "DATA_SPLIT_METHOD"),
        ({"data_split_method": "CUSTOM"}, "DATA_SPLIT_COL"),
        ({"data_split_col": "s"}, "DATA_SPLIT_COL"),
        ({"data_split_eval_fraction": 0.3}, "DATA_SPLIT_EVAL_FRACTION"),
        ({"learn_rate": 0.2}, "LEARN_RATE"),
        ({"learn_rate_strategy": "CONSTANT", "ls_init_learn_rate": 0.2}, "LS_INIT_LEARN_RATE"),
        ({"class_weights": [("0", 1.0)], "auto_class_weights": True}, "CLASS_WEIGHTS"),
        ({"class_weights": [("0", -1.0)]}, "CLASS_WEIGHTS"),
        ({"calculate_p_values": True}, "CATEGORY_ENCODING_METHOD"),
        ({"optimize_strategy": "NORMAL_EQUATION"}, "OPTIMIZE_STRATEGY"),
        ({"input_label_cols": ["a", "b"]}, "INPUT_LABEL_COLS"),
        ({"l1_reg": HparamRange(0, 1)}, "L1_REG"),
        ({"num_trials": 3, "l1_reg": HparamRange(1, 0)}, "L1_REG"),
        ({"num_trials": 3, "max_iterations": HparamCandidates([1, 2])}, "MAX_ITERATIONS"),
        ({"num_trials": 3, "hparam_tuning_objectives": ["R2_SCORE"]}, "HPARAM_TUNING_OBJECTIVES"),
        ({"hparam_tuning_objectives": ["ROC_AUC"]}, "HPARAM_TUNING_OBJECTIVES"),
        ({"vertex_ai_model_id": "m"}, "VERTEX_AI_MODEL_ID"),
        ({"model_registry": "vertex_ai", "vertex_ai_model_id": "9m"}, "VERTEX_AI_MODEL_ID"),
        ({"model_registry": "vertex_ai", "vertex_ai_model_id": "m" * 64}, "VERTEX_AI_MODEL_ID"),
    ],
)
def test_an_unknown_or_impossible_option_is_refused_by_name(options, named):
    with pytest.raises(BqmlError, match=named) as caught:
        spec(**options)
    assert caught.value.reason == "invalidQuery"


def test_an_unknown_model_type_is_refused_with_the_known_ones():
    with pytest.raises(BqmlError, match=r"DNN_CLASSIFIER.*LOGISTIC_REG"):
        ModelSpec.of({"model_type": "DNN_CLASSIFIER"})


def test_class_weights_are_for_classifiers_alone():
    with pytest.raises(BqmlError, match="AUTO_CLASS_WEIGHTS"):
        ModelSpec.of({"model_type": "LINEAR_REG", "auto_class_weights": True})


def test_max_iterations_is_no_option_of_a_random_forest():
    with pytest.raises(BqmlError, match=r"Option\(s\) MAX_ITERATIONS are not supported for RANDOM_FOREST_REGRESSOR"):
        ModelSpec.of({"model_type": "RANDOM_FOREST_REGRESSOR", "max_iterations": 3})


def test_dropout_needs_the_dart_booster():
    with pytest.raises(BqmlError, match="DROPOUT"):
        ModelSpec.of({"model_type": "BOOSTED_TREE_REGRESSOR", "dropout": 0.1})
    assert ModelSpec.of({"model_type": "BOOSTED_TREE_REGRESSOR", "booster_type": "DART", "dropout": 0.1})


def test_pca_needs_either_a_number_or_a_share():
    for options in ({}, {"num_principal_components": 2, "pca_explained_variance_ratio": 0.8}):
        with pytest.raises(BqmlError, match="NUM_PRINCIPAL_COMPONENTS"):
            ModelSpec.of({"model_type": "PCA", **options})


@pytest.mark.parametrize("model_type", sorted(TABLES))
def test_every_default_is_a_value_that_the_option_itself_accepts(model_type):
    for name, option in TABLES[model_type].items():
        if option.default is not None and option.choices:
            assert option.default in option.choices, name
        if option.kind in ("int", "float") and option.default is not None:
            assert option.low is None or option.default >= option.low, name
            assert option.high is None or option.default <= option.high, name

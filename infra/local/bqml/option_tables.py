"""Every documented option of every supported model type: type, default, bounds, whether it can be tuned.

Source: the CREATE MODEL pages of BigQuery's reference (generalized linear, boosted tree, random forest, k-means, PCA)
and the hyperparameter tuning overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .hyperparameters import HparamCandidates, HparamRange


@dataclass(frozen=True)
class Option:
    """``kind``: bool, int, float, str, strings or weights. ``low`` is exclusive when ``open_low``."""

    kind: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    tunable: bool = False
    open_low: bool = False


def _bool(default: bool = False) -> Option:
    return Option("bool", default)


def _choice(default: str, *others: str, tunable: bool = False) -> Option:
    return Option("str", default, choices=(default, *others), tunable=tunable)


_REGISTRY = {
    "model_registry": _choice("VERTEX_AI"),
    "vertex_ai_model_id": Option("str"),
    "vertex_ai_model_version_aliases": Option("strings"),
    "kms_key_name": Option("str"),
}
_REGISTRY["model_registry"] = replace(_REGISTRY["model_registry"], default=None)

_TUNING = {
    "num_trials": Option("int", low=1, high=100),
    "max_parallel_trials": Option("int", 1, low=1, high=5),
    "hparam_tuning_algorithm": _choice("VIZIER_DEFAULT", "RANDOM_SEARCH", "GRID_SEARCH"),
    "hparam_tuning_objectives": Option("strings"),
}

_STOPPING = {
    "early_stop": _bool(True),
    "min_rel_progress": Option("float", 0.01, low=0),
}

_SUPERVISED = {
    **_REGISTRY,
    **_TUNING,
    **_STOPPING,
    "input_label_cols": Option("strings", ["label"]),
    "max_iterations": Option("int", 20, low=1),
    "data_split_method": _choice("AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT"),
    "data_split_eval_fraction": Option("float", 0.2, low=0, high=1),
    "data_split_test_fraction": Option("float", 0.0, low=0, high=1),
    "data_split_col": Option("str"),
    "enable_global_explain": _bool(),
    "auto_class_weights": _bool(),
    "class_weights": Option("weights"),
}

_LINEAR = {
    **_SUPERVISED,
    "optimize_strategy": _choice("AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT", "NORMAL_EQUATION"),
    "learn_rate_strategy": _choice("LINE_SEARCH", "CONSTANT"),
    "learn_rate": Option("float", 0.1, low=0, open_low=True),
    "ls_init_learn_rate": Option("float", 0.1, low=0, open_low=True),
    "calculate_p_values": _bool(),
    "fit_intercept": _bool(True),
    "category_encoding_method": _choice("ONE_HOT_ENCODING", "DUMMY_ENCODING"),
    "l1_reg": Option("float", 0.0, low=0, tunable=True),
    "l2_reg": Option("float", 0.0, low=0, tunable=True),
    "warm_start": _bool(),
}


def _fraction(default: float, *, open_low: bool = False) -> Option:
    return Option("float", default, low=0, high=1, tunable=True, open_low=open_low)


_FOREST = {
    **_SUPERVISED,
    "approx_global_feature_contrib": Option("bool"),
    "category_encoding_method": _choice("LABEL_ENCODING", "ONE_HOT_ENCODING", "DUMMY_ENCODING", "TARGET_ENCODING"),
    "num_parallel_tree": Option("int", 100, low=2, tunable=True),
    "max_tree_depth": Option("int", 15, low=1, high=20, tunable=True),
    "l1_reg": Option("float", 0.0, low=0, tunable=True),
    "l2_reg": Option("float", 1.0, low=0, tunable=True),
    "tree_method": _choice("AUTO", "EXACT", "APPROX", "HIST", tunable=True),
    "min_tree_child_weight": Option("int", 1, low=0, tunable=True),
    "colsample_bytree": _fraction(1.0),
    "colsample_bylevel": _fraction(1.0),
    "colsample_bynode": _fraction(0.8),
    "min_split_loss": Option("float", 0.0, low=0, tunable=True),
    "subsample": _fraction(0.8, open_low=True),
    "instance_weight_col": Option("str"),
    "xgboost_version": Option("str", "0.9", choices=("0.9", "1.1", "2.1")),
}
del _FOREST["max_iterations"]

_BOOSTED = {
    **_FOREST,
    "max_iterations": _SUPERVISED["max_iterations"],
    "booster_type": _choice("GBTREE", "DART", tunable=True),
    "dart_normalize_type": _choice("TREE", "FOREST", tunable=True),
    "dropout": _fraction(0.0),
    "learn_rate": Option("float", 0.3, low=0, tunable=True),
    "num_parallel_tree": Option("int", 1, low=1, tunable=True),
    "max_tree_depth": Option("int", 6, low=1, tunable=True),
    "colsample_bynode": _fraction(1.0),
    "subsample": _fraction(1.0, open_low=True),
}

_KMEANS = {
    **_REGISTRY,
    **_TUNING,
    **_STOPPING,
    "num_clusters": Option("int", low=2, high=100, tunable=True),
    "kmeans_init_method": _choice("RANDOM", "KMEANS++", "CUSTOM"),
    "kmeans_init_col": Option("str"),
    "distance_type": _choice("EUCLIDEAN", "COSINE"),
    "standardize_features": _bool(True),
    "max_iterations": Option("int", 20, low=1),
    "warm_start": _bool(),
}

_PCA = {
    **_REGISTRY,
    "num_principal_components": Option("int", low=1),
    "pca_explained_variance_ratio": Option("float", low=0, high=1, open_low=True),
    "scale_features": _bool(True),
    "pca_solver": _choice("AUTO", "FULL", "RANDOMIZED"),
}

TABLES: Mapping[str, Mapping[str, Option]] = {
    "LINEAR_REG": _LINEAR,
    "LOGISTIC_REG": _LINEAR,
    "BOOSTED_TREE_CLASSIFIER": _BOOSTED,
    "BOOSTED_TREE_REGRESSOR": _BOOSTED,
    "RANDOM_FOREST_CLASSIFIER": _FOREST,
    "RANDOM_FOREST_REGRESSOR": _FOREST,
    "KMEANS": _KMEANS,
    "PCA": _PCA,
}
SUPERVISED = frozenset(TABLES) - {"KMEANS", "PCA"}
CLASSIFIERS = frozenset({"LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER", "RANDOM_FOREST_CLASSIFIER"})
LINEAR = frozenset({"LINEAR_REG", "LOGISTIC_REG"})

_CLASSIFICATION = ("roc_auc", "precision", "recall", "accuracy", "f1_score", "log_loss")
_REGRESSION = (
    "r2_score",
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "explained_variance",
)
OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    name: ("davies_bouldin_index",) if name == "KMEANS" else _CLASSIFICATION if name in CLASSIFIERS else _REGRESSION
    for name in TABLES
    if name != "PCA"
}
"""Metrics that can pick the best trial; the first is the default."""

MINIMISED = frozenset(
    {
        "log_loss",
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "davies_bouldin_index",
    }
)

_REGULARISATION: dict[str, HparamRange | HparamCandidates] = {
    "l1_reg": HparamRange(0.0, 10.0),
    "l2_reg": HparamRange(0.0, 10.0),
}
_FOREST_SEARCH = {
    **_REGULARISATION,
    "max_tree_depth": HparamRange(1, 20),
    "subsample": HparamRange(0.05, 1.0),
    "num_parallel_tree": HparamRange(2, 200),
}
_BOOSTED_SEARCH = {
    **_REGULARISATION,
    "learn_rate": HparamRange(0.0, 1.0),
    "max_tree_depth": HparamRange(1, 10),
    "subsample": HparamRange(0.05, 1.0),
}
DEFAULT_SEARCH: Mapping[str, Mapping[str, HparamRange | HparamCandidates]] = {
    "LINEAR_REG": _REGULARISATION,
    "LOGISTIC_REG": _REGULARISATION,
    "BOOSTED_TREE_CLASSIFIER": _BOOSTED_SEARCH,
    "BOOSTED_TREE_REGRESSOR": _BOOSTED_SEARCH,
    "RANDOM_FOREST_CLASSIFIER": _FOREST_SEARCH,
    "RANDOM_FOREST_REGRESSOR": _FOREST_SEARCH,
    "KMEANS": {"num_clusters": HparamRange(2, 10)},
}
LOG_SCALE = frozenset({"l1_reg", "l2_reg"})

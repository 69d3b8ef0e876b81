"""What options mean for one another: which need, and which exclude, another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import BqmlError
from .hyperparameters import HparamCandidates, HparamRange
from .option_tables import OBJECTIVES

if TYPE_CHECKING:
    from .options import ModelSpec

MODEL_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def check_together(spec: ModelSpec) -> None:
    """Raises BqmlError that names the option which does not go with the others."""
    said = spec.options

    def refuse(name: str, why: str) -> None:
        raise BqmlError(f"Option {name.upper()} {why}.")

    spaces = [n for n, v in said.items() if isinstance(v, (HparamRange, HparamCandidates))]
    if spaces and not spec.tuned:
        refuse(spaces[0], "has a search space, which needs NUM_TRIALS")
    if not spec.tuned:
        for name in ("max_parallel_trials", "hparam_tuning_algorithm", "hparam_tuning_objectives"):
            if name in said:
                refuse(name, "needs NUM_TRIALS")
        if "data_split_test_fraction" in said:
            refuse("data_split_test_fraction", "needs NUM_TRIALS")
    else:
        _check_tuning(spec)
    if "model_registry" in said and said["model_registry"] != "VERTEX_AI":
        refuse("model_registry", "must be 'VERTEX_AI'")
    for name in ("vertex_ai_model_id", "vertex_ai_model_version_aliases"):
        if name in said and "model_registry" not in said:
            refuse(name, "needs MODEL_REGISTRY = 'VERTEX_AI'")
    model_id = said.get("vertex_ai_model_id")
    if model_id is not None and not (
        0 < len(model_id) <= 63 and set(model_id) <= MODEL_ID_CHARACTERS and model_id[0] not in "0123456789-"
    ):
        refuse(
            "vertex_ai_model_id",
            "must have at most 63 characters of [a-z0-9_-] and must not start with a digit or hyphen",
        )
    if spec.supervised:
        _check_supervised(spec)
    elif spec.model_type == "KMEANS":
        custom = spec.value("kmeans_init_method") == "CUSTOM"
        if custom != ("kmeans_init_col" in said):
            refuse("kmeans_init_col", "goes together with KMEANS_INIT_METHOD = 'CUSTOM'")
    elif ("num_principal_components" in said) == ("pca_explained_variance_ratio" in said):
        refuse("num_principal_components", "or PCA_EXPLAINED_VARIANCE_RATIO must be given, and not both")


def _check_tuning(spec: ModelSpec) -> None:
    if spec.options.get("max_parallel_trials", 1) > spec.options["num_trials"]:
        raise BqmlError("Option MAX_PARALLEL_TRIALS must not be greater than NUM_TRIALS.")
    objectives = spec.options.get("hparam_tuning_objectives", [])
    if len(objectives) > 1:
        raise BqmlError("Option HPARAM_TUNING_OBJECTIVES takes exactly one objective.")
    for objective in objectives:
        if objective.lower() not in OBJECTIVES[spec.model_type]:
            raise BqmlError(f"Option HPARAM_TUNING_OBJECTIVES does not know {objective!r} for {spec.model_type}.")
    if spec.value("hparam_tuning_algorithm") == "GRID_SEARCH" and any(
        isinstance(v, HparamRange) for v in spec.search_space.values()
    ):
        raise BqmlError("Option HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH' needs HPARAM_CANDIDATES for every option.")
    if spec.has("warm_start") and spec.value("warm_start"):
        raise BqmlError("Option WARM_START cannot be used together with NUM_TRIALS.")


def _check_supervised(spec: ModelSpec) -> None:
    said = spec.options
    labels = spec.label_columns
    if len(labels) != 1:
        raise BqmlError(f"Option INPUT_LABEL_COLS must name exactly one column for {spec.model_type}, got {labels}.")
    method = spec.value("data_split_method")
    if method in ("CUSTOM", "SEQ") and "data_split_col" not in said:
        raise BqmlError(f"Option DATA_SPLIT_COL is required with DATA_SPLIT_METHOD = '{method}'.")
    if method not in ("CUSTOM", "SEQ") and "data_split_col" in said:
        raise BqmlError(f"Option DATA_SPLIT_COL cannot be used with DATA_SPLIT_METHOD = '{method}'.")
    for name in ("data_split_eval_fraction", "data_split_test_fraction"):
        if name in said and method not in ("RANDOM", "SEQ") and not (spec.tuned and method == "AUTO_SPLIT"):
            raise BqmlError(f"Option {name.upper()} cannot be used with DATA_SPLIT_METHOD = '{method}'.")
    if said.get("data_split_col") in labels:
        raise BqmlError("Option DATA_SPLIT_COL must not name the label column.")
    for name in ("class_weights", "auto_class_weights"):
        if said.get(name) and not spec.classifier:
            raise BqmlError(f"Option(s) {name.upper()} are not supported for {spec.model_type} model training.")
    if said.get("class_weights") is not None and said.get("auto_class_weights"):
        raise BqmlError("Options CLASS_WEIGHTS and AUTO_CLASS_WEIGHTS cannot be used together.")
    if spec.linear:
        _check_linear(spec)
    elif spec.has("booster_type"):
        booster = said.get("booster_type", "GBTREE")
        if booster == "GBTREE":
            for name in ("dropout", "dart_normalize_type"):
                if name in said:
                    raise BqmlError(f"Option {name.upper()} needs BOOSTER_TYPE = 'DART'.")


def _check_linear(spec: ModelSpec) -> None:
    said = spec.options
    if "learn_rate" in said and spec.value("learn_rate_strategy") != "CONSTANT":
        raise BqmlError("Option LEARN_RATE can only be used with LEARN_RATE_STRATEGY = 'CONSTANT'.")
    if "ls_init_learn_rate" in said and spec.value("learn_rate_strategy") != "LINE_SEARCH":
        raise BqmlError("Option LS_INIT_LEARN_RATE can only be used with LEARN_RATE_STRATEGY = 'LINE_SEARCH'.")
    if spec.value("optimize_strategy") == "NORMAL_EQUATION":
        if spec.classifier:
            raise BqmlError("Option OPTIMIZE_STRATEGY = 'NORMAL_EQUATION' is only supported for LINEAR_REG.")
        for name in ("l1_reg", "warm_start"):
            if said.get(name):
                raise BqmlError(f"Option {name.upper()} cannot be used with OPTIMIZE_STRATEGY = 'NORMAL_EQUATION'.")
    if spec.value("calculate_p_values"):
        if spec.value("category_encoding_method") != "DUMMY_ENCODING":
            raise BqmlError("Option CALCULATE_P_VALUES needs CATEGORY_ENCODING_METHOD = 'DUMMY_ENCODING'.")
        if said.get("l1_reg"):
            raise BqmlError("Option CALCULATE_P_VALUES needs L1_REG to be 0.")
        if not spec.value("fit_intercept"):
            raise BqmlError("Option CALCULATE_P_VALUES needs FIT_INTERCEPT to be TRUE.")
        if spec.tuned:
            raise BqmlError("Option CALCULATE_P_VALUES cannot be used together with NUM_TRIALS.")

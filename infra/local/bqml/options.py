"""The OPTIONS list of CREATE MODEL: validated by name, type, bounds and against one another before anything trains.

What options exist, and their defaults, stands in ``option_tables``; this module only applies the rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BqmlError
from .hyperparameters import HparamCandidates, HparamRange
from .option_tables import (
    CLASSIFIERS,
    DEFAULT_SEARCH,
    LINEAR,
    OBJECTIVES,
    SUPERVISED,
    TABLES,
    Option,
)

MODEL_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


@dataclass(frozen=True)
class ModelSpec:
    """A validated OPTIONS list: ``options`` holds what was said; ``value(name)`` adds the documented default."""

    model_type: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ModelSpec:
        """Validate raw options (``model_type`` among them; names in any case, Python or Hparam values).

        Raises BqmlError(invalidQuery) that names the option.
        """
        given = {name.lower(): value for name, value in options.items()}
        model_type = given.pop("model_type", None)
        if model_type is None:
            raise BqmlError("Option MODEL_TYPE is required for CREATE MODEL.")
        model_type = {"LINEAR_REGRESSION": "LINEAR_REG", "LOGISTIC_REGRESSION": "LOGISTIC_REG"}.get(
            str(model_type).upper(), str(model_type).upper()
        )
        table = TABLES.get(model_type)
        if table is None:
            raise BqmlError(
                f"MODEL_TYPE {model_type!r} is not carried out here. Supported: {', '.join(sorted(TABLES))}."
            )
        checked: dict[str, Any] = {}
        for name, value in given.items():
            option = table.get(name)
            if option is None:
                raise BqmlError(f"Option(s) {name.upper()} are not supported for {model_type} model training.")
            if value is None:
                raise BqmlError(f"Option {name.upper()} must not be NULL.")
            checked[name] = _checked(name, option, value)
        spec = cls(model_type, checked)
        _check_together(spec)
        return spec

    def value(self, name: str) -> Any:
        """The option's value, or its documented default (None where BigQuery decides by the data)."""
        return self.options[name] if name in self.options else TABLES[self.model_type][name].default

    def has(self, name: str) -> bool:
        """Whether the model type knows the option at all."""
        return name in TABLES[self.model_type]

    def replaced(self, values: Mapping[str, Any]) -> ModelSpec:
        """The same spec with some options set (one trial's hyperparameters). No re-validation."""
        return ModelSpec(self.model_type, {**self.options, **values})

    @property
    def supervised(self) -> bool:
        """Whether it learns from a label."""
        return self.model_type in SUPERVISED

    @property
    def classifier(self) -> bool:
        """Whether the label is a class."""
        return self.model_type in CLASSIFIERS

    @property
    def linear(self) -> bool:
        """LINEAR_REG or LOGISTIC_REG."""
        return self.model_type in LINEAR

    @property
    def trees(self) -> bool:
        """Boosted trees or a random forest."""
        return self.supervised and not self.linear

    @property
    def tuned(self) -> bool:
        """Whether NUM_TRIALS was given."""
        return "num_trials" in self.options

    @property
    def search_space(self) -> dict[str, HparamRange | HparamCandidates]:
        """The hyperparameters that trials vary: those said, or the documented default ranges if none was."""
        said = {n: v for n, v in self.options.items() if isinstance(v, (HparamRange, HparamCandidates))}
        return said or dict(DEFAULT_SEARCH[self.model_type])

    @property
    def objective(self) -> str:
        """The metric that picks the best trial (lower case)."""
        said = self.options.get("hparam_tuning_objectives")
        return str(said[0]).lower() if said else OBJECTIVES[self.model_type][0]

    @property
    def label_columns(self) -> list[str]:
        """INPUT_LABEL_COLS; empty for an unsupervised model."""
        return list(self.value("input_label_cols")) if self.supervised else []


def _checked(name: str, option: Option, value: Any) -> Any:
    if isinstance(value, HparamRange):
        if not option.tunable or option.choices:
            raise BqmlError(f"Option {name.upper()} cannot be tuned with HPARAM_RANGE.")
        if not value.low < value.high:
            raise BqmlError(f"HPARAM_RANGE of option {name.upper()} must have its minimum below its maximum.")
        return HparamRange(_scalar(name, option, value.low), _scalar(name, option, value.high))
    if isinstance(value, HparamCandidates):
        if not option.tunable:
            raise BqmlError(f"Option {name.upper()} cannot be tuned with HPARAM_CANDIDATES.")
        if not value.values:
            raise BqmlError(f"HPARAM_CANDIDATES of option {name.upper()} must not be empty.")
        return HparamCandidates([_scalar(name, option, candidate) for candidate in value.values])
    return _scalar(name, option, value)


def _scalar(name: str, option: Option, value: Any) -> Any:
    kind = option.kind
    good = (
        (kind == "bool" and isinstance(value, bool))
        or (kind == "int" and isinstance(value, int) and not isinstance(value, bool))
        or (kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool))
        or (kind == "str" and isinstance(value, str))
        or (kind == "strings" and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value))
        or (kind == "weights" and isinstance(value, (list, tuple, dict)))
    )
    if not good:
        raise BqmlError(f"Option {name.upper()} must be {_WORDS[kind]}, got {value!r}.")
    if option.choices:
        upper = str(value).upper()
        if upper not in option.choices:
            raise BqmlError(f"Option {name.upper()} must be one of {', '.join(option.choices)}, got {value!r}.")
        return upper
    if kind in ("int", "float"):
        if not math.isfinite(value) or (option.low is not None and value < option.low):
            raise BqmlError(f"Option {name.upper()} must be at least {option.low}, got {value!r}.")
        if option.open_low and value == option.low:
            raise BqmlError(f"Option {name.upper()} must be greater than {option.low}, got {value!r}.")
        if option.high is not None and value > option.high:
            raise BqmlError(f"Option {name.upper()} must be at most {option.high}, got {value!r}.")
        return float(value) if kind == "float" else value
    if kind == "strings":
        return list(value)
    if kind == "weights":
        return _class_weights(value)
    return value


_WORDS = {
    "bool": "TRUE or FALSE",
    "int": "an INT64",
    "float": "a FLOAT64",
    "str": "a STRING",
    "strings": "an ARRAY<STRING>",
    "weights": "an ARRAY<STRUCT<STRING, FLOAT64>>",
}


def _class_weights(value: Any) -> dict[str, float]:
    pairs = value.items() if isinstance(value, dict) else [_pair(item) for item in value]
    weights: dict[str, float] = {}
    for label, weight in pairs:
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or weight < 0 or not math.isfinite(weight):
            raise BqmlError(f"Option CLASS_WEIGHTS: the weight of {label!r} must be a non-negative number.")
        if str(label) in weights:
            raise BqmlError(f"Option CLASS_WEIGHTS names the class {label!r} twice.")
        weights[str(label)] = float(weight)
    return weights


def _pair(item: Any) -> tuple[Any, Any]:
    parts = list(item.values()) if isinstance(item, dict) else list(item)
    if len(parts) != 2:
        raise BqmlError("Option CLASS_WEIGHTS must be an array of (class, weight) structs.")
    return parts[0], parts[1]


def _check_together(spec: ModelSpec) -> None:
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

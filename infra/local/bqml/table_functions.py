"""The ML.* table functions by name: the one door for whoever speaks SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from .errors import BqmlError
from .functions import evaluate, explain, inspect, monitoring, predict, training_info
from .functions.streaming import Data
from .model import Model

OF_MODEL: Mapping[str, Callable[[Model, Mapping[str, Any]], pa.Table]] = {
    "ADVANCED_WEIGHTS": inspect.advanced_weights,
    "CENTROIDS": inspect.centroids,
    "FEATURE_IMPORTANCE": explain.feature_importance,
    "FEATURE_INFO": training_info.feature_info,
    "GLOBAL_EXPLAIN": explain.global_explain,
    "PRINCIPAL_COMPONENTS": inspect.principal_components,
    "PRINCIPAL_COMPONENT_INFO": inspect.principal_component_info,
    "TRAINING_INFO": training_info.training_info,
    "TRIAL_INFO": training_info.trial_info,
    "WEIGHTS": inspect.weights,
}
OF_MODEL_AND_ROWS: Mapping[str, Callable[[Model, Data, Mapping[str, Any]], Data]] = {
    "EXPLAIN_PREDICT": explain.explain_predict,
    "PREDICT": predict.predict,
    "VALIDATE_DATA_SKEW": monitoring.validate_data_skew,
}
OF_MODEL_AND_MAYBE_ROWS: Mapping[str, Callable[[Model, Data | None, Mapping[str, Any]], pa.Table]] = {
    "CONFUSION_MATRIX": evaluate.confusion_matrix,
    "EVALUATE": evaluate.evaluate,
    "ROC_CURVE": evaluate.roc_curve,
}
WITHOUT_MODEL = ("DESCRIBE_DATA", "VALIDATE_DATA_DRIFT")

FUNCTIONS = (*OF_MODEL, *OF_MODEL_AND_ROWS, *OF_MODEL_AND_MAYBE_ROWS, *WITHOUT_MODEL)
"""Every table function that is carried out."""


def call(
    function: str,
    model: Model | None,
    data: Data | None,
    options: Mapping[str, Any],
    *,
    study: Data | None = None,
) -> Data:
    """Carry out ``ML.<function>``. ``options`` = the STRUCT argument.

    ML.PREDICT and ML.EXPLAIN_PREDICT stream: given a reader they answer with a reader. ``study`` is the second table of
    ML.VALIDATE_DATA_DRIFT (``data`` = the base). The array argument of ML.ROC_CURVE is ``options["thresholds"]``. Raises
    BqmlError; a function that is not carried out is named.
    """
    name = function.upper().removeprefix("ML.")
    if name not in FUNCTIONS:
        raise BqmlError(
            f"Table function ML.{name} is not carried out here. Carried out: {', '.join(sorted(FUNCTIONS))}."
        )
    if name == "DESCRIBE_DATA":
        return monitoring.describe_data(_given(name, data), options)
    if name == "VALIDATE_DATA_DRIFT":
        return monitoring.validate_data_drift(_given(name, data), _given(name, study), options)
    if model is None:
        raise BqmlError(f"Table function ML.{name} needs a model.")
    if name in OF_MODEL:
        if data is not None:
            raise BqmlError(f"Table function ML.{name} takes no input table.")
        return OF_MODEL[name](model, options)
    if name in OF_MODEL_AND_ROWS:
        return OF_MODEL_AND_ROWS[name](model, _given(name, data), options)
    return OF_MODEL_AND_MAYBE_ROWS[name](model, data, options)


def _given(name: str, data: Data | None) -> Data:
    if data is None:
        raise BqmlError(f"Table function ML.{name} needs a table or query.")
    return data

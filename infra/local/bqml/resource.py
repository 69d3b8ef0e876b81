"""The fields of the REST v2 ``Model`` resource that follow from a trained model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from .bigquery_types import type_resource
from .fitted import Fit
from .hyperparameters import HparamCandidates, HparamRange
from .kmeans import KMeansLearner
from .linear import LinearLearner
from .model import Model
from .option_tables import TABLES
from .options import ModelSpec

MODEL_TYPES = {"LINEAR_REG": "LINEAR_REGRESSION", "LOGISTIC_REG": "LOGISTIC_REGRESSION"}

TRAINING_OPTIONS: Mapping[str, str] = {
    "input_label_cols": "inputLabelColumns",
    "max_iterations": "maxIterations",
    "early_stop": "earlyStop",
    "min_rel_progress": "minRelativeProgress",
    "l1_reg": "l1Regularization",
    "l2_reg": "l2Regularization",
    "learn_rate": "learnRate",
    "ls_init_learn_rate": "initialLearnRate",
    "learn_rate_strategy": "learnRateStrategy",
    "data_split_method": "dataSplitMethod",
    "data_split_eval_fraction": "dataSplitEvalFraction",
    "data_split_col": "dataSplitColumn",
    "optimize_strategy": "optimizationStrategy",
    "class_weights": "labelClassWeights",
    "auto_class_weights": "autoClassWeights",
    "warm_start": "warmStart",
    "fit_intercept": "fitIntercept",
    "calculate_p_values": "calculatePValues",
    "category_encoding_method": "categoryEncodingMethod",
    "enable_global_explain": "enableGlobalExplain",
    "approx_global_feature_contrib": "approxGlobalFeatureContrib",
    "num_parallel_tree": "numParallelTree",
    "max_tree_depth": "maxTreeDepth",
    "tree_method": "treeMethod",
    "booster_type": "boosterType",
    "dart_normalize_type": "dartNormalizeType",
    "dropout": "dropout",
    "min_tree_child_weight": "minTreeChildWeight",
    "min_split_loss": "minSplitLoss",
    "subsample": "subsample",
    "colsample_bytree": "colsampleBytree",
    "colsample_bylevel": "colsampleBylevel",
    "colsample_bynode": "colsampleBynode",
    "instance_weight_col": "instanceWeightColumn",
    "xgboost_version": "xgboostVersion",
    "num_clusters": "numClusters",
    "kmeans_init_method": "kmeansInitializationMethod",
    "kmeans_init_col": "kmeansInitializationColumn",
    "distance_type": "distanceType",
    "standardize_features": "standardizeFeatures",
    "num_principal_components": "numPrincipalComponents",
    "pca_explained_variance_ratio": "pcaExplainedVarianceRatio",
    "scale_features": "scaleFeatures",
    "pca_solver": "pcaSolver",
    "num_trials": "numTrials",
    "max_parallel_trials": "maxParallelTrials",
    "hparam_tuning_objectives": "hparamTuningObjectives",
    "model_registry": "modelRegistry",
    "vertex_ai_model_version_aliases": "vertexAiModelVersionAliases",
}
"""Option → field of ``trainingOptions``."""


def resource(model: Model) -> dict[str, Any]:
    """JSON as the REST API writes it: INT64 as strings, times in RFC 3339."""
    fits = [trial.fit for trial in model.trials if trial.fit is not None] or [model.fit]
    found: dict[str, Any] = {
        "modelType": MODEL_TYPES.get(model.model_type, model.model_type),
        "featureColumns": [_column(field) for field in model.features],
        "labelColumns": [_column(model.label)] if model.label is not None else [],
        "trainingRuns": [run for fit in fits for run in _runs(model, fit)],
    }
    if model.trials:
        found["hparamSearchSpaces"] = _search_spaces(model.spec)
        found["hparamTrials"] = [
            {
                "trialId": str(trial.trial_id),
                "hparams": _training_options(model.spec, trial.hyperparameters),
                "status": "SUCCEEDED" if trial.fit is not None else "FAILED",
                **({"errorMessage": trial.error} if trial.error else {}),
                **(
                    {
                        "evaluationMetrics": _metrics(model, trial.fit, trial.fit.evaluation.metrics),
                        "hparamTuningEvaluationMetrics": _metrics(model, trial.fit, trial.tuning_metrics),
                    }
                    if trial.fit is not None
                    else {}
                ),
            }
            for trial in model.trials
        ]
        found["optimalTrialIds"] = [str(model.optimal_trial)]
        found["defaultTrialId"] = str(model.optimal_trial)
    return found


def _column(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, "type": type_resource(field.type)}


def _runs(model: Model, fit: Fit) -> list[dict[str, Any]]:
    options = _training_options(model.spec, _effective(model.spec))
    if isinstance(fit.learner, LinearLearner):
        options["optimizationStrategy"] = fit.learner.strategy
    if isinstance(fit.learner, KMeansLearner):
        options["numClusters"] = str(len(fit.learner.centroids))
    started = datetime.fromtimestamp(model.started_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return [
        {
            "trainingOptions": options,
            "startTime": started.replace("+00:00", "Z"),
            "results": [
                {
                    "index": index,
                    "durationMs": str(iteration.duration_ms),
                    **_known("trainingLoss", iteration.loss),
                    **_known("evalLoss", iteration.eval_loss),
                    **_known("learnRate", iteration.learning_rate),
                }
                for index, iteration in enumerate(run)
            ],
            "evaluationMetrics": _metrics(model, fit, fit.evaluation.metrics),
        }
        for run in fit.runs
    ]


def _effective(spec: ModelSpec) -> dict[str, Any]:
    """What was said, and the defaults that take part in training."""
    values = {name: spec.value(name) for name in TABLES[spec.model_type]}
    if spec.has("learn_rate_strategy"):
        values.pop("learn_rate" if values["learn_rate_strategy"] == "LINE_SEARCH" else "ls_init_learn_rate")
    tuned = spec.has("num_trials") and spec.tuned
    return {
        name: value
        for name, value in values.items()
        if value is not None
        and not isinstance(value, (HparamRange, HparamCandidates))
        and (tuned or name not in ("num_trials", "max_parallel_trials", "hparam_tuning_objectives"))
    }


def _training_options(spec: ModelSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    table = TABLES[spec.model_type]
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in TRAINING_OPTIONS:
            found[TRAINING_OPTIONS[name]] = str(value) if table[name].kind == "int" else value
    return found


def _metrics(model: Model, fit: Fit, metrics: Mapping[str, float]) -> dict[str, Any]:
    if model.model_type == "KMEANS":
        names = {"davies_bouldin_index": "daviesBouldinIndex", "mean_squared_distance": "meanSquaredDistance"}
        return {"clusteringMetrics": _renamed(metrics, names)}
    if model.model_type == "PCA":
        names = {"total_explained_variance_ratio": "totalExplainedVarianceRatio"}
        return {"dimensionalityReductionMetrics": _renamed(metrics, names)}
    if model.classes is None:
        return {"regressionMetrics": _renamed(metrics, _REGRESSION)}
    aggregate = {"aggregateClassificationMetrics": _renamed(metrics, _CLASSIFICATION)}
    table = fit.evaluation.confusion
    texts = model.classes.texts()
    if model.classes.count == 2:
        aggregate["aggregateClassificationMetrics"]["threshold"] = 0.5
        return {"binaryClassificationMetrics": {**aggregate, "positiveLabel": texts[0], "negativeLabel": texts[1]}}
    rows = []
    if table is not None:
        rows = [
            {
                "actualLabel": actual,
                "entries": [
                    {"predictedLabel": predicted, "itemCount": str(int(count))}
                    for predicted, count in zip(texts, counts, strict=True)
                ],
            }
            for actual, counts in zip(texts, table, strict=True)
        ]
    return {"multiClassClassificationMetrics": {**aggregate, "confusionMatrixList": [{"rows": rows}]}}


_REGRESSION = {
    "mean_absolute_error": "meanAbsoluteError",
    "mean_squared_error": "meanSquaredError",
    "mean_squared_log_error": "meanSquaredLogError",
    "median_absolute_error": "medianAbsoluteError",
    "r2_score": "rSquared",
}
_CLASSIFICATION = {
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "f1_score": "f1Score",
    "log_loss": "logLoss",
    "roc_auc": "rocAuc",
}


def _renamed(metrics: Mapping[str, float], names: Mapping[str, str]) -> dict[str, Any]:
    return {field: metrics[name] for name, field in names.items() if math.isfinite(metrics[name])}


def _known(name: str, value: float | None) -> dict[str, float]:
    return {} if value is None or not math.isfinite(value) else {name: value}


def _search_spaces(spec: ModelSpec) -> dict[str, Any]:
    table = TABLES[spec.model_type]
    found: dict[str, Any] = {}
    for name, space in spec.search_space.items():
        whole = table[name].kind == "int"
        if isinstance(space, HparamRange):
            low, high = (str(int(v)) if whole else v for v in (space.low, space.high))
            found[TRAINING_OPTIONS[name]] = {"range": {"min": low, "max": high}}
        else:
            values = [str(v) if whole else v for v in space.values]
            found[TRAINING_OPTIONS[name]] = {"candidates": {"candidates": values}}
    return found

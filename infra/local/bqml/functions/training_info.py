"""How training went and what it saw: ML.TRAINING_INFO, ML.FEATURE_INFO, ML.TRIAL_INFO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from ..errors import BqmlError
from ..fitted import Fit
from ..metrics import CLASSIFICATION, REGRESSION
from ..model import Model
from ..option_tables import CLASSIFIERS
from ..progress import Iteration
from .arguments import checked

CLUSTER_INFO = pa.list_(
    pa.struct([("centroid_id", pa.int64()), ("cluster_radius", pa.float64()), ("cluster_size", pa.int64())])
)


def training_info(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a training run and iteration; of a tuned model, a row a trial and iteration."""
    checked("TRAINING_INFO", options, {})
    fits: list[tuple[int | None, Fit]] = [(t.trial_id, t.fit) for t in model.trials if t.fit is not None]
    fits = fits or [(None, model.fit)]
    rows = [
        (trial, run, index, iteration)
        for trial, fit in fits
        for run, iterations in enumerate(fit.runs)
        for index, iteration in enumerate(iterations)
    ]
    first = 1 if model.spec.trees else 0  # XGBoost's rounds count from 1, the other algorithms' iterations from 0
    columns: dict[str, pa.Array] = {}
    if model.trials:
        columns["trial_id"] = pa.array([r[0] for r in rows], pa.int64())
    columns |= {
        "training_run": pa.array([r[1] for r in rows], pa.int64()),
        "iteration": pa.array([r[2] + first for r in rows], pa.int64()),
        "loss": pa.array([r[3].loss for r in rows], pa.float64()),
        "eval_loss": pa.array([r[3].eval_loss for r in rows], pa.float64()),
        "learning_rate": pa.array([r[3].learning_rate for r in rows], pa.float64()),
        "duration_ms": pa.array([r[3].duration_ms for r in rows], pa.int64()),
    }
    if not model.spec.supervised:
        columns = {n: c for n, c in columns.items() if n not in ("eval_loss", "learning_rate")}
    if model.model_type == "KMEANS":
        columns["cluster_info"] = pa.array([_clusters(r[3]) for r in rows], CLUSTER_INFO)
    return pa.table(columns)


def _clusters(iteration: Iteration) -> list[dict[str, Any]]:
    return [
        {"centroid_id": index + 1, "cluster_radius": radius, "cluster_size": size}
        for index, (radius, size) in enumerate(iteration.clusters or ())
    ]


def feature_info(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row an input: its range, moments, categories and NULLs in the training data."""
    checked("FEATURE_INFO", options, {})
    types = {name: pa.float64() for name in ("min", "max", "mean", "median", "stddev")}
    order = {
        "input": pa.string(),
        **types,
        "category_count": pa.int64(),
        "null_count": pa.int64(),
        "dimension": pa.int64(),
    }
    return pa.table({n: pa.array([row[n] for row in model.statistics], t) for n, t in order.items()})


def trial_info(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a trial of a tuned model."""
    checked("TRIAL_INFO", options, {})
    if not model.trials:
        raise BqmlError("ML.TRIAL_INFO can only be used with a model that was trained with NUM_TRIALS.")
    names = sorted({name for trial in model.trials for name in trial.hyperparameters})
    kinds = {name: _kind([t.hyperparameters.get(name) for t in model.trials]) for name in names}
    parameters = pa.struct([(name, kinds[name]) for name in names])
    if model.model_type == "KMEANS":
        metric_names: tuple[str, ...] = ("davies_bouldin_index", "mean_squared_distance")
    else:
        metric_names = CLASSIFICATION if model.model_type in CLASSIFIERS else REGRESSION
    metrics = pa.struct([(name, pa.float64()) for name in metric_names])
    last = [trial.fit.runs[-1][-1] if trial.fit is not None and trial.fit.runs[-1] else None for trial in model.trials]
    return pa.table(
        {
            "trial_id": pa.array([t.trial_id for t in model.trials], pa.int64()),
            "hyperparameters": pa.array([t.hyperparameters for t in model.trials], parameters),
            "hparam_tuning_evaluation_metrics": pa.array(
                [dict(t.tuning_metrics) if t.tuning_metrics else None for t in model.trials], metrics
            ),
            "training_loss": pa.array([i.loss if i else None for i in last], pa.float64()),
            "eval_loss": pa.array([i.eval_loss if i else None for i in last], pa.float64()),
            "status": pa.array(["SUCCEEDED" if t.fit is not None else "FAILED" for t in model.trials], pa.string()),
            "error_message": pa.array([t.error or None for t in model.trials], pa.string()),
            "is_optimal": pa.array([t.trial_id == model.optimal_trial for t in model.trials], pa.bool_()),
        }
    )


def _kind(values: list[Any]) -> pa.DataType:
    known = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in known):
        return pa.string()
    return pa.int64() if all(isinstance(value, int) for value in known) else pa.float64()

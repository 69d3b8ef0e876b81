"""CREATE MODEL: from a validated spec and a table to a Model."""

from __future__ import annotations

import threading
import time

import pyarrow as pa

from .bigquery_types import type_name
from .errors import BqmlError
from .fitted import Trial
from .kmeans import KMeansLearner
from .model import Model
from .options import ModelSpec
from .progress import Progress
from .statistics import profile_columns, profile_inputs
from .training_problem import prepare
from .tuning import tune
from .unsupervised import train_unsupervised


def train(
    spec: ModelSpec,
    data: pa.Table,
    *,
    evaluation: pa.Table | None = None,
    warm_start: Model | None = None,
    cancel: threading.Event | None = None,
    raw: pa.Table | None = None,
) -> Model:
    """Train a model. Raises BqmlError; nothing is left behind when it does.

    ``data`` holds features and label after TRANSFORM. ``evaluation`` is the second table of the two-query form (its rows
    evaluate; the first table's all train). ``warm_start`` is the model being replaced when the option says so. ``cancel``
    stops between iterations. ``raw`` are the rows before TRANSFORM: with it, ML.VALIDATE_DATA_SKEW compares their columns.
    """
    started = _now_ms()
    if data.num_rows == 0:
        raise BqmlError("The training query returned no rows.")
    _unique_names(data)
    if spec.has("warm_start") and spec.value("warm_start"):
        if warm_start is None:
            raise BqmlError("Option WARM_START needs a model of the same name to start from.")
        _check_warm_start(spec, warm_start)
    else:
        warm_start = None
    if not spec.supervised:
        return train_unsupervised(spec, data, warm_start, cancel, started, raw)
    problem = prepare(spec, data, evaluation, warm_start)
    trials: list[Trial]
    optimal: int | None
    if spec.tuned:
        trials, optimal, fit = tune(spec, problem, cancel)
    else:
        trials, optimal = [], None
        previous = warm_start.fit if warm_start else None
        fit = problem.fit(spec, Progress(cancel), previous)
    statistics, profiles = profile_inputs(problem.data, problem.encoder.features, problem.train)
    if raw is not None:
        profiles = profile_columns(raw, spec.label_columns)
    return Model(
        spec,
        pa.schema([problem.data.schema.field(name) for name in problem.encoder.features]),
        problem.data.schema.field(problem.label),
        problem.encoder,
        problem.classes,
        fit,
        statistics,
        profiles,
        started,
        _now_ms(),
        trials,
        optimal,
    )


def _check_warm_start(spec: ModelSpec, model: Model) -> None:
    if model.model_type != spec.model_type:
        raise BqmlError(f"Option WARM_START: the existing model is a {model.model_type}, not a {spec.model_type}.")
    for name in ("category_encoding_method", "fit_intercept", "distance_type", "standardize_features"):
        if spec.has(name) and spec.value(name) != model.spec.value(name):
            raise BqmlError(f"Option {name.upper()} must not change with WARM_START.")
    if isinstance(model.fit.learner, KMeansLearner):
        clusters = spec.options.get("num_clusters")
        if clusters is not None and clusters != len(model.fit.learner.centroids):
            raise BqmlError("Option NUM_CLUSTERS must not change with WARM_START.")
    if model.trials:
        raise BqmlError("Option WARM_START cannot start from a model that was trained with NUM_TRIALS.")


def _unique_names(data: pa.Table) -> None:
    seen: set[str] = set()
    for name in data.schema.names:
        if name.lower() in seen:
            raise BqmlError(f"Duplicate column name {name!r} in the training query.")
        seen.add(name.lower())
    for column in data.schema:
        try:
            type_name(column.type)
        except TypeError as error:
            raise BqmlError(f"Column {column.name!r} has a type that BigQuery does not have: {column.type}.") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""ML.EVALUATE, ML.CONFUSION_MATRIX and ML.ROC_CURVE: on given rows, or on those that training held out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import BqmlError
from ..fitted import Evaluation, Fit
from ..kmeans import KMeansLearner
from ..labels import regression_target
from ..model import Model
from ..pca import PcaLearner
from ..scoring import evaluate_supervised, margins_in_blocks
from ..unsupervised_metrics import unsupervised_metrics
from .arguments import checked, threshold_of
from .streaming import Data, as_table


def evaluate(model: Model, data: Data | None, options: Mapping[str, Any]) -> pa.Table:
    """One row of metrics (of a tuned model without data: one a trial)."""
    settings = checked("EVALUATE", options, {"threshold": float, "trial_id": int})
    _threshold_needs_data("EVALUATE", data, settings)
    if data is None and model.trials and "trial_id" not in settings:
        return _metric_rows([(t.trial_id, t.fit.evaluation.metrics) for t in model.trials if t.fit is not None])
    fit = model.fit_of(settings.get("trial_id"))
    trial_id = settings.get("trial_id", model.optimal_trial)
    if data is None:
        return _metric_rows([(trial_id, fit.evaluation.metrics)])
    if isinstance(fit.learner, (KMeansLearner, PcaLearner)):
        if "threshold" in settings:
            raise BqmlError("Setting 'threshold' of ML.EVALUATE can only be used with a binary classification model.")
        table = model.aligned(as_table(data))
        return _metric_rows(
            [(trial_id, unsupervised_metrics(fit.learner, model.encoder.design(table, intercept=False)))]
        )
    threshold = threshold_of(settings, "EVALUATE", model.classes.count if model.classes else 0)
    return _metric_rows([(trial_id, evaluated(model, fit, as_table(data), "EVALUATE", threshold).metrics)])


def confusion_matrix(model: Model, data: Data | None, options: Mapping[str, Any]) -> pa.Table:
    """A row an expected label (rising), a column a predicted one (rising)."""
    settings = checked("CONFUSION_MATRIX", options, {"threshold": float, "trial_id": int})
    if model.classes is None:
        raise BqmlError("ML.CONFUSION_MATRIX can only be used with a classification model.")
    _threshold_needs_data("CONFUSION_MATRIX", data, settings)
    fit = model.fit_of(settings.get("trial_id"))
    threshold = threshold_of(settings, "CONFUSION_MATRIX", model.classes.count)
    found = fit.evaluation if data is None else evaluated(model, fit, as_table(data), "CONFUSION_MATRIX", threshold)
    if found.confusion is None:
        raise BqmlError("ML.CONFUSION_MATRIX can only be used with a classification model.")
    rising = found.confusion[::-1, ::-1]
    labels = model.classes.values[::-1]
    columns: dict[str, Any] = {"expected_label": labels}
    for index, text in enumerate(reversed(model.classes.texts())):
        columns[_unused(column_name(text), columns)] = pa.array(rising[:, index])
    return pa.table(_with_trial(columns, model, settings, len(labels)))


def roc_curve(model: Model, data: Data | None, options: Mapping[str, Any]) -> pa.Table:
    """The curve of a binary classifier, highest threshold first; ``thresholds`` = the array argument."""
    settings = checked("ROC_CURVE", options, {"thresholds": (list, tuple), "trial_id": int})
    if model.classes is None or model.classes.count != 2:
        raise BqmlError("ML.ROC_CURVE can only be used with a binary classification model.")
    fit = model.fit_of(settings.get("trial_id"))
    found = fit.evaluation if data is None else evaluated(model, fit, as_table(data), "ROC_CURVE", 0.5)
    scores = found.scores
    if scores is None:
        raise BqmlError("ML.ROC_CURVE can only be used with a binary classification model.")
    if "thresholds" in settings:
        given = settings["thresholds"]
        if any(not isinstance(t, (int, float)) or isinstance(t, bool) for t in given):
            raise BqmlError("The thresholds of ML.ROC_CURVE must be an ARRAY<FLOAT64>.")
        thresholds = np.array(sorted((float(t) for t in given), reverse=True))
    else:
        thresholds = scores.default_thresholds()
    curve = {name: pa.array(values) for name, values in scores.curve(thresholds).items()}
    return pa.table(_with_trial(curve, model, settings, len(thresholds)))


def evaluated(model: Model, fit: Fit, table: pa.Table, function: str, threshold: float) -> Evaluation:
    """The evaluation of a supervised fit on rows with labels."""
    table = model.aligned(table)
    label = model.label_name
    if label not in table.schema.names:
        raise BqmlError(f"Label column {label!r} is not found in the input data of ML.{function}.")
    column = table.column(label)
    target = model.classes.codes(column, label) if model.classes else regression_target(column, label)
    return evaluate_supervised(margins_in_blocks(fit.learner, model.encoder, table), target, model.classes, threshold)


def column_name(label: str) -> str:
    """A label as a column name: what a name cannot hold becomes ``_``, and it never starts with a digit."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", label)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    while name.lower() in {other.lower() for other in taken}:
        name += "_1"
    return name


def _metric_rows(rows: Sequence[tuple[int | None, Mapping[str, float]]]) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    if rows[0][0] is not None:
        columns["trial_id"] = pa.array([trial for trial, _ in rows], pa.int64())
    for name in rows[0][1]:
        columns[name] = pa.array([metrics[name] for _, metrics in rows], pa.float64())
    return pa.table(columns)


def _with_trial(columns: Mapping[str, Any], model: Model, settings: Mapping[str, Any], n: int) -> dict[str, Any]:
    if not model.trials:
        return dict(columns)
    trial = settings.get("trial_id", model.optimal_trial)
    return {"trial_id": pa.array([trial] * n, pa.int64()), **columns}


def _threshold_needs_data(function: str, data: Data | None, settings: Mapping[str, Any]) -> None:
    if data is None and "threshold" in settings:
        raise BqmlError(f"Setting 'threshold' of ML.{function} can only be used together with evaluation data.")

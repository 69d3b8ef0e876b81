"""Boosted trees and random forests: XGBoost with BigQuery ML's defaults.

The base score is fixed at 0.5, as the service's default XGBoost (0.9) has it: later versions start from the label's
mean, which gives other models. XGBOOST_VERSION = '2.1' asks for that; '0.9' and '1.1' keep 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost

from .design import Floats
from .encoder import Encoder
from .errors import BqmlError
from .options import ModelSpec
from .progress import Progress, relative_progress

Matrix = npt.NDArray[np.float32]
SEED = 0
FEW_ROWS = 512


@dataclass
class TreeLearner:
    """``booster`` with ``outputs`` columns of margins (1 = regression or the log-odds of the first class)."""

    booster: xgboost.Booster
    outputs: int
    _single: xgboost.Booster | None = field(default=None, repr=False, compare=False)

    def margins(self, encoder: Encoder, data: pa.Table | pa.RecordBatch, rows: pa.Array | None = None) -> Floats:
        """The raw predictions, (n × outputs)."""
        return self.margins_of(encoder.matrix(data, rows))

    def margins_of(self, matrix: Matrix) -> Floats:
        """As ``margins``, of an encoded matrix."""
        if not len(matrix):
            return np.empty((0, self.outputs))
        booster = self.booster if len(matrix) > FEW_ROWS else self._single_threaded()
        predicted = booster.inplace_predict(matrix, predict_type="margin", strict_shape=True)
        return np.asarray(predicted, dtype=np.float64).reshape(len(matrix), self.outputs)

    def _single_threaded(self) -> xgboost.Booster:
        """The same trees on one thread: for a few rows, waking the others takes longer than the work itself."""
        if self._single is None:
            single = xgboost.Booster({"nthread": 1})
            single.load_model(bytearray(self.raw()))
            single.set_param({"nthread": 1})
            self._single = single
        return self._single

    def contributions(self, matrix: Matrix, *, approximate: bool) -> Floats:
        """Tree SHAP values, (n × outputs × columns + 1); the last column is the baseline."""
        data = xgboost.DMatrix(matrix)
        found = self.booster.predict(data, pred_contribs=True, approx_contribs=approximate, strict_shape=True)
        return np.asarray(found, dtype=np.float64)

    def importance(self, kind: str) -> dict[int, float]:
        """``weight``, ``gain`` or ``cover`` by column; columns that no tree splits on are missing."""
        scores = self.booster.get_score(importance_type=kind)
        return {int(name[1:]): float(np.mean(value)) for name, value in scores.items()}

    def raw(self) -> bytes:
        """The booster in UBJSON."""
        return bytes(self.booster.save_raw("ubj"))

    @classmethod
    def restored(cls, raw: bytes, outputs: int) -> TreeLearner:
        """The learner of what ``raw`` gave."""
        booster = xgboost.Booster()
        booster.load_model(bytearray(raw))
        return cls(booster, outputs)


def tree_data(matrix: Matrix, target: npt.NDArray[Any], weights: Floats | None, classes: int) -> xgboost.DMatrix:
    """A matrix with its labels as XGBoost takes it; the matrix itself need not be kept.

    Not a QuantileDMatrix: with the same trees, it takes a fifth longer for what it saves in memory.
    """
    return xgboost.DMatrix(matrix, label=_xgboost_label(target, classes), weight=weights)


def _xgboost_label(target: npt.NDArray[Any], classes: int) -> npt.NDArray[np.float32]:
    """XGBoost's positive class is 1; ours is code 0 (the higher label)."""
    return (1 - target if classes == 2 else target).astype(np.float32)


def train_trees(
    spec: ModelSpec,
    train: xgboost.DMatrix,
    classes: int,
    evaluation: xgboost.DMatrix | None,
    progress: Progress,
) -> TreeLearner:
    """Train; ``classes`` 0 = regression.

    With early stop, ends after the first round that takes less than ``min_rel_progress`` off the evaluation loss (off the
    training loss where nothing evaluates).
    """
    params = parameters(spec, classes)
    watched = [(train, "train")] + ([(evaluation, "eval")] if evaluation is not None else [])
    forest = not spec.has("learn_rate")
    rounds = 1 if forest else spec.value("max_iterations")
    early = None if forest or not spec.value("early_stop") else float(spec.value("min_rel_progress"))
    callback = _Watch(params["eval_metric"], float(params["eta"]), early, progress)
    try:
        booster = xgboost.train(
            params, train, num_boost_round=rounds, evals=watched, verbose_eval=False, callbacks=[callback]
        )
    except xgboost.core.XGBoostError as error:
        raise BqmlError(f"Training failed in XGBoost: {str(error).splitlines()[0]}") from error
    return TreeLearner(booster, classes if classes > 2 else 1)


def parameters(spec: ModelSpec, classes: int) -> dict[str, Any]:
    """The options in XGBoost's words."""
    if not classes:
        objective, metric = "reg:squarederror", "rmse"
    elif classes == 2:
        objective, metric = "binary:logistic", "logloss"
    else:
        objective, metric = "multi:softprob", "mlogloss"
    method = {"AUTO": "hist"}.get(spec.value("tree_method"), str(spec.value("tree_method")).lower())
    params: dict[str, Any] = {
        "objective": objective,
        "eval_metric": metric,
        "seed": SEED,
        "tree_method": method,
        **{xgb: spec.value(option) for option, xgb in _SAME.items()},
    }
    if params["colsample_bynode"] == 1.0:
        del params["colsample_bynode"]  # the exact method refuses it even so
    if spec.value("xgboost_version") != "2.1":
        params["base_score"] = 0.5
    params["eta"] = spec.value("learn_rate") if spec.has("learn_rate") else 1.0
    if classes > 2:
        params["num_class"] = classes
    if spec.has("booster_type") and spec.value("booster_type") == "DART":
        params["booster"] = "dart"
        params["normalize_type"] = str(spec.value("dart_normalize_type")).lower()
        params["rate_drop"] = spec.value("dropout")
    return params


_SAME: Mapping[str, str] = {
    "num_parallel_tree": "num_parallel_tree",
    "max_tree_depth": "max_depth",
    "l1_reg": "alpha",
    "l2_reg": "lambda",
    "min_tree_child_weight": "min_child_weight",
    "min_split_loss": "gamma",
    "subsample": "subsample",
    "colsample_bytree": "colsample_bytree",
    "colsample_bylevel": "colsample_bylevel",
    "colsample_bynode": "colsample_bynode",
}


class _Watch(xgboost.callback.TrainingCallback):
    """Records each round, stops early, lets a cancelled job end."""

    def __init__(self, metric: str, rate: float, early: float | None, progress: Progress) -> None:
        super().__init__()
        self._metric, self._rate, self._early, self._progress = metric, rate, early, progress

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        losses = evals_log["train"][self._metric]
        eval_losses = evals_log["eval"][self._metric] if "eval" in evals_log else None
        self._progress.record(losses[-1], eval_losses[-1] if eval_losses else None, self._rate)
        watched = eval_losses or losses
        if self._early is None or len(watched) < 2:
            return False
        return relative_progress(watched[-2], watched[-1]) < self._early

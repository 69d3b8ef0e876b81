"""LINEAR_REG and LOGISTIC_REG: training, scores, and weights on the scale of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import special

from .design import Design, Floats
from .encoder import Encoder
from .errors import BqmlError
from .gradient_descent import Descent, descend
from .linear_losses import BinaryLogLoss, Loss, SoftmaxLogLoss, SquaredLoss, sigmoid, softmax
from .normal_equation import least_squares, linear_covariance, logistic_covariance
from .options import ModelSpec
from .progress import Progress

MAX_P_VALUE_WEIGHTS = 1_000
CLOSED_FORM_WEIGHTS = 10_000
ROWS_A_WEIGHT = 10


@dataclass
class LinearLearner:
    """``weights``: (width × outputs) on the standardised design, the intercept's row last (zero without one).

    ``covariance`` and ``freedom`` of the weights, if p-values were asked for (freedom 0 = the normal distribution).
    """

    weights: Floats
    intercept: bool
    strategy: str
    covariance: Floats | None = None
    freedom: int = 0

    def margins(self, encoder: Encoder, data: pa.Table | pa.RecordBatch, rows: pa.Array | None = None) -> Floats:
        """The linear predictor, (n × outputs)."""
        return encoder.predictor(data, self.weights, intercept=self.intercept, rows=rows)

    def raw_weights(self, encoder: Encoder) -> Floats:
        """The weights for unstandardised numbers; same shape, the intercept's row always there."""
        transform = raw_transform(encoder, self.intercept)
        return np.asarray(transform @ self.weights)

    def p_values(self, encoder: Encoder, *, standardize: bool) -> tuple[Floats, Floats]:
        """Standard errors and two-sided p-values of the weights of the first output."""
        if self.covariance is None:
            raise BqmlError("ML.ADVANCED_WEIGHTS needs a model that was trained with CALCULATE_P_VALUES = TRUE.")
        transform = np.eye(len(self.weights)) if standardize else raw_transform(encoder, self.intercept)
        weights = (transform @ self.weights)[:, 0]
        errors = np.sqrt(np.maximum(np.diag(transform @ self.covariance @ transform.T), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(weights / errors)
        tail = special.stdtr(self.freedom, -ratio) if self.freedom else special.ndtr(-ratio)
        return errors, 2.0 * tail

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What is stored: JSON-able values and arrays."""
        arrays = {"weights": self.weights}
        if self.covariance is not None:
            arrays["covariance"] = self.covariance
        return {"intercept": self.intercept, "strategy": self.strategy, "freedom": self.freedom}, arrays

    @classmethod
    def restored(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> LinearLearner:
        """The learner of what ``state`` gave."""
        return cls(arrays["weights"], state["intercept"], state["strategy"], arrays.get("covariance"), state["freedom"])


def probabilities(margins: Floats) -> Floats:
    """(n × classes) from (n × outputs): one output is the log-odds of the first class."""
    if margins.shape[1] > 1:
        return softmax(margins)
    positive = sigmoid(margins[:, 0])
    return np.column_stack([positive, 1.0 - positive])


def raw_transform(encoder: Encoder, intercept: bool) -> Floats:
    """The matrix that takes standardised weights to weights of the data's own scale."""
    layout = encoder.layout()
    width = (layout[-1][2] if layout else 0) + intercept
    transform = np.eye(width)
    if encoder.standardize:
        for encoding, start, stop in layout:
            if encoding.kind == "numeric":
                means, scales = [encoding.mean], [encoding.std]
            elif encoding.kind == "vector":
                means, scales = encoding.means, encoding.stds
            else:
                continue
            for offset, column in enumerate(range(start, stop)):
                transform[column, column] = 1.0 / scales[offset]
                if intercept:
                    transform[-1, column] = -means[offset] / scales[offset]
    return transform


def train_linear(
    spec: ModelSpec,
    design: Design,
    target: Floats | npt.NDArray[np.int64],
    classes: int,
    row_weights: Floats | None,
    evaluation: tuple[Design, Floats | npt.NDArray[np.int64]] | None,
    start: Floats | None,
    progress: Progress,
) -> LinearLearner:
    """Train on a standardised design. ``classes`` 0 = regression; ``start`` = the weights of a warm start."""
    strategy = _strategy(spec, design)
    p_values = bool(spec.value("calculate_p_values"))
    if p_values and design.width > MAX_P_VALUE_WEIGHTS:
        raise BqmlError(
            f"CALCULATE_P_VALUES is limited to {MAX_P_VALUE_WEIGHTS} weights; the model has {design.width}."
        )
    if p_values and classes > 2:
        raise BqmlError("CALCULATE_P_VALUES is not supported for multi-class logistic regression.")
    if strategy == "NORMAL_EQUATION":
        learner = _closed_form(spec, design, target, evaluation, progress)
    else:
        loss = _loss(target, classes, row_weights)
        pair = (evaluation[0], _loss(evaluation[1], classes, None)) if evaluation else None
        weights = _descended(spec, design, loss, pair, start, progress)
        learner = LinearLearner(weights, design.intercept, strategy)
    if p_values:
        margins = design.dot(learner.weights)[:, 0]
        if classes:
            learner.covariance = logistic_covariance(design, sigmoid(margins), row_weights)
        else:
            learner.covariance, learner.freedom = linear_covariance(design, target - margins)
    return learner


def _descended(
    spec: ModelSpec,
    design: Design,
    loss: Loss,
    evaluation: tuple[Design, Loss] | None,
    start: Floats | None,
    progress: Progress,
) -> Floats:
    """Descend with every column at unit root mean square: numbers are standardised, category slots divided by theirs.

    (A recorded classification of the service comes out exactly so, and not with slots of 0 and 1.)
    """
    scales = design.slot_scales()
    stretch = np.ones((design.width, 1))
    stretch[design.dense.shape[1] : design.width - design.intercept, 0] = scales
    scaled = (evaluation[0].with_slots_divided(scales), evaluation[1]) if evaluation else None
    weights = descend(
        design.with_slots_divided(scales),
        loss,
        _descent(spec),
        progress,
        start=None if start is None else start * stretch,
        evaluation=scaled,
    )
    return np.asarray(weights / stretch)


def _strategy(spec: ModelSpec, design: Design) -> str:
    said = str(spec.value("optimize_strategy"))
    if spec.classifier:
        return "BATCH_GRADIENT_DESCENT"
    if said != "AUTO_STRATEGY":
        return said
    large = design.width > CLOSED_FORM_WEIGHTS or design.rows < ROWS_A_WEIGHT * design.width
    descends = spec.value("l1_reg") or spec.value("warm_start") or large
    return "BATCH_GRADIENT_DESCENT" if descends else "NORMAL_EQUATION"


def _closed_form(
    spec: ModelSpec,
    design: Design,
    target: Floats | npt.NDArray[np.int64],
    evaluation: tuple[Design, Floats | npt.NDArray[np.int64]] | None,
    progress: Progress,
) -> LinearLearner:
    progress.check()
    weights = least_squares(design, np.asarray(target, dtype=np.float64), spec.value("l2_reg"))
    train_loss = SquaredLoss(np.asarray(target, dtype=np.float64)).value(design.dot(weights))
    eval_loss = None
    if evaluation is not None:
        eval_loss = SquaredLoss(np.asarray(evaluation[1], dtype=np.float64)).value(evaluation[0].dot(weights))
    progress.record(train_loss, eval_loss, None)
    return LinearLearner(weights, design.intercept, "NORMAL_EQUATION")


def _loss(target: Floats | npt.NDArray[np.int64], classes: int, row_weights: Floats | None) -> Loss:
    if not classes:
        return SquaredLoss(np.asarray(target, dtype=np.float64))
    codes = np.asarray(target, dtype=np.int64)
    return BinaryLogLoss(codes, row_weights) if classes == 2 else SoftmaxLogLoss(codes, classes, row_weights)


def _descent(spec: ModelSpec) -> Descent:
    line_search = spec.value("learn_rate_strategy") == "LINE_SEARCH"
    return Descent(
        line_search,
        spec.value("ls_init_learn_rate" if line_search else "learn_rate"),
        spec.value("max_iterations"),
        spec.value("early_stop"),
        spec.value("min_rel_progress"),
        spec.value("l1_reg"),
        spec.value("l2_reg"),
    )

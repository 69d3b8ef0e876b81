"""From margins to what is told: probabilities, predicted labels, metrics. One place, for training and the functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .design import Floats
from .encoder import Encoder
from .errors import BqmlError
from .fitted import Evaluation, Learner
from .kmeans import KMeansLearner
from .labels import Classes
from .linear import LinearLearner, probabilities
from .metrics import (
    ScoreTable,
    classification_metrics,
    confusion,
    predicted_codes,
    regression_metrics,
)
from .pca import PcaLearner
from .trees import TreeLearner

BLOCK = 262_144
"""Rows that are scored at a time, so that evaluating a large table needs little memory beyond its labels."""


def supervised(learner: Learner) -> LinearLearner | TreeLearner:
    """Raises BqmlError if the model has no label."""
    if isinstance(learner, (KMeansLearner, PcaLearner)):
        raise BqmlError("The function needs a model with a label; this one is unsupervised.")
    return learner


def margins_in_blocks(learner: Learner, encoder: Encoder, data: pa.Table, rows: pa.Array | None = None) -> Floats:
    """(rows × outputs), of the marked rows."""
    scorer = supervised(learner)
    parts = []
    for start in range(0, data.num_rows, BLOCK):
        block = data.slice(start, BLOCK)
        parts.append(scorer.margins(encoder, block, None if rows is None else rows.slice(start, BLOCK)))
    return np.concatenate(parts) if parts else np.empty((0, 1))


def evaluate_supervised(
    margins: Floats, target: npt.NDArray[Any], classes: Classes | None, threshold: float = 0.5
) -> Evaluation:
    """The metrics of supervised margins against labels (class codes in falling order, or numbers)."""
    if classes is None:
        return Evaluation(regression_metrics(target.astype(np.float64), margins[:, 0]))
    codes = target.astype(np.int64)
    chances = probabilities(margins)
    table = confusion(codes, predicted_codes(chances, threshold), classes.count)
    scores = ScoreTable.of(codes == 0, chances[:, 0]) if classes.count == 2 else None
    return Evaluation(classification_metrics(codes, chances, threshold), table, scores)

"""Feature attributions: exact for linear models, tree SHAP for trees.

A linear model's attribution of a feature is its weight times its value (for a category, its weight), on the scale of
the data, and the baseline is the intercept; a tree's are SHAP values, and the baseline is their expectation. Either
way baseline + attributions = prediction, so the approximation error is 0. A classifier explains the log-odds (more
than two classes: the score) of the class that it predicts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .design import Floats
from .encoder import Encoder
from .fitted import Learner
from .labels import Classes
from .linear import LinearLearner, raw_transform
from .options import ModelSpec
from .scoring import supervised
from .trees import TreeLearner

BLOCK = 32_768
FOREST_TREES = 10
GLOBAL_ROWS = 100_000


@dataclass(frozen=True)
class Attributions:
    """``values`` (n × outputs × features), ``baseline`` (n × outputs), ``features`` by name."""

    values: Floats
    baseline: Floats
    features: list[str]

    def of_class(self, codes: npt.NDArray[np.int64], classes: int) -> tuple[Floats, Floats]:
        """(n × features) and (n) for each row's class; with two, the second mirrors the first."""
        rows = np.arange(len(self.values))
        if classes > 2:
            return self.values[rows, codes], self.baseline[rows, codes]
        sign = np.where(codes == 1, -1.0, 1.0) if classes == 2 else np.ones(len(rows))
        return self.values[:, 0] * sign[:, None], self.baseline[:, 0] * sign


def attributions(
    learner: Learner,
    encoder: Encoder,
    data: pa.Table | pa.RecordBatch,
    *,
    approximate: bool,
    rows: pa.Array | None = None,
) -> Attributions:
    """Attributions of all inputs for each marked row."""
    scorer = supervised(learner)
    if isinstance(scorer, TreeLearner):
        return _tree(scorer, encoder, data, rows, approximate)
    return _linear(scorer, encoder, data, rows)


def _linear(
    learner: LinearLearner, encoder: Encoder, data: pa.Table | pa.RecordBatch, rows: pa.Array | None
) -> Attributions:
    design = encoder.design(data, intercept=learner.intercept, rows=rows)
    layout = encoder.layout()
    outputs = learner.weights.shape[1]
    values = np.empty((design.rows, outputs, len(encoder.encodings)))
    names = [encoding.name for encoding in encoder.encodings]
    constant = _at_zero(learner, encoder)
    for encoding, start, stop in layout:
        part = design.columns(start, stop) @ learner.weights[start:stop]
        values[:, :, names.index(encoding.name)] = part + constant[start:stop].sum(axis=0)
    base = raw_transform(encoder, learner.intercept)[-1] @ learner.weights if learner.intercept else np.zeros(outputs)
    return Attributions(values, np.broadcast_to(base, (design.rows, outputs)), names)


def _at_zero(learner: LinearLearner, encoder: Encoder) -> Floats:
    """What each standardised column's weight contributes through the column's mean.

    Zero without an intercept to take it from, as then the numbers' standardisation is part of the model.
    """
    constant = np.zeros_like(learner.weights)
    if not learner.intercept:
        return constant
    shifts = raw_transform(encoder, True)[-1].copy()
    shifts[-1] = 0.0
    return np.asarray(-shifts[:, None] * learner.weights)


def _tree(
    learner: TreeLearner,
    encoder: Encoder,
    data: pa.Table | pa.RecordBatch,
    rows: pa.Array | None,
    approximate: bool,
) -> Attributions:
    found = learner.contributions(encoder.matrix(data, rows), approximate=approximate)
    sources = encoder.matrix_sources()
    names = [encoding.name for encoding in encoder.encodings]
    values = np.zeros((found.shape[0], found.shape[1], len(names)))
    for column, source in enumerate(sources):
        values[:, :, names.index(source)] += found[:, :, column]
    return Attributions(values, found[:, :, -1], names)


def global_attributions(
    spec: ModelSpec,
    learner: Learner,
    encoder: Encoder,
    data: pa.Table,
    rows: pa.Array | None,
    classes: Classes | None,
) -> dict[str, dict[str, float]]:
    """ML.GLOBAL_EXPLAIN: the mean absolute attribution of each feature, overall ('') and by class label.

    Over the marked rows; of more than 100,000, over the first 100,000.
    """
    chosen = data if rows is None else data.filter(rows)
    chosen = chosen.slice(0, GLOBAL_ROWS)
    approximate = _approximates(spec)
    totals: list[Floats] = []
    names = [encoding.name for encoding in encoder.encodings]
    for start in range(0, chosen.num_rows, BLOCK):
        found = attributions(learner, encoder, chosen.slice(start, BLOCK), approximate=approximate)
        totals.append(np.abs(found.values).sum(axis=0))
    means = np.sum(totals, axis=0) / chosen.num_rows
    overall = dict(zip(names, means.mean(axis=0).tolist(), strict=True))
    explained = {"": overall}
    if classes is not None:
        for index, label in enumerate(classes.texts()):
            row = means[index if len(means) > 1 else 0]
            explained[label] = dict(zip(names, row.tolist(), strict=True))
    return explained


def _approximates(spec: ModelSpec) -> bool:
    if spec.linear:
        return False
    said = spec.value("approx_global_feature_contrib")
    return bool(said) if said is not None else spec.value("num_parallel_tree") >= FOREST_TREES

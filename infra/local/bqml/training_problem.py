"""A supervised training problem: the label found, the rows split, the features encoded, once for all of its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .design import Floats
from .encoder import Encoder
from .encodings import TARGET
from .errors import BqmlError
from .explanation import global_attributions
from .fitted import Evaluation, Fit, Learner
from .labels import Classes, check_label, class_weights, find_classes, find_label, regression_target
from .linear import LinearLearner, train_linear
from .model import Model
from .options import ModelSpec
from .progress import Progress
from .scoring import evaluate_supervised, margins_in_blocks
from .splitting import Mask, Split, split_column, split_rows
from .trees import TreeLearner, train_trees, tree_data


@dataclass
class Problem:
    """A supervised training problem, encoded once: shared by all trials of a tuned model.

    ``train``, ``evaluation`` and ``test`` mark rows of ``data`` (None = all rows, no rows, no rows).
    """

    data: pa.Table
    label: str
    classes: Classes | None
    target: npt.NDArray[Any]
    encoder: Encoder
    train: pa.Array | None
    evaluation: pa.Array | None
    test: pa.Array | None
    instance_weights: Floats | None
    _cache: dict[str, Any] = field(default_factory=dict)

    def fit(self, spec: ModelSpec, progress: Progress, previous: Fit | None = None) -> Fit:
        """Train one model with the spec's options and evaluate it on the held-out rows (all, if none are)."""
        learner = self._linear(spec, progress, previous) if spec.linear else self._trees(spec, progress)
        runs = [*(previous.runs if previous else []), progress.iterations]
        fit = Fit(learner, runs, self.evaluate(learner, self.evaluation))
        if spec.value("enable_global_explain"):
            rows = self.evaluation if self.evaluation is not None else self.train
            fit.attributions = global_attributions(spec, learner, self.encoder, self.data, rows, self.classes)
        return fit

    def evaluate(self, learner: Learner, rows: pa.Array | None) -> Evaluation:
        """Metrics on the marked rows, or on the training rows where none are marked."""
        if rows is None:
            rows, encoded = self.train, self._cache.get("train")
        else:
            encoded = self._cache.get("evaluation") if rows is self.evaluation else None
        if encoded is None:
            margins = margins_in_blocks(learner, self.encoder, self.data, rows)
        elif isinstance(learner, TreeLearner):
            margins = learner.margins_of(encoded)
        elif isinstance(learner, LinearLearner):
            margins = encoded.dot(learner.weights)
        else:
            raise TypeError(f"{type(learner).__name__} has no label to be evaluated by")
        found = evaluate_supervised(margins, self._of(self.target, rows), self.classes)
        if found.scores is not None:
            found.scores = found.scores.compact()
        return found

    def _linear(self, spec: ModelSpec, progress: Progress, previous: Fit | None) -> LinearLearner:
        intercept = bool(spec.value("fit_intercept"))
        held_out = None
        if self.evaluation is not None:
            design = self._cached("evaluation", lambda: self._design(intercept, self.evaluation))
            held_out = (design, self._of(self.target, self.evaluation))
        start = previous.learner.weights if previous and isinstance(previous.learner, LinearLearner) else None
        return train_linear(
            spec,
            self._cached("train", lambda: self._design(intercept, self.train)),
            self._of(self.target, self.train),
            self.classes.count if self.classes else 0,
            self._row_weights(spec),
            held_out,
            start,
            progress,
        )

    def _trees(self, spec: ModelSpec, progress: Progress) -> Learner:
        classes = self.classes.count if self.classes else 0
        train = self._cached(
            "tree data",
            lambda: tree_data(
                self.encoder.matrix(self.data, self.train),
                self._of(self.target, self.train),
                self._row_weights(spec),
                classes,
            ),
        )
        held_out = None
        if self.evaluation is not None:
            matrix = self._cached("evaluation", lambda: self.encoder.matrix(self.data, self.evaluation))
            held_out = tree_data(matrix, self._of(self.target, self.evaluation), None, classes)
        return train_trees(spec, train, classes, held_out, progress)

    def _design(self, intercept: bool, rows: pa.Array | None) -> Any:
        return self.encoder.design(self.data, intercept=intercept, rows=rows)

    def _cached(self, name: str, build: Callable[[], Any]) -> Any:
        if name not in self._cache:
            self._cache[name] = build()
        return self._cache[name]

    def release(self) -> None:
        """Let the encoded matrices go."""
        self._cache.clear()

    def _of(self, values: npt.NDArray[Any], rows: pa.Array | None) -> npt.NDArray[Any]:
        return values if rows is None else values[np.asarray(rows)]

    def _row_weights(self, spec: ModelSpec) -> Floats | None:
        weights = None if self.instance_weights is None else self._of(self.instance_weights, self.train)
        if self.classes is not None:
            codes = self._of(self.target, self.train)
            by_class = class_weights(spec, self.classes, codes)
            if by_class is not None:
                weights = by_class[codes] if weights is None else weights * by_class[codes]
        return weights


def prepare(spec: ModelSpec, data: pa.Table, evaluation: pa.Table | None, warm_start: Model | None) -> Problem:
    """Find the label, split the rows, learn the encoding. Raises BqmlError on everything that cannot be trained on."""
    if evaluation is not None:
        data, split = _joined(spec, data, evaluation)
    else:
        split = None
    label = find_label(data, spec)
    check_label(data, label)
    column = data.column(label)
    classes = None
    if spec.classifier:
        classes = (warm_start.classes if warm_start else None) or find_classes(column, label)
        target: npt.NDArray[Any] = classes.codes(column, label)
    else:
        target = regression_target(column, label)
    weight_column = spec.options.get("instance_weight_col")
    instance_weights = _instance_weights(data, weight_column) if weight_column else None
    if split is None:
        split = split_rows(spec, data)
    dropped = {label, split_column(spec, data), weight_column}
    features = [name for name in data.schema.names if name not in dropped]
    if not features:
        raise BqmlError("The training query has no feature columns.")
    train_rows = None if split.train.all() else pa.array(split.train)
    if warm_start is not None:
        encoder = warm_start.encoder
        encoder.inputs(data.slice(0, 0))
    else:
        encoder = Encoder.fit(
            data,
            features,
            method=str(spec.value("category_encoding_method")),
            standardize=spec.linear,
            rows=train_rows,
            targets=_encoding_targets(spec, target, classes, split.train),
        )
    return Problem(
        data,
        label,
        classes,
        target,
        encoder,
        train_rows,
        _marks(split.evaluation),
        _marks(split.test),
        instance_weights,
    )


def _joined(spec: ModelSpec, data: pa.Table, evaluation: pa.Table) -> tuple[pa.Table, Split]:
    if "data_split_method" in spec.options:
        raise BqmlError("Option DATA_SPLIT_METHOD cannot be used together with an evaluation query.")
    if [n.lower() for n in data.schema.names] != [n.lower() for n in evaluation.schema.names]:
        raise BqmlError("The training query and the evaluation query must have the same columns.")
    if evaluation.num_rows == 0:
        raise BqmlError("The evaluation query returned no rows.")
    try:
        both = pa.concat_tables([data, evaluation.rename_columns(data.schema.names).cast(data.schema)])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BqmlError("The training query and the evaluation query must have the same column types.") from error
    train = np.arange(both.num_rows) < data.num_rows
    return both, Split(train, ~train, None)


def _marks(mask: Mask | None) -> pa.Array | None:
    return None if mask is None else pa.array(mask)


def _encoding_targets(spec: ModelSpec, target: npt.NDArray[Any], classes: Classes | None, train: Mask) -> Floats | None:
    if spec.value("category_encoding_method") != TARGET:
        return None
    chosen = target[train]
    if classes is None:
        return np.asarray(chosen, dtype=np.float64)[:, None]
    columns = 1 if classes.count == 2 else classes.count
    return np.asarray((chosen[:, None] == np.arange(columns)).astype(np.float64))


def _instance_weights(data: pa.Table, name: str) -> Floats:
    if name not in data.schema.names:
        raise BqmlError(f"Column {name!r} of option INSTANCE_WEIGHT_COL is not found in the training data.")
    weights = regression_target(data.column(name), name)
    if (weights < 0).any():
        raise BqmlError(f"Column {name!r} of option INSTANCE_WEIGHT_COL has negative values.")
    return weights

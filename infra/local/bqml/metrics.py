"""The metrics of ML.EVALUATE, computed as the service does.

Classification: precision, recall and F1 of the positive class (two classes) or macro-averaged (more). The log loss of
more than two classes is macro-averaged too: the mean over classes of each class's mean. Regression: the
median absolute error is the lower median; a logarithm of a non-positive value makes MSLE NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .design import Floats

Codes = npt.NDArray[np.int64]
TINY = 1e-15
"""Probabilities are kept this far from 0 and 1 in the log loss, as float rounding would make it infinite."""

GRID = 20_000

REGRESSION = (
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
)
CLASSIFICATION = ("precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc")


def regression_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """The six metrics by name. Empty input gives NaN."""
    if len(actual) == 0:
        return dict.fromkeys(REGRESSION, float("nan"))
    error = actual - predicted
    absolute = np.sort(np.abs(error))
    squared = float(np.mean(error**2))
    variance = float(np.var(actual))
    with np.errstate(all="ignore"):
        logs = (np.log1p(actual) - np.log1p(predicted)) ** 2
    return {
        "mean_absolute_error": float(absolute.mean()),
        "mean_squared_error": squared,
        "mean_squared_log_error": float(np.mean(logs)) if np.isfinite(logs).all() else float("nan"),
        "median_absolute_error": float(absolute[(len(absolute) - 1) // 2]),
        "r2_score": 1.0 - squared / variance if variance > 0 else float("nan"),
        "explained_variance": 1.0 - float(np.var(error)) / variance if variance > 0 else float("nan"),
    }


def predicted_codes(probabilities: Floats, threshold: float = 0.5) -> Codes:
    """The predicted class: two classes by threshold on the first (the higher label), more by the largest."""
    if probabilities.shape[1] == 2:
        return np.where(probabilities[:, 0] >= threshold, 0, 1).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def confusion(actual: Codes, predicted: Codes, classes: int) -> npt.NDArray[np.int64]:
    """Rows: the actual class; columns: the predicted one."""
    cells = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return np.asarray(cells.reshape(classes, classes), dtype=np.int64)


def classification_metrics(actual: Codes, probabilities: Floats, threshold: float = 0.5) -> dict[str, float]:
    """The six metrics; ``actual`` and the columns of ``probabilities`` in falling order of the labels."""
    classes = probabilities.shape[1]
    if len(actual) == 0:
        return dict.fromkeys(CLASSIFICATION, float("nan"))
    table = confusion(actual, predicted_codes(probabilities, threshold), classes)
    hits, expected, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    if classes == 2:
        precision = hits[0] / predicted[0] if predicted[0] else float("nan")
        recall = hits[0] / expected[0] if expected[0] else float("nan")
        f1 = 2.0 * hits[0] / (predicted[0] + expected[0]) if predicted[0] + expected[0] else float("nan")
    else:
        present = expected + predicted > 0
        precision = float(np.mean(_ratio(hits, predicted)[present]))
        recall = float(np.mean(_ratio(hits, expected)[present]))
        f1 = float(np.mean(_ratio(2.0 * hits, predicted + expected)[present]))
    surprise = -np.log(np.clip(probabilities[np.arange(len(actual)), actual], TINY, 1.0))
    if classes == 2:
        log_loss = float(np.mean(surprise))
    else:
        by_class = np.bincount(actual, weights=surprise, minlength=classes)
        log_loss = float(np.mean((by_class / np.maximum(expected, 1))[expected > 0]))
    return {
        "precision": float(precision),
        "recall": float(recall),
        "accuracy": float(hits.sum() / len(actual)),
        "f1_score": float(f1),
        "log_loss": log_loss,
        "roc_auc": _roc_auc(actual, probabilities),
    }


def _ratio(numerator: npt.NDArray[np.generic], denominator: npt.NDArray[np.generic]) -> Floats:
    top, bottom = numerator.astype(np.float64), denominator.astype(np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _roc_auc(actual: Codes, probabilities: Floats) -> float:
    """Two classes: the area under the curve. More: the mean of one against the rest, over classes that occur."""
    classes = [0] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [area_under_roc(actual == c, probabilities[:, c]) for c in classes]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else float("nan")


def area_under_roc(positive: npt.NDArray[np.bool_], score: Floats) -> float | None:
    """The Mann-Whitney statistic, ties counting half; None where one class is missing."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    last = np.r_[first[1:], len(ranked)]
    middle_rank = np.repeat((first + last + 1) / 2.0, last - first)
    rank_sum = float(middle_rank[positive[order]].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


@dataclass(frozen=True)
class ScoreTable:
    """Scores of the positive class and how many rows of each class have them: what a ROC curve needs, and no more."""

    scores: Floats
    positives: Codes
    negatives: Codes

    @classmethod
    def of(cls, positive: npt.NDArray[np.bool_], score: Floats) -> ScoreTable:
        """Exact: an entry for each different score."""
        distinct, inverse = np.unique(score, return_inverse=True)
        size = len(distinct)
        return cls(
            distinct,
            np.bincount(inverse[positive], minlength=size),
            np.bincount(inverse[~positive], minlength=size),
        )

    def compact(self) -> ScoreTable:
        """Small enough to keep with a model: of many scores, the multiples of 1/20,000 below them.

        Counts at thresholds that are such multiples stay exact.
        """
        if len(self.scores) <= GRID:
            return self
        cells, inverse = np.unique(np.floor(self.scores * GRID), return_inverse=True)
        positives = np.bincount(inverse, weights=self.positives, minlength=len(cells))
        negatives = np.bincount(inverse, weights=self.negatives, minlength=len(cells))
        return ScoreTable(cells / GRID, positives.astype(np.int64), negatives.astype(np.int64))

    def curve(self, thresholds: Floats) -> dict[str, npt.NDArray[np.generic]]:
        """The columns of ML.ROC_CURVE: at each threshold, rows that score at least it are called positive."""
        at = np.searchsorted(self.scores, thresholds, side="left")
        above_positive = np.r_[np.cumsum(self.positives[::-1])[::-1], 0][at]
        above_negative = np.r_[np.cumsum(self.negatives[::-1])[::-1], 0][at]
        positives, negatives = int(self.positives.sum()), int(self.negatives.sum())
        return {
            "threshold": thresholds,
            "recall": above_positive / positives if positives else np.full(len(thresholds), np.nan),
            "false_positive_rate": above_negative / negatives if negatives else np.full(len(thresholds), np.nan),
            "true_positives": above_positive,
            "false_positives": above_negative,
            "true_negatives": negatives - above_negative,
            "false_negatives": positives - above_positive,
        }

    def default_thresholds(self) -> Floats:
        """A hundred quantiles of the scores (fewer where they coincide), highest first."""
        counts = np.cumsum(self.positives + self.negatives)
        if not len(counts):
            return np.empty(0)
        ranks = np.linspace(0, counts[-1] - 1, 101).round().astype(np.int64)
        picked = self.scores[np.searchsorted(counts, ranks, side="right")]
        return np.asarray(np.unique(picked)[::-1])

"""What the SQL of `evaluate/` computes, written a second time in NumPy: the bench simulates with it, a test holds the SQL to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from functions.service.fingerprint import farm_fingerprint

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# The Poisson(1) distribution function times 65,536, rounded.
BOUNDS = np.array([24109, 48219, 60273, 64292, 65296, 65497, 65531])


def draws(blocks: Ints, replicates: int) -> Ints:
    """How often each block (columns) is drawn in each replicate (rows), by hash as in bootstrap_weights.sql."""
    drawn = np.zeros((replicates, len(blocks)), dtype=np.int64)
    for column, block in enumerate(blocks):
        for batch in range((replicates + 3) // 4):
            bits = farm_fingerprint(f"{batch}:{block}") & (2**64 - 1)
            for lane in range(min(4, replicates - 4 * batch)):
                lot = bits >> (16 * lane) & 65535
                drawn[4 * batch + lane, column] = int(np.searchsorted(BOUNDS, lot, side="right"))
    return drawn


def steps(positive: NDArray[np.bool_], probability: Floats) -> Ints:
    """The step along the ROC curve of each row, as in bootstrap_counts.sql; 0 holds the highest scores."""
    _, level = np.unique(-probability.round(6), return_inverse=True)
    hits = np.bincount(level, positive).cumsum()
    misses = np.bincount(level, ~positive).cumsum()
    along: Ints = np.floor(200 * (hits / hits[-1] + misses / misses[-1])).astype(np.int64)
    return along[level]


def average_precision(positive: NDArray[np.bool_], probability: Floats) -> float:
    """The average precision of the rows themselves, as in metrics.sql."""
    _, level = np.unique(-probability.round(6), return_inverse=True)
    hits, rows = np.bincount(level, positive), np.bincount(level)
    return float((hits * hits.cumsum() / rows.cumsum()).sum() / hits.sum())


def average_precisions(positive: NDArray[np.bool_], probability: Floats, place: Ints, drawn: Ints) -> Floats:
    """The average precision in each replicate, as in replicates.sql.

    Args:
        positive: The labels, a row each.
        probability: The scores.
        place: The column in `drawn` of each row's block.
        drawn: Replicates by blocks.
    """
    step = steps(positive, probability)
    size = (int(step.max()) + 1, drawn.shape[1])

    def counted(which: NDArray[np.bool_]) -> Floats:
        held = sparse.csr_matrix((np.ones(int(which.sum())), (step[which], place[which])), shape=size)
        counts: Floats = (held @ drawn.T).T
        return counts

    hits, misses = counted(positive), counted(~positive)
    above, wrong = hits.cumsum(axis=1), misses.cumsum(axis=1)
    with np.errstate(invalid="ignore"):
        terms = np.where(hits > 0, hits * above / (above + wrong), 0.0)
        result: Floats = terms.sum(axis=1) / above[:, -1]
    return result


def bounds(differences: Floats, observed: float, confidence: float) -> tuple[float, float]:
    """The wider of the percentile and the basic bootstrap bounds, by order statistics, as in comparison.sql."""
    ordered = np.sort(differences[~np.isnan(differences)])
    count = len(ordered)
    outer = max(int(np.floor((1 - confidence) * (count + 1))), 1)
    low, high = float(ordered[outer - 1]), float(ordered[count - outer])
    return min(low, 2 * observed - high), max(high, 2 * observed - low)


def best_threshold(positive: NDArray[np.bool_], probability: Floats, errors: float) -> float:
    """The middle of the thresholds whose F1 is within so many standard errors of the best, as in thresholds.sql."""
    scores = np.unique(probability.round(6))[::-1]
    threshold = (scores + np.append(scores[1:], 0.0)) / 2
    order = np.argsort(-probability)
    hits = positive[order].cumsum()
    said = np.searchsorted(-probability[order], -threshold, side="right")
    f1 = 2 * hits[said - 1] / (said + positive.sum())
    best = float(f1.max())
    good = np.sort(threshold[f1 >= best - errors * np.sqrt(best * (1 - best) / positive.sum())])
    return float(good[len(good) // 2])


def f1_score(positive: NDArray[np.bool_], probability: Floats, threshold: float) -> float:
    """F1 at a threshold."""
    said = probability >= threshold
    return float(2 * (said & positive).sum() / (said.sum() + positive.sum()))

"""What the SQL of the bootstrap computes, written a second time in NumPy, from the same blocks and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from functions.service.fingerprint import farm_fingerprint

# The Poisson(1) distribution function times 65,536, rounded.
BOUNDS = np.array([24109, 48219, 60273, 64292, 65296, 65497, 65531])


def weights(blocks: NDArray[np.int64], replicates: int) -> NDArray[np.int64]:
    """Draws of each block (columns) in each replicate (rows)."""
    drawn = np.zeros((replicates, len(blocks)), dtype=np.int64)
    for column, block in enumerate(blocks):
        for batch in range((replicates + 3) // 4):
            bits = farm_fingerprint(f"{batch}:{block}") & (2**64 - 1)
            for lane in range(4):
                if 4 * batch + lane < replicates:
                    lot = bits >> (16 * lane) & 65535
                    drawn[4 * batch + lane, column] = int(np.searchsorted(BOUNDS, lot, side="right"))
    return drawn


def average_precisions(rows: pd.DataFrame, draws: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average precision in each replicate, of rows with `is_positive`, `probability` and `block`."""
    levels = rows.assign(score=rows.probability.round(6)).groupby("score").is_positive.agg(["sum", "count"])
    levels = levels.sort_index(ascending=False).cumsum()
    recall = levels["sum"] / levels["sum"].iloc[-1]
    false_rate = (levels["count"] - levels["sum"]) / (levels["count"].iloc[-1] - levels["sum"].iloc[-1])
    steps = np.floor(200 * (recall + false_rate)).astype(int)
    step = rows.probability.round(6).map(steps).to_numpy()
    place = {block: column for column, block in enumerate(blocks)}
    weight = draws[:, [place[block] for block in rows.block]]
    positive = rows.is_positive.to_numpy()
    size = steps.max() + 1
    hits = np.array([np.bincount(step, w * positive, minlength=size) for w in weight])
    misses = np.array([np.bincount(step, w * ~positive, minlength=size) for w in weight])
    above, wrong = hits.cumsum(axis=1), misses.cumsum(axis=1)
    with np.errstate(invalid="ignore"):
        terms = np.where(hits > 0, hits * above / (above + wrong), 0.0)
    result: NDArray[np.float64] = terms.sum(axis=1) / above[:, -1]
    return result


def bounds(differences: NDArray[np.float64], observed: float, confidence: float) -> tuple[float, float]:
    """The wider of percentile and basic bootstrap bounds, by order statistics."""
    ordered, count = np.sort(differences), len(differences)
    outside = max(int(np.floor((1 - confidence) * (count + 1))) - 1, 0)
    low, high = ordered[outside], ordered[count - 1 - outside]
    return min(low, 2 * observed - high), max(high, 2 * observed - low)

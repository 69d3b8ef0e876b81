"""KMEANS: Lloyd's algorithm over standardised numbers and one-hot categories, with BigQuery ML's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .design import Design, Floats
from .errors import BqmlError
from .options import ModelSpec
from .progress import Progress, relative_progress

SEED = 23
"""Any seed is as good; with this one the recorded results of the service come out."""
BLOCK = 65_536
DRAWS = 10
DRAW_ROWS = 20_000


@dataclass
class KMeansLearner:
    """``centroids`` (clusters × width) in the encoded space; ``cosine``: which distance; ``counts`` of training rows."""

    centroids: Floats
    cosine: bool
    counts: npt.NDArray[np.int64]

    def distances(self, points: Floats) -> Floats:
        """(n × clusters): Euclidean, or 1 − cosine similarity."""
        return np.sqrt(_squared(points, self.centroids)) if not self.cosine else _cosine(points, self.centroids)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What is stored: JSON-able values and arrays."""
        return {"cosine": self.cosine}, {"centroids": self.centroids, "counts": self.counts}

    @classmethod
    def restored(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> KMeansLearner:
        """The learner of what ``state`` gave."""
        return cls(arrays["centroids"], state["cosine"], arrays["counts"])


def points_of(design: Design) -> Floats:
    """The encoded rows as one dense matrix."""
    if design.slots is None:
        return design.dense
    return np.hstack([design.dense, design.slots.toarray()])


def default_clusters(rows: int) -> int:
    """log10 of the number of rows, at least 2: the documented default."""
    return max(2, round(float(np.log10(max(rows, 1)))))


def train_kmeans(
    spec: ModelSpec, design: Design, custom: npt.NDArray[np.bool_] | None, start: Floats | None, progress: Progress
) -> KMeansLearner:
    """Train. ``custom`` marks the rows that are the first centroids; ``start`` = centroids of a warm start.

    The loss of an iteration is the mean squared distance (Euclidean) or mean distance (cosine) to the nearest centroid.
    """
    points = points_of(design)
    clusters = spec.options.get("num_clusters") or default_clusters(len(points))
    if clusters > len(points):
        raise BqmlError(f"Option NUM_CLUSTERS = {clusters} is more than the {len(points)} rows of training data.")
    cosine = spec.value("distance_type") == "COSINE"
    if start is not None:
        centroids = start.copy()
    elif custom is not None:
        centroids = _custom(points, custom, clusters)
    elif spec.value("kmeans_init_method") == "KMEANS++":
        centroids = _plus_plus(points, clusters, cosine)
    else:
        centroids = _random(points, clusters, cosine)
    loss = np.inf
    nearest = np.zeros(len(points), dtype=np.int64)
    for _ in range(spec.value("max_iterations")):
        nearest, distance = assign(points, centroids, cosine)
        before, loss = loss, float(distance.mean())
        progress.record(loss, None, None, _clusters(nearest, distance, clusters, cosine))
        centroids = _moved(points, nearest, centroids)
        slow = np.isfinite(before) and relative_progress(before, loss) < spec.value("min_rel_progress")
        if slow and spec.value("early_stop"):
            break
    nearest, _ = assign(points, centroids, cosine)
    order = np.arange(clusters)
    if start is None and custom is None:
        # Drawn centroids have no order of their own: the one farthest from the middle of the data is number 1.
        order = np.argsort(-_squared(centroids, points.mean(axis=0)[None])[:, 0], kind="stable")
    return KMeansLearner(centroids[order], cosine, np.bincount(nearest, minlength=clusters)[order])


def assign(points: Floats, centroids: Floats, cosine: bool) -> tuple[npt.NDArray[np.int64], Floats]:
    """Nearest centroid and (squared Euclidean or cosine) distance, a block of rows at a time."""
    nearest = np.empty(len(points), dtype=np.int64)
    distance = np.empty(len(points))
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        table = _cosine(block, centroids) if cosine else _squared(block, centroids)
        found = table.argmin(axis=1)
        nearest[start : start + BLOCK] = found
        distance[start : start + BLOCK] = table[np.arange(len(block)), found]
    return nearest, distance


def _clusters(
    nearest: npt.NDArray[np.int64], distance: Floats, clusters: int, cosine: bool
) -> tuple[tuple[float, int], ...]:
    """Radius (root mean squared distance; mean distance for cosine) and number of rows of each cluster."""
    sizes = np.bincount(nearest, minlength=clusters)
    means = np.bincount(nearest, weights=distance, minlength=clusters) / np.maximum(sizes, 1)
    radius = means if cosine else np.sqrt(means)
    return tuple(zip(radius.tolist(), sizes.tolist(), strict=True))


def _moved(points: Floats, nearest: npt.NDArray[np.int64], centroids: Floats) -> Floats:
    """The mean of each cluster; an empty one stays where it is."""
    moved = centroids.copy()
    counts = np.bincount(nearest, minlength=len(centroids))
    for j in range(points.shape[1]):
        sums = np.bincount(nearest, weights=points[:, j], minlength=len(centroids))
        moved[:, j] = np.where(counts > 0, sums / np.maximum(counts, 1), centroids[:, j])
    return moved


def _random(points: Floats, clusters: int, cosine: bool) -> Floats:
    """Rows of the data, drawn at random: of ten draws the one that lies nearest to the rows (or to a sample of them)."""
    generator = np.random.default_rng(SEED)
    sample = points[:: max(1, len(points) // DRAW_ROWS)]
    draws = [points[np.sort(generator.choice(len(points), clusters, replace=False))] for _ in range(DRAWS)]
    return min(draws, key=lambda draw: float(assign(sample, draw, cosine)[1].mean())).copy()


def _custom(points: Floats, marked: npt.NDArray[np.bool_], clusters: int) -> Floats:
    if int(marked.sum()) != clusters:
        raise BqmlError(f"The column of option KMEANS_INIT_COL is TRUE in {int(marked.sum())} rows, not {clusters}.")
    return points[marked].copy()


def _plus_plus(points: Floats, clusters: int, cosine: bool) -> Floats:
    generator = np.random.default_rng(SEED)
    chosen = [int(generator.integers(len(points)))]
    while len(chosen) < clusters:
        _, distance = assign(points, points[chosen], cosine)
        total = distance.sum()
        weights = distance / total if total > 0 else np.full(len(points), 1.0 / len(points))
        chosen.append(int(generator.choice(len(points), p=weights)))
    return points[chosen].copy()


def _squared(points: Floats, centroids: Floats) -> Floats:
    table = (points**2).sum(axis=1)[:, None] - 2.0 * points @ centroids.T + (centroids**2).sum(axis=1)
    return np.asarray(np.maximum(table, 0.0))


def _cosine(points: Floats, centroids: Floats) -> Floats:
    lengths = np.linalg.norm(points, axis=1)[:, None] * np.linalg.norm(centroids, axis=1)
    similarity = np.divide(points @ centroids.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0)
    # Rounding may take the similarity of parallel vectors above 1, and what is drawn by distance bears no negative ones.
    return np.asarray(np.maximum(1.0 - similarity, 0.0))


def davies_bouldin(points: Floats, learner: KMeansLearner) -> float:
    """The Davies-Bouldin index (Euclidean, square roots), over clusters that have rows."""
    nearest, _ = assign(points, learner.centroids, learner.cosine)
    present = np.unique(nearest)
    if len(present) < 2:
        return 0.0
    centers = learner.centroids[present]
    spread = np.array(
        [float(np.sqrt(_squared(points[nearest == c], learner.centroids[c : c + 1])).mean()) for c in present]
    )
    apart = np.sqrt(_squared(centers, centers))
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore"):
        return float(((spread[:, None] + spread) / apart).max(axis=1).mean())

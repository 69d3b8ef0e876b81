"""How well clusters or components describe rows: the metrics of ML.EVALUATE for KMEANS and PCA."""

from __future__ import annotations

from .design import Design
from .fitted import Learner
from .kmeans import KMeansLearner, assign, davies_bouldin, points_of
from .pca import PcaLearner

KMEANS_METRICS = ("davies_bouldin_index", "mean_squared_distance")


def unsupervised_metrics(learner: Learner, design: Design) -> dict[str, float]:
    """ML.EVALUATE of a KMEANS model (on the design's rows) or of a PCA model (of its training)."""
    if isinstance(learner, PcaLearner):
        return {"total_explained_variance_ratio": learner.explained()}
    if not isinstance(learner, KMeansLearner):
        raise TypeError(f"{type(learner).__name__} is not unsupervised")
    points = points_of(design)
    if not len(points):
        return dict.fromkeys(KMEANS_METRICS, float("nan"))
    _, distance = assign(points, learner.centroids, learner.cosine)
    return dict(zip(KMEANS_METRICS, (davies_bouldin(points, learner), float(distance.mean())), strict=True))

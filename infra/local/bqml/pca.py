"""PCA: the eigenvectors of the covariance of standardised numbers and one-hot categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .design import Design, Floats
from .errors import BqmlError
from .options import ModelSpec
from .progress import Progress


@dataclass
class PcaLearner:
    """``components`` (kept × width), ``eigenvalues`` of those kept, ``total`` variance, ``center`` (width)."""

    components: Floats
    eigenvalues: Floats
    total: float
    center: Floats

    def project(self, design: Design) -> Floats:
        """(n × kept) coordinates."""
        return np.asarray(design.dot(np.ascontiguousarray(self.components.T)) - self.center @ self.components.T)

    def explained(self) -> float:
        """The share of the variance that the kept components explain."""
        return float(self.eigenvalues.sum() / self.total) if self.total else float("nan")

    def squared_errors(self, design: Design) -> Floats:
        """Each row's mean squared reconstruction error, over all encoded columns."""
        weights = np.ascontiguousarray(self.components.T)
        scores = design.dot(weights) - self.center @ weights
        dense = design.dense if design.slots is None else np.hstack([design.dense, design.slots.toarray()])
        return np.asarray(((dense - self.center - scores @ self.components) ** 2).mean(axis=1))

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What is stored: JSON-able values and arrays."""
        arrays = {"components": self.components, "eigenvalues": self.eigenvalues, "center": self.center}
        return {"total": self.total}, arrays

    @classmethod
    def restored(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> PcaLearner:
        """The learner of what ``state`` gave."""
        return cls(arrays["components"], arrays["eigenvalues"], state["total"], arrays["center"])


def train_pca(spec: ModelSpec, design: Design, progress: Progress) -> PcaLearner:
    """Train. The covariance divides by rows − 1."""
    progress.check()
    n, width = design.rows, design.width
    if n < 2:
        raise BqmlError("PCA needs at least two rows of training data.")
    mean = design.transposed_dot(np.ones((n, 1)))[:, 0] / n
    covariance = (design.gram() - n * np.outer(mean, mean)) / (n - 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    total = float(values.sum())
    ratio = spec.options.get("pca_explained_variance_ratio")
    if ratio is not None:
        kept = int(np.searchsorted(np.cumsum(values) / total, ratio - 1e-12) + 1) if total else 1
    else:
        kept = int(spec.options["num_principal_components"])
        if kept > min(n, width):
            raise BqmlError(
                f"Option NUM_PRINCIPAL_COMPONENTS = {kept} is more than the {min(n, width)} that the data have."
            )
    components = vectors[:, : min(kept, width)].T.copy()
    # A component's sign is arbitrary; the largest loading is made positive so that the same data give the same signs.
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    progress.record(1.0 - float(values[: len(components)].sum()) / total if total else 0.0, None, None)
    return PcaLearner(components, values[: len(components)], total, mean)

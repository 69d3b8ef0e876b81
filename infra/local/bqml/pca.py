"""PCA: eigenvectors of the second moments of centred, scaled numbers and one-hot categories.

Numbers are scaled by their sample deviation; category slots are neither centred nor scaled, so their second moments are
taken about zero. (Recorded results of the service are met to all digits so, and not otherwise.)
"""

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
    """``components`` (kept × width), ``eigenvalues`` of those kept, ``total`` of all eigenvalues."""

    components: Floats
    eigenvalues: Floats
    total: float

    def project(self, design: Design) -> Floats:
        """(n × kept) coordinates."""
        return design.dot(np.ascontiguousarray(self.components.T))

    def explained(self) -> float:
        """The share of the variance that the kept components explain."""
        return float(self.eigenvalues.sum() / self.total) if self.total else float("nan")

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What is stored: JSON-able values and arrays."""
        return {"total": self.total}, {"components": self.components, "eigenvalues": self.eigenvalues}

    @classmethod
    def restored(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> PcaLearner:
        """The learner of what ``state`` gave."""
        return cls(arrays["components"], arrays["eigenvalues"], state["total"])


def train_pca(spec: ModelSpec, design: Design, progress: Progress) -> PcaLearner:
    """Train; the moments divide by rows - 1."""
    progress.check()
    n, width = design.rows, design.width
    if n < 2:
        raise BqmlError("PCA needs at least two rows of training data.")
    values, vectors = np.linalg.eigh(design.gram() / (n - 1))
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
    components = _signed(vectors[:, : min(kept, width)].T.copy(), design)
    progress.record(1.0 - float(values[: len(components)].sum()) / total if total else 0.0, None, None)
    return PcaLearner(components, values[: len(components)], total)


def _signed(components: Floats, design: Design) -> Floats:
    """A component's sign means nothing, but must be the same every time.

    The first category slot gets a negative loading (as in the recorded projections of the service); without
    categories, the largest loading is positive.
    """
    rows = np.arange(len(components))
    if design.slots is not None:
        signs = -np.sign(components[:, design.dense.shape[1]])
    else:
        signs = np.sign(components[rows, np.abs(components).argmax(axis=1)])
    return np.asarray(components * np.where(signs == 0, 1.0, signs)[:, None])

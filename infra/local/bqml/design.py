"""The design matrix of a linear model: dense numbers, sparse category slots and an intercept, never joined into one.

One dense matrix of all one-hot slots would take rows × categories of memory. Columns come in the order dense, sparse,
intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """``dense`` (n × p, column-major), ``slots`` (n × q, CSR) and whether a column of ones follows."""

    dense: Floats
    slots: sparse.csr_matrix | None
    intercept: bool

    @property
    def rows(self) -> int:
        """n."""
        return int(self.dense.shape[0])

    @property
    def width(self) -> int:
        """p + q, and 1 for the intercept."""
        return int(self.dense.shape[1] + (self.slots.shape[1] if self.slots is not None else 0) + self.intercept)

    def dot(self, weights: Floats) -> Floats:
        """``X @ weights``; weights (width × k) → (n × k)."""
        p = self.dense.shape[1]
        stop = self.width - self.intercept
        out = self.dense @ weights[:p]
        if self.slots is not None:
            out += self.slots @ weights[p:stop]
        if self.intercept:
            out += weights[-1]
        return np.asarray(out)

    def transposed_dot(self, residuals: Floats) -> Floats:
        """``Xᵀ @ residuals``; (n × k) → (width × k)."""
        parts = [self.dense.T @ residuals]
        if self.slots is not None:
            parts.append(self.slots.T @ residuals)
        if self.intercept:
            parts.append(residuals.sum(axis=0, keepdims=True))
        return np.concatenate(parts)

    def columns(self, start: int, stop: int) -> Floats:
        """A run of columns, dense (n × (stop - start)); it must lie within the dense ones or within the slots."""
        p = self.dense.shape[1]
        if stop <= p or self.slots is None:
            return self.dense[:, start:stop]
        return np.asarray(self.slots[:, start - p : stop - p].toarray())

    def slot_scales(self) -> Floats:
        """The root mean square of each slot's column (1 for an empty one)."""
        if self.slots is None:
            return np.empty(0)
        squares = np.asarray(self.slots.multiply(self.slots).mean(axis=0)).ravel()
        return np.sqrt(np.where(squares > 0, squares, 1.0))

    def with_slots_divided(self, scales: Floats) -> Design:
        """The same design, each slot's column divided by its scale."""
        if self.slots is None:
            return self
        return Design(self.dense, (self.slots @ sparse.diags(1.0 / scales)).tocsr(), self.intercept)

    def gram(self, weights: Floats | None = None) -> Floats:
        """``Xᵀ diag(weights) X`` (width × width)."""
        p, width = self.dense.shape[1], self.width
        stop = width - self.intercept
        out = np.zeros((width, width))
        dense = self.dense if weights is None else self.dense * weights[:, None]
        out[:p, :p] = self.dense.T @ dense
        ones = np.ones(self.rows) if weights is None else weights
        if self.slots is not None:
            weighted = self.slots if weights is None else self.slots.multiply(weights[:, None]).tocsr()
            out[p:stop, :p] = weighted.T @ self.dense
            out[:p, p:stop] = out[p:stop, :p].T
            out[p:stop, p:stop] = (self.slots.T @ weighted).toarray()
        if self.intercept:
            without = Design(self.dense, self.slots, False)
            border = without.transposed_dot(ones[:, None])[:, 0]
            out[-1, :stop] = out[:stop, -1] = border
            out[-1, -1] = ones.sum()
        return out

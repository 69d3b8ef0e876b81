"""The losses that linear models minimise, as functions of the linear predictor ``z = X @ weights``."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from .design import Floats


class Loss(Protocol):
    """A mean over rows, with each row's weight; ``outputs`` = columns of the linear predictor."""

    outputs: int

    def value(self, z: Floats) -> float:
        """The loss."""

    def residual(self, z: Floats) -> Floats:
        """The derivative by z (n × outputs), already divided by the number of rows."""


class SquaredLoss:
    """Mean squared error; the gradient is of half of it, so that a rate means the same as for the logistic loss."""

    outputs = 1

    def __init__(self, target: Floats) -> None:
        self._target = target[:, None]

    def value(self, z: Floats) -> float:
        """The loss."""
        return float(np.mean((z - self._target) ** 2))

    def residual(self, z: Floats) -> Floats:
        """Its derivative."""
        return np.asarray((z - self._target) / len(z))


class BinaryLogLoss:
    """Mean log loss of two classes; code 0 is the positive one (classes stand in falling order)."""

    outputs = 1

    def __init__(self, codes: npt.NDArray[np.int64], row_weights: Floats | None) -> None:
        self._sign = np.where(codes == 0, -1.0, 1.0)[:, None]
        self._weights = None if row_weights is None else row_weights[:, None]

    def value(self, z: Floats) -> float:
        """The loss."""
        # log(1 + exp(-yz)) with y = ±1, kept finite at both ends
        loss = np.logaddexp(0.0, self._sign * z)
        return float(np.mean(loss if self._weights is None else loss * self._weights))

    def residual(self, z: Floats) -> Floats:
        """Its derivative."""
        out = self._sign * sigmoid(self._sign * z)
        if self._weights is not None:
            out *= self._weights
        return np.asarray(out / len(z))


class SoftmaxLogLoss:
    """Mean log loss of more classes; one column of z a class."""

    def __init__(self, codes: npt.NDArray[np.int64], classes: int, row_weights: Floats | None) -> None:
        self.outputs = classes
        self._codes = codes
        self._rows = np.arange(len(codes))
        self._weights = row_weights

    def value(self, z: Floats) -> float:
        """The loss."""
        top = z.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
        loss = log_total - z[self._rows, self._codes]
        return float(np.mean(loss if self._weights is None else loss * self._weights))

    def residual(self, z: Floats) -> Floats:
        """Its derivative."""
        out = softmax(z)
        out[self._rows, self._codes] -= 1.0
        if self._weights is not None:
            out *= self._weights[:, None]
        return np.asarray(out / len(z))


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


def softmax(z: Floats) -> Floats:
    """Rows of probabilities."""
    out = np.exp(z - z.max(axis=1, keepdims=True))
    out /= out.sum(axis=1, keepdims=True)
    return np.asarray(out)

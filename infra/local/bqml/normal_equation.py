"""Least squares in closed form, and the covariance of the weights that p-values rest on."""

from __future__ import annotations

import numpy as np

from .design import Design, Floats
from .errors import BqmlError

RANK_TOLERANCE = 1e-10
"""Eigenvalues of the Gram matrix below this share of the largest are directions that the data do not determine."""


def least_squares(design: Design, target: Floats, l2_reg: float) -> Floats:
    """Weights (width × 1) of least norm that minimise the mean squared error plus ``l2_reg · |w|²``.

    Through the pseudo-inverse of the Gram matrix: one-hot slots and an intercept are always collinear.
    """
    gram = design.gram()
    if l2_reg:
        penalty = np.full(design.width, l2_reg * design.rows)
        if design.intercept:
            penalty[-1] = 0.0
        gram = gram + np.diag(penalty)
    right = design.transposed_dot(target[:, None])
    return np.asarray(np.linalg.pinv(gram, rcond=RANK_TOLERANCE, hermitian=True) @ right)


def linear_covariance(design: Design, residual: Floats) -> tuple[Floats, int]:
    """The covariance of the weights and the degrees of freedom. Raises BqmlError where it does not exist."""
    freedom = design.rows - design.width
    if freedom <= 0:
        raise BqmlError("CALCULATE_P_VALUES needs more training rows than the model has weights.")
    sigma_squared = float(residual @ residual) / freedom
    return _inverse(design.gram()) * sigma_squared, freedom


def logistic_covariance(design: Design, probability: Floats, row_weights: Floats | None) -> Floats:
    """The inverse of the Fisher information at the fitted probabilities."""
    information = probability * (1.0 - probability)
    if row_weights is not None:
        information = information * row_weights
    return _inverse(design.gram(information))


def _inverse(gram: Floats) -> Floats:
    eigenvalues = np.linalg.eigvalsh(gram)
    if eigenvalues[0] <= RANK_TOLERANCE * max(eigenvalues[-1], 1e-300):
        raise BqmlError(
            "CALCULATE_P_VALUES cannot be carried out: the features are linearly dependent (a singular matrix). "
            "Remove the dependent or constant features."
        )
    return np.asarray(np.linalg.inv(gram))

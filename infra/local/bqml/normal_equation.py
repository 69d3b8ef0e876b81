"""Least squares in closed form, and the covariance of the weights that p-values rest on."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsqr

from .design import Design, Floats
from .errors import BqmlError

RANK_TOLERANCE = 1e-10
"""Eigenvalues of the Gram matrix below this share of the largest are directions that the data do not determine."""


DENSE_WEIGHTS = 2_000
"""Up to here the Gram matrix is decomposed; beyond, its eigenvectors would take minutes and gigabytes."""


def least_squares(design: Design, target: Floats, l2_reg: float) -> Floats:
    """Weights (width × 1) of least norm that minimise the mean squared error plus ``l2_reg · |w|²``.

    Of least norm, as one-hot slots and an intercept are always collinear.
    """
    ridge = np.full(design.width, l2_reg * design.rows)
    if design.intercept:
        ridge[-1] = 0.0
    if design.width > DENSE_WEIGHTS:
        return _by_iteration(design, target, ridge)
    gram = design.gram() + np.diag(ridge)
    right = design.transposed_dot(target[:, None])
    return np.asarray(np.linalg.pinv(gram, rcond=RANK_TOLERANCE, hermitian=True) @ right)


def _by_iteration(design: Design, target: Floats, ridge: Floats) -> Floats:
    """The same by LSQR, which starts from zero and so ends at the solution of least norm; the ridge is further rows."""
    n, root = design.rows, np.sqrt(ridge)
    operator = LinearOperator(
        (n + design.width, design.width),
        matvec=lambda w: np.concatenate([design.dot(w.reshape(-1, 1))[:, 0], root * w.ravel()]),
        rmatvec=lambda r: design.transposed_dot(r[:n].reshape(-1, 1))[:, 0] + root * r[n:].ravel(),
        dtype=np.float64,
    )
    right = np.concatenate([target, np.zeros(design.width)])
    found = lsqr(operator, right, atol=1e-12, btol=1e-12, conlim=0.0, iter_lim=10 * design.width)
    return np.asarray(found[0])[:, None]


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

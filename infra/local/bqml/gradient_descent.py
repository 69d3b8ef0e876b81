"""Batch gradient descent as BigQuery ML documents it: line search or constant rate, early stop.

The path is part of the result: twenty steps with early stopping seldom reach the optimum, so a better optimiser would
give other models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .design import Design, Floats
from .linear_losses import Loss
from .progress import Progress, relative_progress

LINE_SEARCH_FACTORS = (2.0, 1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Descent:
    """The options that steer the descent; ``learn_rate`` is the constant or the first rate of the line search."""

    line_search: bool
    learn_rate: float
    max_iterations: int
    early_stop: bool
    min_rel_progress: float
    l1_reg: float
    l2_reg: float


def descend(
    design: Design,
    loss: Loss,
    options: Descent,
    progress: Progress,
    *,
    start: Floats | None = None,
    evaluation: tuple[Design, Loss] | None = None,
) -> Floats:
    """The weights (width × outputs) after the last iteration.

    Minimises ``loss + l1 · |w| + l2 / 2 · |w|²``, the intercept left out of the penalties. Each line-search iteration
    tries 2, 1, ½ and ¼ times the current rate, takes the step with the least loss and goes on from its rate; if all
    four make it worse, the weights stay and the rate goes down. Early stop compares an iteration with the one before it. The loss is linear in the step without an L1 penalty,
    so the four trials share one product with the matrix.
    """
    penalised = np.ones((design.width, 1))
    if design.intercept:
        penalised[-1] = 0.0
    weights = np.zeros((design.width, loss.outputs)) if start is None else start.copy()
    z = design.dot(weights)
    z_eval = evaluation[0].dot(weights) if evaluation else None
    best = loss.value(z) + _penalty(weights, penalised, options)
    rate = options.learn_rate
    for iteration in range(options.max_iterations):
        before = best
        gradient = design.transposed_dot(loss.residual(z)) + options.l2_reg * weights * penalised
        z_step = design.dot(gradient) if not options.l1_reg else None
        tried = []
        for factor in LINE_SEARCH_FACTORS if options.line_search else (1.0,):
            step = rate * factor
            candidate = _stepped(weights, gradient, step, penalised, options)
            z_candidate = z - step * z_step if z_step is not None else design.dot(candidate)
            value = loss.value(z_candidate) + _penalty(candidate, penalised, options)
            if np.isfinite(value):
                tried.append((value, step, candidate, z_candidate))
        found = min(tried, key=lambda t: t[0]) if tried else None
        if found is not None and (not options.line_search or found[0] < best):
            best, rate, weights, z = found
            z_eval = evaluation[0].dot(weights) if evaluation else None
        elif options.line_search:
            rate *= LINE_SEARCH_FACTORS[-1]
        eval_loss = evaluation[1].value(z_eval) if evaluation and z_eval is not None else None
        progress.record(best, eval_loss, rate)
        if options.early_stop and iteration and relative_progress(before, best) < options.min_rel_progress:
            break
    return weights


def _stepped(weights: Floats, gradient: Floats, step: float, penalised: Floats, options: Descent) -> Floats:
    """A gradient step, then the shrinkage that an L1 penalty asks for (a proximal step)."""
    moved = weights - step * gradient
    if options.l1_reg:
        moved = np.sign(moved) * np.maximum(np.abs(moved) - step * options.l1_reg * penalised, 0.0)
    return moved


def _penalty(weights: Floats, penalised: Floats, options: Descent) -> float:
    if not options.l1_reg and not options.l2_reg:
        return 0.0
    held = weights * penalised
    return float(options.l1_reg * np.abs(held).sum() + options.l2_reg / 2.0 * (held**2).sum())

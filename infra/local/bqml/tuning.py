"""Hyperparameter tuning: NUM_TRIALS models of one problem, the best by the objective is the model.

Trial 1 starts from the documented defaults (or the nearest point of the search space). GRID_SEARCH walks the
candidates in order; RANDOM_SEARCH draws; VIZIER_DEFAULT, whose own algorithm is Google's, draws half of the trials and
then draws around the best so far. All draws come from one fixed seed, and trials are decided in order, so a tuned
model is the same every time however many run side by side.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .design import Design
from .errors import BqmlError
from .fitted import Evaluation, Fit, Trial
from .hyperparameters import HparamCandidates, HparamRange
from .kmeans import train_kmeans
from .option_tables import LOG_SCALE, MINIMISED, TABLES
from .options import ModelSpec
from .progress import Progress
from .splitting import Mask
from .training_problem import Problem
from .unsupervised_metrics import unsupervised_metrics

SEED = 7
LOG_FLOOR = 1e-14
NEAR = 0.15
"""How far around the best point the later trials draw, as a share of each range."""

Values = dict[str, Any]


def tune(spec: ModelSpec, problem: Problem, cancel: threading.Event | None) -> tuple[list[Trial], int, Fit]:
    """Train all trials. Returns them, the ID of the best and its fit. Raises BqmlError if every one failed.

    Each trial is suggested by its metrics on the evaluation rows; what it shows in the end comes from the test rows.
    """

    def run(values: Values) -> tuple[Fit, Mapping[str, float]]:
        fit = problem.fit(spec.replaced(values), Progress(cancel))
        tuning = fit.evaluation.metrics
        if problem.test is not None:
            fit.evaluation = problem.evaluate(fit.learner, problem.test)
        return fit, tuning

    try:
        return _run_trials(spec, run)
    finally:
        problem.release()


def tune_kmeans(
    spec: ModelSpec, design: Design, custom: Mask | None, cancel: threading.Event | None
) -> tuple[list[Trial], int, Fit]:
    """As ``tune``, for KMEANS: every row trains and evaluates."""

    def run(values: Values) -> tuple[Fit, Mapping[str, float]]:
        progress = Progress(cancel)
        learner = train_kmeans(spec.replaced(values), design, custom, None, progress)
        metrics = unsupervised_metrics(learner, design)
        return Fit(learner, [progress.iterations], Evaluation(metrics)), metrics

    return _run_trials(spec, run)


def _run_trials(
    spec: ModelSpec, run: Callable[[Values], tuple[Fit, Mapping[str, float]]]
) -> tuple[list[Trial], int, Fit]:
    suggest = Suggestions(spec)
    sign = -1.0 if spec.objective in MINIMISED else 1.0
    trials: list[Trial] = []
    best: tuple[float, int, Fit] | None = None
    for trial_id in range(1, spec.options["num_trials"] + 1):
        best_values = trials[best[1] - 1].hyperparameters if best else None
        values = suggest.next(best_values)
        if values is None:
            break
        try:
            fit, metrics = run(values)
        except BqmlError as error:
            if error.reason == "stopped":
                raise
            trials.append(Trial(trial_id, values, None, {}, error.message))
            continue
        trials.append(Trial(trial_id, values, fit, metrics))
        score = sign * metrics[spec.objective]
        if not math.isnan(score) and (best is None or score > best[0]):
            best = (score, trial_id, fit)
    if best is None:
        done = [(trial.trial_id, trial.fit) for trial in trials if trial.fit is not None]
        if not done:
            raise BqmlError(f"All hyperparameter tuning trials failed: {trials[0].error if trials else 'none ran'}")
        return trials, *done[0]
    return trials, best[1], best[2]


class Suggestions:
    """The hyperparameters of one trial after the other."""

    def __init__(self, spec: ModelSpec) -> None:
        self._space = spec.search_space
        self._table = TABLES[spec.model_type]
        self._algorithm = spec.value("hparam_tuning_algorithm")
        self._half = (spec.options["num_trials"] + 1) // 2
        self._random = np.random.default_rng(SEED)
        self._given = 0
        self._grid = itertools.product(*(v.values for v in self._space.values() if isinstance(v, HparamCandidates)))

    def next(self, best: Values | None) -> Values | None:
        """The next trial's values; None when a grid is used up."""
        self._given += 1
        if self._algorithm == "GRID_SEARCH":
            point = next(self._grid, None)
            return None if point is None else dict(zip(self._space, point, strict=True))
        if self._given == 1:
            return {name: self._start(name) for name in self._space}
        around = best if self._algorithm == "VIZIER_DEFAULT" and self._given > self._half else None
        return {name: self._draw(name, around) for name in self._space}

    def _start(self, name: str) -> Any:
        space, default = self._space[name], self._table[name].default
        if isinstance(space, HparamCandidates):
            if default in space.values or default is None or isinstance(default, str):
                return default if default in space.values else space.values[0]
            return min(space.values, key=lambda value: abs(value - default))
        start = space.low if default is None else min(max(default, space.low), space.high)
        return self._typed(name, start)

    def _draw(self, name: str, around: Values | None) -> Any:
        space = self._space[name]
        if isinstance(space, HparamCandidates):
            if around is not None and self._random.random() < 0.5:
                return around[name]
            return space.values[int(self._random.integers(len(space.values)))]
        log = name in LOG_SCALE
        low, high = (self._log(space.low), self._log(space.high)) if log else (space.low, space.high)
        point = float(self._random.uniform(low, high))
        if around is not None:
            center = self._log(around[name]) if log else float(around[name])
            reach = NEAR * (high - low)
            point = float(np.clip(self._random.uniform(center - reach, center + reach), low, high))
        return self._typed(name, math.exp(point) if log else point, space)

    def _typed(self, name: str, value: float, space: HparamRange | None = None) -> Any:
        if space is not None:
            value = min(max(value, space.low), space.high)
        return round(value) if self._table[name].kind == "int" else float(value)

    @staticmethod
    def _log(value: float) -> float:
        return math.log(max(value, LOG_FLOOR))

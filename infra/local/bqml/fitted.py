"""One fit of a model: what was learnt and how it did. A tuned model holds one a trial, all others exactly one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .kmeans import KMeansLearner
from .linear import LinearLearner
from .metrics import ScoreTable
from .pca import PcaLearner
from .progress import Iteration
from .trees import TreeLearner

Learner = LinearLearner | TreeLearner | KMeansLearner | PcaLearner


@dataclass
class Evaluation:
    """Metrics on the rows that were held out (all rows where none were), kept as ML.EVALUATE without data shows them.

    ``confusion``: rows actual, columns predicted, in falling label order. ``scores``: of the positive class, binary only.
    """

    metrics: dict[str, float]
    confusion: npt.NDArray[np.int64] | None = None
    scores: ScoreTable | None = None


@dataclass
class Fit:
    """What one training learnt, and how it did.

    ``runs``: the iterations of each training run (a warm start adds one). ``attributions``: ML.GLOBAL_EXPLAIN's, by class
    label ('' = the model as a whole).
    """

    learner: Learner
    runs: list[list[Iteration]]
    evaluation: Evaluation
    attributions: dict[str, dict[str, float]] | None = None


@dataclass
class Trial:
    """One trial of hyperparameter tuning; ``trial_id`` counts from 1. A failed one has no fit."""

    trial_id: int
    hyperparameters: dict[str, Any]
    fit: Fit | None
    tuning_metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""

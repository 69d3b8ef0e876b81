"""What training tells while it runs: one row an iteration, and the chance to stop it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from .errors import BqmlError


@dataclass(frozen=True)
class Iteration:
    """One row of ML.TRAINING_INFO; ``duration_ms`` of this iteration alone, ``clusters`` = radius and size of each."""

    loss: float
    eval_loss: float | None
    learning_rate: float | None
    duration_ms: int
    clusters: tuple[tuple[float, int], ...] | None = None


@dataclass
class Progress:
    """Collects iterations; ``cancel`` set from another thread stops training at the next one."""

    cancel: threading.Event | None = None
    iterations: list[Iteration] = field(default_factory=list)
    _at: float = field(default_factory=time.perf_counter)

    def record(
        self,
        loss: float,
        eval_loss: float | None,
        learning_rate: float | None,
        clusters: tuple[tuple[float, int], ...] | None = None,
    ) -> None:
        """Add an iteration. Raises BqmlError(stopped) if training was cancelled."""
        now = time.perf_counter()
        self.iterations.append(
            Iteration(
                float(loss),
                None if eval_loss is None else float(eval_loss),
                learning_rate,
                max(round((now - self._at) * 1000), 0),
                clusters,
            )
        )
        self._at = now
        self.check()

    def check(self) -> None:
        """Raises BqmlError(stopped) if training was cancelled."""
        if self.cancel is not None and self.cancel.is_set():
            raise BqmlError("Job execution was cancelled: training was stopped.", reason="stopped")


def relative_progress(before: float, after: float) -> float:
    """How much of the loss the last iteration took away (negative if it grew)."""
    return (before - after) / abs(before) if before else 0.0

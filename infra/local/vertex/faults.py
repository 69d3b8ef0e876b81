"""Faults on demand: what a rollout test makes a deployed model do. A Python interface only; no client can reach it.

A fault stands under the ID of a deployed model, or under MODEL_ID@VERSION so that it can be set before the version is
deployed. Faults live in memory: a restarted service has none.
"""

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """How a deployed model misbehaves.

    Attributes:
        error_share: Share of its requests, 0 to 1, that it answers with 500 INTERNAL.
        delay_seconds: How much later every answer comes.
        invert_scores: Binary classifiers only: each class is given the other one's probability.
    """

    error_share: float = 0.0
    delay_seconds: float = 0.0
    invert_scores: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.error_share <= 1.0:
            raise ValueError(f"error_share must be between 0 and 1, got {self.error_share}")
        if self.delay_seconds < 0.0:
            raise ValueError(f"delay_seconds must not be negative, got {self.delay_seconds}")


class Faults:
    """The faults that are set at the moment."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        # Seeded: a test that failed must fail again.
        self._random = random.Random(20_260_101)  # noqa: S311 - no secret depends on it

    def set(self, target: str, fault: Fault) -> None:
        """Put a fault on a deployed model's ID or on "MODEL_ID@VERSION", instead of the one that was there."""
        self._faults = {**self._faults, target: fault}

    def clear(self, target: str | None = None) -> None:
        """Take one fault away, or all."""
        self._faults = {key: fault for key, fault in self._faults.items() if target is not None and key != target}

    def of(self, deployed_model_id: str, model_version: str) -> Fault | None:
        """The fault of a deployed model; its ID goes before its version."""
        faults = self._faults
        if not faults:
            return None
        return faults.get(deployed_model_id) or faults.get(model_version)

    def strikes(self, fault: Fault) -> bool:
        """Whether this request is one of those that fail."""
        return fault.error_share > 0.0 and self._random.random() < fault.error_share


def inverted(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Binary predictions with the two probabilities swapped and the predicted label following them.

    Raises:
        ValueError: the predictions are not a binary classifier's.
    """
    return [_inverted_row(row) for row in predictions]


def _inverted_row(row: dict[str, Any]) -> dict[str, Any]:
    label = next((key.removesuffix("_probs") for key in row if key.endswith("_probs")), None)
    if label is None or len(row[f"{label}_probs"]) != 2:
        raise ValueError("only a binary classifier's scores can be inverted")
    probabilities = row[f"{label}_probs"][::-1]
    likelier = row[f"{label}_values"][0 if probabilities[0] >= probabilities[1] else 1]
    was = row[f"predicted_{label}"]
    return row | {
        f"{label}_probs": probabilities,
        f"predicted_{label}": [likelier] if isinstance(was, list) else likelier,
    }

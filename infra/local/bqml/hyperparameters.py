"""What HPARAM_RANGE and HPARAM_CANDIDATES say, as plain values for whoever parses the statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HparamRange:
    """``HPARAM_RANGE(low, high)``: any value between the two, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class HparamCandidates:
    """``HPARAM_CANDIDATES([...])``: one of the values."""

    values: tuple[Any, ...]

    def __init__(self, values: Any) -> None:
        object.__setattr__(self, "values", tuple(values))

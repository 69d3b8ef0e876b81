"""What one model input becomes: a number, category slots, a vector; JSON-able."""

from __future__ import annotations

from dataclasses import dataclass, field

from .columns import CATEGORY, MULTI

NULL_FILLER = "_null_filler"
ONE_HOT, DUMMY, LABEL, TARGET = "ONE_HOT_ENCODING", "DUMMY_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"


@dataclass
class Encoding:
    """What one input becomes.

    Numeric: ``mean`` and (population) ``std``. Category: ``categories`` by falling frequency; under one-hot each has a
    slot, ``_null_filler`` last if there were NULLs; ``dropped``, the most frequent, has none (dummy encoding). Under
    label encoding a category's number is its place among them (see ``_numbered``); NULL and unseen are missing. Under
    target encoding each has its smoothed label mean a class in ``targets``. Vector: ``width`` numbers. Sparse: ``width``
    slots by index.
    """

    name: str
    source: str
    kind: str
    bigquery_type: str
    mean: float = 0.0
    std: float = 1.0
    width: int = 1
    categories: list[str] = field(default_factory=list)
    dropped: str | None = None
    means: list[float] = field(default_factory=list)
    stds: list[float] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)
    default_target: list[float] = field(default_factory=list)

    def slots(self) -> list[str | None]:
        """The category of each slot that it takes in a linear design (None: a plain number)."""
        if self.kind in (CATEGORY, MULTI):
            return [c for c in self.categories if c != self.dropped]
        return [None] * self.width

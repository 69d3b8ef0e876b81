"""Random numbers that belong to things: the same thing draws the same number on every day and in every batch.

A draw is a pure function of (seed, purpose, id), so that any part of the generated world can be made by itself, in any
order, and agrees with every other part. The mixing is SplitMix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Indexes = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Draws:
    """Draws of one seed."""

    seed: int

    def bits(self, purpose: str, ids: Ids) -> NDArray[np.uint64]:
        """64 random bits for each id."""
        salt = hashlib.blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest()
        with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is wanted
            z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(int.from_bytes(salt, "big"))
            for _ in range(2):  # one round leaves neighbouring ids visibly alike
                z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                z = z ^ (z >> np.uint64(31))
        return z

    def uniform(self, purpose: str, ids: Ids) -> Floats:
        """A number in [0, 1) for each id."""
        return np.asarray((self.bits(purpose, ids) >> np.uint64(11)) / float(2**53), np.float64)

    def below(self, purpose: str, ids: Ids, limits: Indexes | int) -> Indexes:
        """A whole number in [0, limit) for each id."""
        return np.asarray(self.uniform(purpose, ids) * np.asarray(limits), np.int64)

    def happens(self, purpose: str, ids: Ids, chance: Floats | float) -> Flags:
        """True with the given chance, for each id."""
        return np.asarray(self.uniform(purpose, ids) < np.asarray(chance))

    def choice(self, purpose: str, ids: Ids, weights: Floats) -> Indexes:
        """An index into `weights` for each id, as often as its weight says.

        Args:
            purpose: What is drawn.
            ids: One for each draw.
            weights: Shape (n,), or (len(ids), n) for weights of each id's own; need not add up to 1.
        """
        bounds = np.cumsum(weights, axis=-1)
        point = self.uniform(purpose, ids) * bounds[..., -1]
        if weights.ndim == 1:
            return np.asarray(np.searchsorted(bounds, point, side="right"), np.int64)
        return np.asarray((bounds <= point[:, None]).sum(axis=1), np.int64)

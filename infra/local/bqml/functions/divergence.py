"""Distances between two distributions: L-infinity and Jensen-Shannon (base 2, so that it lies between 0 and 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..design import Floats

Profile = Mapping[str, Any]


def l_infinity(base: Profile, study: Profile, ranks: int) -> float | None:
    """The largest difference of any category's share."""
    shares = _shares(base, study, ranks)
    return None if shares is None else float(np.abs(shares[0] - shares[1]).max())


def jensen_shannon_of_counts(base: Profile, study: Profile, ranks: int) -> float | None:
    """Of the shares of the most frequent categories of either side."""
    shares = _shares(base, study, ranks)
    return None if shares is None else jensen_shannon(*shares)


def jensen_shannon_of_histograms(base: Profile, study: Profile) -> float | None:
    """Of equal-width histograms whose edges differ: both are spread over the edges of either, evenly within a bucket.

    (The method of TensorFlow Data Validation.) None where a side has no values.
    """
    if not base["counts"] or not study["counts"]:
        return None
    points = [profile["edges"][0] == profile["edges"][-1] for profile in (base, study)]
    if all(points):
        return 0.0 if base["edges"][0] == study["edges"][0] else 1.0
    if any(points):
        point, other = (base, study) if points[0] else (study, base)
        return _from_a_point(point["edges"][0], other)
    edges = np.unique(np.concatenate([base["edges"], study["edges"]]))
    first, second = _spread(base, edges), _spread(study, edges)
    return jensen_shannon(first / first.sum(), second / second.sum())


def _from_a_point(value: float, other: Profile) -> float:
    """From a constant column: it is as wide as the other's bucket that it falls into."""
    edges = np.asarray(other["edges"], dtype=np.float64)
    if not edges[0] <= value <= edges[-1]:
        return 1.0
    shares = np.asarray(other["counts"], dtype=np.float64) / sum(other["counts"])
    here = np.zeros(len(shares))
    here[min(int(np.searchsorted(edges, value, side="right")) - 1, len(shares) - 1)] = 1.0
    return jensen_shannon(here, shares)


def jensen_shannon(p: Floats, q: Floats) -> float:
    """½ KL(p‖m) + ½ KL(q‖m) with m = ½ (p + q), in bits."""
    middle = (p + q) / 2.0
    return max(0.5 * _kl(p, middle) + 0.5 * _kl(q, middle), 0.0)


def _kl(p: Floats, q: Floats) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


def _shares(base: Profile, study: Profile, ranks: int) -> tuple[Floats, Floats] | None:
    if not base["total"] or not study["total"]:
        return None
    first = dict(list(base["counts"].items())[:ranks])
    second = dict(list(study["counts"].items())[:ranks])
    names = sorted({*first, *second})
    return (
        np.array([base["counts"].get(n, 0) / base["total"] for n in names], dtype=np.float64),
        np.array([study["counts"].get(n, 0) / study["total"] for n in names], dtype=np.float64),
    )


def _spread(profile: Profile, edges: Floats) -> Floats:
    """The profile's counts over finer edges: each bucket's rows spread evenly over it."""
    own = np.asarray(profile["edges"], dtype=np.float64)
    counts = np.asarray(profile["counts"], dtype=np.float64)
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    return np.diff(np.interp(edges, own, cumulative))

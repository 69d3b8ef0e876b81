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
    edges = np.unique(np.concatenate([base["edges"], study["edges"]]))
    if len(edges) == 1:
        return 0.0
    first, second = _spread(base, edges), _spread(study, edges)
    return jensen_shannon(first / first.sum(), second / second.sum())


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
    """The profile's counts over finer edges: each bucket's rows spread evenly over the part that an edge pair covers.

    A constant column is a single point; it falls into the bucket that begins there (the last one, at the far end).
    """
    own = np.asarray(profile["edges"], dtype=np.float64)
    counts = np.asarray(profile["counts"], dtype=np.float64)
    if own[0] == own[-1]:
        out = np.zeros(len(edges) - 1)
        out[min(int(np.searchsorted(edges, own[0])), len(out) - 1)] = counts.sum()
        return out
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    return np.diff(np.interp(edges, own, cumulative))

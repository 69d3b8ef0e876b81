"""Which features weighed most: what becomes of the probability when one feature is at its mean in training instead.

The endpoint itself is asked, so that it holds for every kind of model; one request carries all variants of all pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from functions.service.payloads import Attribution

# Features told a pair; ML.EXPLAIN_PREDICT's own default.
TOP = 5


def top_attributions(
    instances: Sequence[Mapping[str, Any]],
    probabilities: Sequence[float],
    means: Mapping[str, float],
    ask: Callable[[Sequence[Mapping[str, Any]]], Sequence[float]],
) -> list[list[Attribution]]:
    """The features that weighed most, a list a pair, the weightiest first.

    Args:
        instances: The features of each pair.
        probabilities: What the version says of each.
        means: Mean in training by feature; a feature that has none is left out.
        ask: Gives the probability of each of many instances.
    """
    variants = [
        (place, name, {**instance, name: mean})
        for place, instance in enumerate(instances)
        for name in means
        if (mean := _like(instance.get(name), means[name])) != instance.get(name)
    ]
    found: list[list[Attribution]] = [[] for _ in instances]
    if not variants:
        return found
    for (place, name, _), without in zip(variants, ask([v for _, _, v in variants]), strict=True):
        found[place].append(Attribution(feature=name, attribution=probabilities[place] - without))
    return [sorted(one, key=lambda a: (-abs(a.attribution), a.feature))[:TOP] for one in found]


def _like(value: Any, mean: float) -> float:
    """The mean as a value of the feature's own type: an INT64 feature takes whole numbers only."""
    return round(mean) if isinstance(value, int) else mean

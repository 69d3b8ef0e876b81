"""The STRUCT argument of a table function: only what the function documents, of the right type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BqmlError


def checked(
    function: str, options: Mapping[str, Any], allowed: Mapping[str, type | tuple[type, ...]]
) -> dict[str, Any]:
    """The settings that were given. Raises BqmlError on an unknown one or one of another type."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        key = name.lower()
        if key not in allowed:
            raise BqmlError(f"ML.{function} does not have a setting {name!r}.")
        if value is None:
            continue
        kinds = allowed[key]
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if isinstance(value, bool) and bool not in kinds:
            raise BqmlError(f"Setting {name!r} of ML.{function} has the wrong type: {value!r}.")
        if float in kinds and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kinds):
            raise BqmlError(f"Setting {name!r} of ML.{function} has the wrong type: {value!r}.")
        found[key] = value
    return found


def threshold_of(settings: Mapping[str, Any], function: str, classes: int) -> float:
    """The decision threshold, 0.5 by default. Raises BqmlError unless the model is binary and it is in [0, 1]."""
    if "threshold" not in settings:
        return 0.5
    if classes != 2:
        raise BqmlError(f"Setting 'threshold' of ML.{function} can only be used with a binary classification model.")
    threshold = float(settings["threshold"])
    if not 0.0 <= threshold <= 1.0:
        raise BqmlError(f"Setting 'threshold' of ML.{function} must be between 0 and 1, got {threshold}.")
    return threshold

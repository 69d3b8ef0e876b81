"""One option's value: of the right type, within its bounds, one of its choices."""

from __future__ import annotations

import math
from typing import Any

from .errors import BqmlError
from .hyperparameters import HparamCandidates, HparamRange
from .option_tables import Option


def checked_value(name: str, option: Option, value: Any) -> Any:
    """The value as it is kept. Raises BqmlError that names the option and what it must be."""
    if isinstance(value, HparamRange):
        if not option.tunable or option.choices:
            raise BqmlError(f"Option {name.upper()} cannot be tuned with HPARAM_RANGE.")
        if not value.low < value.high:
            raise BqmlError(f"HPARAM_RANGE of option {name.upper()} must have its minimum below its maximum.")
        return HparamRange(_scalar(name, option, value.low), _scalar(name, option, value.high))
    if isinstance(value, HparamCandidates):
        if not option.tunable:
            raise BqmlError(f"Option {name.upper()} cannot be tuned with HPARAM_CANDIDATES.")
        if not value.values:
            raise BqmlError(f"HPARAM_CANDIDATES of option {name.upper()} must not be empty.")
        return HparamCandidates([_scalar(name, option, candidate) for candidate in value.values])
    return _scalar(name, option, value)


def _scalar(name: str, option: Option, value: Any) -> Any:
    kind = option.kind
    good = (
        (kind == "bool" and isinstance(value, bool))
        or (kind == "int" and isinstance(value, int) and not isinstance(value, bool))
        or (kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool))
        or (kind == "str" and isinstance(value, str))
        or (kind == "strings" and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value))
        or (kind == "weights" and isinstance(value, (list, tuple, dict)))
    )
    if not good:
        raise BqmlError(f"Option {name.upper()} must be {_WORDS[kind]}, got {value!r}.")
    if option.choices:
        upper = str(value).upper()
        if upper not in option.choices:
            raise BqmlError(f"Option {name.upper()} must be one of {', '.join(option.choices)}, got {value!r}.")
        return upper
    if kind in ("int", "float"):
        if not math.isfinite(value) or (option.low is not None and value < option.low):
            raise BqmlError(f"Option {name.upper()} must be at least {option.low}, got {value!r}.")
        if option.open_low and value == option.low:
            raise BqmlError(f"Option {name.upper()} must be greater than {option.low}, got {value!r}.")
        if option.high is not None and value > option.high:
            raise BqmlError(f"Option {name.upper()} must be at most {option.high}, got {value!r}.")
        return float(value) if kind == "float" else value
    if kind == "strings":
        return list(value)
    if kind == "weights":
        return _class_weights(value)
    return value


_WORDS = {
    "bool": "TRUE or FALSE",
    "int": "an INT64",
    "float": "a FLOAT64",
    "str": "a STRING",
    "strings": "an ARRAY<STRING>",
    "weights": "an ARRAY<STRUCT<STRING, FLOAT64>>",
}


def _class_weights(value: Any) -> dict[str, float]:
    pairs = value.items() if isinstance(value, dict) else [_pair(item) for item in value]
    weights: dict[str, float] = {}
    for label, weight in pairs:
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or weight < 0 or not math.isfinite(weight):
            raise BqmlError(f"Option CLASS_WEIGHTS: the weight of {label!r} must be a non-negative number.")
        if str(label) in weights:
            raise BqmlError(f"Option CLASS_WEIGHTS names the class {label!r} twice.")
        weights[str(label)] = float(weight)
    return weights


def _pair(item: Any) -> tuple[Any, Any]:
    parts = list(item.values()) if isinstance(item, dict) else list(item)
    if len(parts) != 2:
        raise BqmlError("Option CLASS_WEIGHTS must be an array of (class, weight) structs.")
    return parts[0], parts[1]

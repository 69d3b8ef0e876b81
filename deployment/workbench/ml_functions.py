"""BigQuery ML's table functions for Google's analyzer, which knows GoogleSQL but not BigQuery ML.

A function is described by the columns that it gives. What the analyzer cannot take is blanked out in place, so that
lines and columns stay what they are: the argument `MODEL …` and the trailing `STRUCT(…)` of settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CALL = re.compile(r"\bML\.([A-Z_]+)\s*\(", re.IGNORECASE)
_MODEL = re.compile(r"\s*MODEL\s+(`[^`]*`|[\w.]+)\s*,?", re.IGNORECASE)

# Columns of the functions that give the same ones whatever they are asked about, as BigQuery's reference lists them.
FIXED: dict[str, dict[str, str]] = {
    "EVALUATE": {
        "precision": "FLOAT64",
        "recall": "FLOAT64",
        "accuracy": "FLOAT64",
        "f1_score": "FLOAT64",
        "log_loss": "FLOAT64",
        "roc_auc": "FLOAT64",
        "mean_absolute_error": "FLOAT64",
        "mean_squared_error": "FLOAT64",
        "r2_score": "FLOAT64",
    },
    "FEATURE_INFO": {
        "input": "STRING",
        "min": "FLOAT64",
        "max": "FLOAT64",
        "mean": "FLOAT64",
        "median": "FLOAT64",
        "stddev": "FLOAT64",
        "category_count": "INT64",
        "null_count": "INT64",
        "dimension": "INT64",
    },
    "FEATURE_IMPORTANCE": {
        "feature": "STRING",
        "importance_weight": "INT64",
        "importance_gain": "FLOAT64",
        "importance_cover": "FLOAT64",
    },
    "GLOBAL_EXPLAIN": {"feature": "STRING", "attribution": "FLOAT64"},
    "WEIGHTS": {"processed_input": "STRING", "weight": "FLOAT64"},
    "TRAINING_INFO": {
        "training_run": "INT64",
        "iteration": "INT64",
        "loss": "FLOAT64",
        "eval_loss": "FLOAT64",
        "learning_rate": "FLOAT64",
        "duration_ms": "INT64",
    },
    "ROC_CURVE": {
        "threshold": "FLOAT64",
        "recall": "FLOAT64",
        "false_positive_rate": "FLOAT64",
        "true_positives": "INT64",
        "false_positives": "INT64",
        "true_negatives": "INT64",
        "false_negatives": "INT64",
    },
    "VALIDATE_DATA_DRIFT": {
        "input": "STRING",
        "metric": "STRING",
        "threshold": "FLOAT64",
        "value": "FLOAT64",
        "is_anomaly": "BOOL",
    },
}
FIXED["VALIDATE_DATA_SKEW"] = FIXED["VALIDATE_DATA_DRIFT"]


@dataclass(frozen=True)
class MlCall:
    """One call of an ML function in a statement.

    Attributes:
        function: Its name, upper case, without `ML.`.
        start: Where the call begins in the text.
        model: The model that it names, as written; empty where it names none.
        tables: How many tables it is given.
    """

    function: str
    start: int
    model: str
    tables: int


def mask(text: str) -> tuple[str, list[MlCall]]:
    """A statement as the analyzer can take it, and the ML calls that stand in it.

    Returns:
        Text of the same length, lines and columns; the calls in their order.
    """
    calls: list[MlCall] = []
    for found in list(_CALL.finditer(text)):
        spans = list(_arguments(text, found.end()))
        model = _MODEL.match(text, found.end())
        if model:
            text = _blank(text, found.end(), model.end())
        if len(spans) > 1 and re.match(r"\s*STRUCT\b", text[slice(*spans[-1])], re.IGNORECASE):
            text = _blank(text, spans[-1][0] - 1, spans[-1][1])
            spans.pop()
        tables = len(spans) - (1 if model and spans else 0)
        calls.append(MlCall(found[1].upper(), found.start(), model[1] if model else "", tables))
    return text, calls


def _arguments(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Start and end of each argument of the call whose parenthesis opens just before `position`."""
    depth, start, quote = 1, position, ""
    for place in range(position, len(text)):
        character = text[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
            if depth == 0:
                yield start, place
                return
        elif character == "," and depth == 1:
            yield start, place
            start = place + 1


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]

"""The manual preprocessing functions (ML.BUCKETIZE, ML.STANDARD_SCALER, ...).

A call in SQL is ``ML.F(column, literals...) [OVER()]``. ``SIGNATURES[F]`` tells whether F is analytic (needs
``fit`` over all rows: the parameters are frozen inside TRANSFORM, recomputed in a plain SELECT) and what it answers.
``arguments`` are the literals after the column, in the order of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Signature:
    """``analytic``: has OVER() and learns from all rows. ``columns``: how many leading arguments are columns."""

    analytic: bool
    columns: int = 1


SIGNATURES: dict[str, Signature] = {
    "BUCKETIZE": Signature(analytic=False),
    "FEATURE_CROSS": Signature(analytic=False),
    "POLYNOMIAL_EXPAND": Signature(analytic=False),
    "NGRAMS": Signature(analytic=False),
    "NORMALIZER": Signature(analytic=False),
    "HASH_BUCKETIZE": Signature(analytic=False),
    "STANDARD_SCALER": Signature(analytic=True),
    "MIN_MAX_SCALER": Signature(analytic=True),
    "MAX_ABS_SCALER": Signature(analytic=True),
    "ROBUST_SCALER": Signature(analytic=True),
    "QUANTILE_BUCKETIZE": Signature(analytic=True),
    "ONE_HOT_ENCODER": Signature(analytic=True),
    "MULTI_HOT_ENCODER": Signature(analytic=True),
    "LABEL_ENCODER": Signature(analytic=True),
    "IMPUTER": Signature(analytic=True),
    "BAG_OF_WORDS": Signature(analytic=True),
    "TF_IDF": Signature(analytic=True),
}


def fit(function: str, columns: Sequence[pa.ChunkedArray], arguments: Sequence[Any]) -> dict[str, Any]:
    """The JSON-able parameters that an analytic function learns from all rows ({} for the others)."""
    raise RuntimeError(function)


def apply(
    function: str, params: dict[str, Any], columns: Sequence[pa.ChunkedArray], arguments: Sequence[Any]
) -> pa.ChunkedArray:
    """The function's value a row."""
    raise RuntimeError(function)

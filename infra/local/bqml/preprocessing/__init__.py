"""The manual preprocessing functions (ML.BUCKETIZE, ML.STANDARD_SCALER, ...).

A call in SQL is ``ML.F(column, literals...) [OVER()]``. ``SIGNATURES[F].analytic`` tells whether F has OVER() and learns
from all rows: inside TRANSFORM what it learnt is frozen with the model, in a plain SELECT it is learnt from the rows at
hand. ``arguments`` are the literals after the column, in the order of the call.

>>> import pyarrow as pa
>>> column = pa.chunked_array([[1.0, 2.0, 3.0, None]])
>>> params = fit("MIN_MAX_SCALER", [column], [])
>>> apply("MIN_MAX_SCALER", params, [column], []).to_pylist()
[0.0, 0.5, 1.0, None]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from ..errors import BqmlError
from . import buckets, combinations, encoders, scalers, text

Params = dict[str, Any]
Column: TypeAlias = pa.ChunkedArray


@dataclass(frozen=True)
class Signature:
    """``analytic``: has OVER() and learns from all rows. ``columns``: how many leading arguments are columns.

    ``arguments``: how many literals may follow them, least and most.
    """

    analytic: bool
    arguments: tuple[int, int]
    columns: int = 1


SIGNATURES: dict[str, Signature] = {
    "BUCKETIZE": Signature(analytic=False, arguments=(1, 3)),
    "HASH_BUCKETIZE": Signature(analytic=False, arguments=(1, 1)),
    "FEATURE_CROSS": Signature(analytic=False, arguments=(0, 1)),
    "POLYNOMIAL_EXPAND": Signature(analytic=False, arguments=(0, 1)),
    "NGRAMS": Signature(analytic=False, arguments=(1, 2)),
    "NORMALIZER": Signature(analytic=False, arguments=(0, 1)),
    "STANDARD_SCALER": Signature(analytic=True, arguments=(0, 0)),
    "MIN_MAX_SCALER": Signature(analytic=True, arguments=(0, 0)),
    "MAX_ABS_SCALER": Signature(analytic=True, arguments=(0, 0)),
    "ROBUST_SCALER": Signature(analytic=True, arguments=(0, 3)),
    "QUANTILE_BUCKETIZE": Signature(analytic=True, arguments=(1, 2)),
    "ONE_HOT_ENCODER": Signature(analytic=True, arguments=(0, 3)),
    "MULTI_HOT_ENCODER": Signature(analytic=True, arguments=(0, 2)),
    "LABEL_ENCODER": Signature(analytic=True, arguments=(0, 2)),
    "IMPUTER": Signature(analytic=True, arguments=(1, 1)),
    "BAG_OF_WORDS": Signature(analytic=True, arguments=(0, 2)),
    "TF_IDF": Signature(analytic=True, arguments=(0, 2)),
}

_FIT: dict[str, Callable[[Column, Sequence[Any]], Params]] = {
    "STANDARD_SCALER": scalers.fit_standard,
    "MIN_MAX_SCALER": scalers.fit_min_max,
    "MAX_ABS_SCALER": scalers.fit_max_abs,
    "ROBUST_SCALER": scalers.fit_robust,
    "IMPUTER": scalers.fit_imputer,
    "QUANTILE_BUCKETIZE": buckets.fit_quantiles,
    "ONE_HOT_ENCODER": encoders.fit_one_hot,
    "MULTI_HOT_ENCODER": encoders.fit_multi_hot,
    "LABEL_ENCODER": encoders.fit_label,
    "BAG_OF_WORDS": text.fit_bag_of_words,
    "TF_IDF": text.fit_tf_idf,
}
_APPLY: dict[str, Callable[[Params, Column, Sequence[Any]], Any]] = {
    "BUCKETIZE": buckets.bucketize,
    "HASH_BUCKETIZE": buckets.hash_bucketize,
    "FEATURE_CROSS": combinations.feature_cross,
    "POLYNOMIAL_EXPAND": combinations.polynomial_expand,
    "NGRAMS": text.ngrams,
    "NORMALIZER": scalers.normalizer,
    "STANDARD_SCALER": scalers.standard_scaler,
    "MIN_MAX_SCALER": scalers.min_max_scaler,
    "MAX_ABS_SCALER": scalers.max_abs_scaler,
    "ROBUST_SCALER": scalers.robust_scaler,
    "IMPUTER": scalers.imputer,
    "QUANTILE_BUCKETIZE": buckets.quantile_bucketize,
    "ONE_HOT_ENCODER": encoders.one_hot_encoder,
    "MULTI_HOT_ENCODER": encoders.multi_hot_encoder,
    "LABEL_ENCODER": encoders.label_encoder,
    "BAG_OF_WORDS": text.bag_of_words,
    "TF_IDF": text.tf_idf,
}


def fit(function: str, columns: Sequence[Column], arguments: Sequence[Any]) -> Params:
    """What an analytic function learns from all rows, JSON-able ({} for the others). Raises BqmlError."""
    name = _checked(function, columns, arguments)
    if not SIGNATURES[name].analytic:
        return {}
    return _FIT[name](columns[0], arguments)


def apply(function: str, params: Params, columns: Sequence[Column], arguments: Sequence[Any]) -> Column:
    """The function's value a row. Raises BqmlError on a bad argument or a column of a wrong type."""
    name = _checked(function, columns, arguments)
    found = _APPLY[name](params, columns[0], arguments)
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _checked(function: str, columns: Sequence[Column], arguments: Sequence[Any]) -> str:
    name = function.upper().removeprefix("ML.")
    if name not in SIGNATURES:
        raise BqmlError(f"Function ML.{name} is not carried out here. Carried out: {', '.join(sorted(SIGNATURES))}.")
    signature = SIGNATURES[name]
    least, most = signature.arguments
    if len(columns) != signature.columns or not least <= len(arguments) <= most:
        raise BqmlError(
            f"No matching signature for function ML.{name}: it takes {signature.columns} column and "
            f"{least} to {most} further arguments."
        )
    return name


__all__ = ["SIGNATURES", "Params", "Signature", "apply", "fit"]

"""The ML.* table functions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .model import BqmlUnavailable, Model


def call(
    function: str,
    model: Model | None,
    data: pa.Table | pa.RecordBatchReader | None,
    options: Mapping[str, Any],
    *,
    study: pa.Table | pa.RecordBatchReader | None = None,
) -> pa.Table | pa.RecordBatchReader:
    """Carry out ``ML.<function>``. ``options`` = the STRUCT argument, lower-case keys.

    ML.PREDICT and ML.EXPLAIN_PREDICT stream: given a reader they answer with a reader. ``study`` is the second table
    of ML.VALIDATE_DATA_DRIFT (``data`` the base); ML.VALIDATE_DATA_SKEW takes model and ``data``; ML.DESCRIBE_DATA
    takes no model. A positional third argument (``ML.ROC_CURVE(MODEL m, TABLE t, [0.1, 0.5])``) is
    ``options["thresholds"]``. Raises BqmlError; a function that is not carried out is named.
    """
    raise BqmlUnavailable

"""Learning an input's encoding from the training rows: moments, vocabularies, label means."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .bigquery_types import type_name
from .columns import CATEGORY, MULTI, NUMERIC, SPARSE, VECTOR, Input, as_text
from .design import Floats
from .encodings import DUMMY, LABEL, NULL_FILLER, Encoding
from .errors import BqmlError
from .fingerprint import farm_fingerprint
from .input_arrays import vectors_of
from .numbers import numbers
from .vocabulary import by_frequency, places


def fit_encoding(item: Input, column: pa.ChunkedArray, method: str, targets: Floats | None, ddof: int) -> Encoding:
    """Learn one input. Raises BqmlError on an all-NULL, infinite or unsupported column."""
    encoding = Encoding(item.name, item.source, item.kind, type_name(item.arrow_type))
    if len(column) and column.null_count == len(column):
        raise BqmlError(f"Column {item.source!r} has only NULL values in the training data.")
    if item.kind == NUMERIC:
        encoding.mean, encoding.std = _moments(item.source, column, ddof)
    elif item.kind == VECTOR:
        encoding.width = _width(item)
        block = vectors_of(item, encoding)
        if not np.isfinite(block).all():
            raise BqmlError(f"Column {item.source!r} has NaN or infinite values in the training data.")
        encoding.means = block.mean(axis=0).tolist()
        encoding.stds = [s if s > 0 else 1.0 for s in block.std(axis=0, ddof=min(ddof, len(block) - 1)).tolist()]
    elif item.kind == SPARSE:
        index = pc.max(pc.struct_field(pc.list_flatten(column), [0])).as_py()
        encoding.width = int(index) + 1 if index is not None else 1
    else:
        _fit_categories(encoding, column, method, targets)
    return encoding


def _moments(name: str, column: pa.ChunkedArray, ddof: int) -> tuple[float, float]:
    values = numbers(column.drop_null(), 0.0)
    mean = float(np.mean(values, dtype=np.float64))
    if not np.isfinite(mean):
        raise BqmlError(f"Column {name!r} has NaN or infinite values in the training data.")
    std = float(np.std(values, dtype=np.float64, ddof=min(ddof, len(values) - 1)))
    # A constant column's deviation comes out as rounding noise of the mean; it carries nothing to scale.
    return mean, std if std > 1e-12 * max(abs(mean), 1e-300) else 1.0


def _fit_categories(encoding: Encoding, column: pa.ChunkedArray, method: str, targets: Floats | None) -> None:
    has_null = column.null_count > 0
    flat = pc.list_flatten(column) if encoding.kind == MULTI else column
    encoding.categories = [category for category, _ in by_frequency(as_text(flat))]
    if encoding.kind == CATEGORY and targets is not None:
        _fit_targets(encoding, column, targets)
        return
    if method == DUMMY and encoding.kind == CATEGORY and encoding.categories:
        encoding.dropped = encoding.categories[0]
    if method == LABEL and encoding.kind == CATEGORY:
        encoding.categories = _numbered(encoding.categories)
    elif has_null:
        encoding.categories.append(NULL_FILLER)


def _numbered(categories: list[str]) -> list[str]:
    """The order in which label encoding numbers categories: by the unsigned FarmHash fingerprint of the text.

    Which order the service uses is not documented; the recorded results of its tree models tell that it is not the
    alphabet, nor frequency, nor first appearance. The fingerprint is what the service hashes by elsewhere
    (ML.HASH_BUCKETIZE, FARM_FINGERPRINT). It does not depend on the rows, and of all 216 orders of the recorded
    categories none comes closer to the recorded regression: metrics within 2.1 %, predictions within 0.8 %.
    """
    if not categories:
        return []
    hashes = np.asarray(farm_fingerprint(pa.chunked_array([categories], pa.string()))).view(np.uint64)
    return [category for _, category in sorted(zip(hashes.tolist(), categories, strict=True))]


def _fit_targets(encoding: Encoding, column: pa.ChunkedArray, targets: Floats) -> None:
    """Mean label a category, smoothed towards the overall mean by one pseudo-row; NULL and unseen get the overall."""
    codes = places(as_text(column), encoding.categories)
    overall = targets.mean(axis=0)
    known = codes >= 0
    counts = np.bincount(codes[known], minlength=len(encoding.categories))
    encoding.default_target = overall.tolist()
    sums = [
        np.bincount(codes[known], weights=targets[known, j], minlength=len(encoding.categories))
        for j in range(targets.shape[1])
    ]
    encoding.targets = ((np.array(sums).T + overall) / (counts[:, None] + 1.0)).tolist()


def _width(item: Input) -> int:
    lengths = pc.unique(pc.list_value_length(item.values().drop_null())).to_pylist()
    if len(lengths) != 1:
        raise BqmlError(f"Column {item.source!r}: all arrays of a feature must have one length, got {sorted(lengths)}.")
    return int(lengths[0])

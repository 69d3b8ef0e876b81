"""One input's values as arrays: numbers with NULL filled, category places, sparse slots, vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from .bigquery_types import is_numeric
from .columns import MULTI, SPARSE, Input, as_text
from .design import Floats
from .encodings import NULL_FILLER, Encoding
from .errors import BqmlError
from .numbers import numbers
from .vocabulary import places


def labels_of(item: Input, encoding: Encoding) -> npt.NDArray[np.float32]:
    """The number of each row's category; NaN where it is NULL or unseen."""
    codes = places(as_text(item.values()), encoding.categories)
    return np.where(codes < 0, np.float32(np.nan), codes.astype(np.float32))


def slots_of(item: Input, encoding: Encoding, n: int) -> sparse.csr_matrix:
    """The (n × slots) matrix of a category, an array of categories or a sparse array."""
    column = item.values()
    if encoding.kind == SPARSE:
        return _sparse_slots(column, encoding, n)
    slots = encoding.slots()
    if encoding.kind == MULTI:
        flat = as_text(pc.list_flatten(column))
        row = np.asarray(pc.list_parent_indices(column.combine_chunks())).astype(np.int64)
    else:
        flat = as_text(column)
        row = np.arange(n, dtype=np.int64)
    codes = places(flat, [str(slot) for slot in slots])
    if NULL_FILLER in encoding.categories:
        null_slot = slots.index(NULL_FILLER)
        if encoding.kind == MULTI:
            nulls = np.flatnonzero(np.asarray(pc.is_null(column)))
            row = np.concatenate([row, nulls])
            codes = np.concatenate([codes, np.full(len(nulls), null_slot)])
        elif flat.null_count:
            codes[np.asarray(pc.is_null(flat))] = null_slot
    known = codes >= 0
    row, codes = row[known], codes[known]
    built = sparse.csr_matrix((np.ones(len(row)), (row, codes)), shape=(n, len(slots)))
    built.data[:] = 1.0  # an element that a row names twice is there once
    return built


def _sparse_slots(column: pa.ChunkedArray, encoding: Encoding, n: int) -> sparse.csr_matrix:
    flat = pc.list_flatten(column)
    index, value = (pc.struct_field(flat, [place]) for place in (0, 1))
    row = np.asarray(pc.list_parent_indices(column.combine_chunks())).astype(np.int64)
    slot = np.asarray(pc.fill_null(index, -1)).astype(np.int64)
    known = (slot >= 0) & (slot < encoding.width)
    amount = numbers(pa.chunked_array([value]) if isinstance(value, pa.Array) else value, 0.0).astype(np.float64)
    return sparse.csr_matrix((amount[known], (row[known], slot[known])), shape=(n, encoding.width))


def vectors_of(item: Input, encoding: Encoding) -> Floats:
    """The (n × width) numbers of an array column; a NULL array is the mean one."""
    column = item.values()
    if not is_numeric(column.type.value_type):
        raise BqmlError(f"Column {item.source!r} must be an ARRAY of numbers.")
    n, width = len(column), encoding.width
    fill = np.array(encoding.means) if encoding.means else np.zeros(width)
    out = np.empty((n, width))
    valid = np.asarray(pc.is_valid(column))
    lengths = pc.list_value_length(column.drop_null())
    if len(lengths) and (pc.min(lengths).as_py() != width or pc.max(lengths).as_py() != width):
        raise BqmlError(f"Column {item.source!r}: the model was trained on arrays of {width} numbers.")
    flat = pc.list_flatten(column)
    flat = flat if isinstance(flat, pa.ChunkedArray) else pa.chunked_array([flat])
    out[valid] = numbers(flat, 0.0).astype(np.float64).reshape(-1, width)
    out[~valid] = fill
    return out

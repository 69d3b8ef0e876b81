"""Counting texts and finding them again: what encodings, statistics and preprocessing functions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def by_frequency(values: Any) -> list[tuple[Any, int]]:
    """Each value and how often it occurs, the most frequent first, equally frequent ones in order; NULLs left out."""
    counted = pc.value_counts(values.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def places(texts: Any, words: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each text among the words; -1 where it is NULL or not among them."""
    found = pc.index_in(texts, value_set=pa.array(words, pa.string()))
    return np.asarray(pc.fill_null(found, -1)).astype(np.int64)

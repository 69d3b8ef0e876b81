"""A column whose values differ in their last digits alone has a histogram all the same."""

import numpy as np
import pyarrow as pa

from infra.local.bqml.columns import NUMERIC
from infra.local.bqml.statistics import profile_of


def test_values_that_differ_in_their_last_digits_are_one_value() -> None:
    values = [0.5, np.nextafter(0.5, 1), 0.5]
    profile = profile_of(NUMERIC, pa.chunked_array([pa.array(values)]))
    assert profile["edges"] == [0.5] * len(profile["edges"])
    assert sum(profile["counts"]) == 3

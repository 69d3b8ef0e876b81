from __future__ import annotations

import pyarrow as pa

from deployment.workbench.profile import profile


def test_a_column_tells_its_nulls_values_and_ends() -> None:
    [price] = profile(pa.table({"price": pa.array([1.0, 3.0, None, 3.0])}))

    assert (price.nulls, price.distinct, price.least, price.greatest) == (0.25, 2, 1.0, 3.0)
    assert len(price.histogram) == 12
    assert price.histogram[-1] == "█"  # two of the three values are the greatest
    assert price.histogram[1] == " "


def test_whole_numbers_beyond_those_of_floats_are_no_error() -> None:
    [key] = profile(pa.table({"key": pa.array([6366642123480847012, -1], pa.int64())}))

    assert key.greatest == 6366642123480847012


def test_no_rows_and_nested_values_have_a_profile_too() -> None:
    empty, nested = profile(
        pa.table({"empty": pa.array([], pa.string()), "nested": pa.array([], pa.list_(pa.int64()))})
    )

    assert (empty.nulls, empty.distinct, empty.least, empty.histogram) == (0.0, 0, None, "")
    assert nested.distinct is None


def test_infinities_are_left_out_of_the_histogram() -> None:
    [ratio] = profile(pa.table({"ratio": pa.array([0.0, 1.0, float("inf"), float("nan")])}))

    assert ratio.histogram.strip(" ") != ""

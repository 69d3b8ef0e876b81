"""What changes in the rows, told column by column."""

from __future__ import annotations

from deployment.workbench.row_difference import _changed


def test_each_column_that_differs_is_counted_with_one_row_of_it() -> None:
    pairs = [
        ({"key": 1, "a": 1.0, "b": "x"}, {"key": 1, "a": 1.0 + 1e-12, "b": "x"}),
        ({"key": 2, "a": 2.0, "b": "x"}, {"key": 2, "a": None, "b": "x"}),
    ]

    assert _changed(pairs, ["a", "b"], ["key"]) == {"a": (1, {"key": 2}, None, 2.0)}

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from deployment.workbench.case_rows import compared, type_of
from deployment.workbench.cases import read_case
from etl.errors import InputError


def test_rows_are_compared_without_order_and_by_the_named_columns_alone() -> None:
    found = [{"a": 2, "b": 1.0}, {"a": 1, "b": 1.0000001}]

    assert compared([{"a": 1}, {"a": 2}], found, 1e-6) == ([], [])
    assert compared([{"a": 1, "b": 1.0}, {"a": 2, "b": 1.0}], found, 1e-6) == ([], [])


def test_a_doubled_row_is_unexpected() -> None:
    assert compared([{"a": 1}], [{"a": 1}, {"a": 1}], 0) == ([], [{"a": 1}])


def test_true_is_not_one_and_null_is_not_zero() -> None:
    assert compared([{"a": 1}], [{"a": True}], 0)[0] == [{"a": 1}]
    assert compared([{"a": 0}], [{"a": None}], 0)[0] == [{"a": 0}]


def test_an_instant_without_a_zone_is_of_utc() -> None:
    known = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)

    assert compared([{"at": known.replace(tzinfo=None)}], [{"at": known}], 0) == ([], [])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None], "INT64"),
        ([1, 0.5], "FLOAT64"),
        ([True], "BOOL"),
        ([None], "STRING"),
        ([dt.date(2026, 1, 1)], "DATE"),
        ([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], "TIMESTAMP"),
        ([["a"]], "ARRAY<STRING>"),
    ],
)
def test_types_come_from_the_values(values: list[object], kind: str) -> None:
    assert type_of(values) == kind


def test_a_key_that_no_case_has_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text("says: x\nexpect: []\n", encoding="utf-8")

    with pytest.raises(InputError, match="`expected` must be there"):
        read_case(file, "m/features/x.sql")

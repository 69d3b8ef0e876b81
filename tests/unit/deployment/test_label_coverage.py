"""What `bqloop labels` says about the labels, and how it shows them."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from deployment.cli.labels import coverage_table
from deployment.label_coverage import Coverage, findings


def stratum(dimension: str, name: str, candidates: int, labelled: int, duplicates: int, **more: Any) -> dict[str, Any]:
    counts = {"disputed": 0, "left_out": 0, "train": labelled, "validation": labelled, "test": 0} | more
    shares = {
        "labelled_share": labelled / candidates if candidates else None,
        "duplicate_share": duplicates / labelled if labelled else None,
    }
    row = {"dimension": dimension, "stratum": name, "candidates": candidates, "labelled": labelled}
    return row | {"duplicates": duplicates} | counts | shares


ALL = stratum("all", "all", 1000, 100, 20)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (stratum("sources", "a & b", 400, 0, 0), "sources a & b: 40% of the candidates, no labels"),
        (stratum("price", "missing", 300, 7, 0), "price missing: 30% of the candidates, 7 labels, none of a duplicate"),
        (stratum("price", "given", 300, 7, 7), "price given: 30% of the candidates, 7 labels, all of duplicates"),
        (
            stratum("category", "shoe", 200, 9, 3, validation=0),
            "category shoe: 20% of the candidates, no labels in split validation",
        ),
    ],
)
def test_a_stratum_that_teaches_nothing_is_told_with_its_share(row: dict[str, Any], told: str) -> None:
    assert findings([ALL, row]) == [told]


@pytest.mark.parametrize("row", [stratum("sources", "c & d", 19, 0, 0), stratum("sources", "a & b", 400, 10, 3)])
def test_a_small_stratum_and_one_with_labels_of_both_kinds_are_not_told(row: dict[str, Any]) -> None:
    assert findings([ALL, row]) == []


def test_disagreement_and_left_out_labels_come_first_and_then_the_largest_strata() -> None:
    rows = [
        stratum("all", "all", 1000, 100, 20, disputed=3, left_out=5),
        stratum("price", "missing", 100, 0, 0),
        stratum("sources", "a & b", 400, 0, 0),
    ]
    told = findings(rows)
    assert told[0] == "people disagree on 3 of 100 labelled pairs"
    assert told[1].startswith("5 labelled pairs are left out")
    assert [line.split(":")[0] for line in told[2:]] == ["sources a & b", "price missing"]


@pytest.mark.parametrize("rows", [[], [stratum("all", "all", 50, 0, 0)]])
def test_no_labels_at_all_is_one_finding(rows: list[dict[str, Any]]) -> None:
    assert findings(rows) == ["there are no labels of pairs that are known here"]


def test_the_largest_strata_of_each_dimension_are_shown_and_the_rest_is_counted() -> None:
    rows = [
        ALL,
        *(stratum("category", f"c{n}", 100 - n, 10, 2) for n in range(5)),
        stratum("price", "[given]", 9, 1, 1),
    ]
    console = Console(width=160, record=True, file=None)
    with console.capture() as shown:
        console.print(coverage_table(Coverage("m-2026-01-01", "2026-01-01T00:00:00+00:00", rows, ()), 2))
    text = shown.get()
    assert "category: c1" in text
    assert "category: c2" not in text
    assert "category: 3 more" in text
    assert "price: [given]" in text

"""Where columns come from, read with sqlglot; Google's analyzer, which resolves the same statements, says the same."""

from __future__ import annotations

import pytest

from deployment.workbench.lineage import Column, _comments, trace_columns
from deployment.workbench.project import analyse_project
from etl.settings import load_settings
from etl.templates import Templates

MODEL = "deal_duplicates"


def columns(path: str) -> dict[str, Column]:
    traced = trace_columns(load_settings("local"), Templates.from_tree(MODEL), path)
    return {column.name: column for column in traced.columns[path]}


def test_a_column_of_a_table_that_comes_in_is_what_its_ddl_says() -> None:
    price = columns(f"{MODEL}/tables/raw_deals.sql")["price"]

    assert (price.type, price.description) == ("NUMERIC", "What the buyer pays, in `currency`; never negative")


def test_a_cleaned_column_comes_from_what_came_in() -> None:
    found = columns(f"{MODEL}/features/clean_deals.sql")

    assert set(found["price"].roots) == {("table.raw_deals", "price"), ("table.raw_deals", "currency")}
    assert ("table.raw_deals", "title") in found["title"].reads


def test_a_clusters_name_comes_from_deals_through_four_files() -> None:
    found = columns(f"{MODEL}/predict/clusters.sql")["cluster_id"]

    assert ("table.raw_deals", "ingested_at") in found.reads
    assert {("table.raw_deals", "source"), ("table.raw_deals", "deal_id")} <= set(found.roots)


def test_a_comment_is_about_the_column_straight_below_it() -> None:
    text = """
SELECT
  left_key,

  -- Money, in one
  -- rough currency.
  {{ similarity.ratio('one.price', 'two.price') }} AS price_ratio,
  price_same,
  -- Time.
  COALESCE(
    days, -- of any kind
    15
  ) AS days_between
FROM x
"""

    assert dict(_comments(text)) == {"price_ratio": "Money, in one rough currency.", "days_between": "Time."}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["training_features", "validation_set", "labelled_pairs", "candidate_pairs"])
def test_googles_analyzer_says_the_same(name: str) -> None:
    pytest.importorskip("zetasql", reason="zetasql is not installed")
    templates, settings = Templates.from_tree(MODEL), load_settings("local")
    project = analyse_project(settings, templates)
    path = f"{MODEL}/features/{name}.sql"

    traced = trace_columns(settings, templates, path)

    for each, found in traced.columns.items():
        if "/features/" in each:
            theirs = project.analyses[each].lineage
            assert {c.name: set(c.reads) for c in found} == {
                column: {(project.short_name(table), name) for table, name in places}
                for column, places in theirs.items()
            }, each

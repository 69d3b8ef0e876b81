"""Which versions may go: old ones that nobody uses or needs."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deployment.registry import Version
from deployment.retention import champions, prune_run_tables, tables_to_prune, versions_to_prune
from tests.unit.etl.bigquery_target import running_warehouse


def version(number: int, *aliases: str, bigquery_model: str = "p.d.m") -> Version:
    return Version(str(number), bigquery_model, aliases, {}, dt.datetime(2026, 11, number, tzinfo=dt.UTC))


def test_the_newest_stay_and_so_does_what_is_used_needed_or_not_ours() -> None:
    versions = [
        version(1, "run-1"),
        version(2, "champion"),
        version(3, "default"),
        version(4, "challenger"),
        version(5),
        version(6, bigquery_model=""),
        version(7),
        version(8),
    ]
    assert [v.version_id for v in versions_to_prune(versions, keep=2, needed={"5"})] == ["1"]
    assert versions_to_prune(versions, keep=8, needed=set()) == []
    assert versions_to_prune(versions, keep=99, needed=set()) == []


def story(*events: tuple[str, str]) -> list[str]:
    return champions([{"action": action, "version": number} for action, number in reversed(events)])


def test_the_line_of_champions_grows_with_promotions_and_shrinks_with_rollbacks() -> None:
    assert story() == []
    assert story(("promote", "1"), ("canary", "2"), ("advance", "2"), ("promote", "2")) == ["1", "2"]
    assert story(("promote", "1"), ("promote", "2"), ("promote", "3"), ("roll_back", "2")) == ["1", "2"]
    assert story(("promote", "1"), ("promote", "2"), ("roll_back", "1"), ("promote", "3")) == ["1", "3"]


def test_a_canary_that_went_back_leaves_the_line_as_it_was() -> None:
    assert story(("promote", "1"), ("promote", "2"), ("canary", "3"), ("roll_back", "2")) == ["1", "2"]


def test_a_version_brought_back_by_name_begins_a_new_line() -> None:
    assert story(("promote", "1"), ("promote", "2"), ("roll_back", "7")) == ["7"]
    assert story(("promote", "1"), ("promote", "1")) == ["1"]


def test_the_tables_of_old_runs_go_and_nothing_else() -> None:
    old, young = dt.datetime(2026, 1, 5, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    made = {
        "deals__2026_01_01__key_stats": old,
        "deals__2026_01_01_champion__key_stats": old - dt.timedelta(days=1),
        "deals__score_2026_01_01__predictions": old,
        "deals__2026_01_02__key_stats": old,
        "deals__2026_02_28__key_stats": young,
        "deals": old,
        "raw_deals": old,
        "deals__notes__of_mine": old,
        "deals__more__2026_01_01__key_stats": old,
        "others__2026_01_01__key_stats": old,
    }
    before = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert tables_to_prune(made, model="deals", before=before, kept={"2026_01_02"}) == [
        "deals__2026_01_01_champion__key_stats",
        "deals__2026_01_01__key_stats",
        "deals__score_2026_01_01__predictions",
    ]


def test_the_tables_of_runs_are_deleted_but_for_those_of_versions_that_are_kept_and_of_the_newest_scoring(
    tmp_path: Path,
) -> None:
    with running_warehouse(tmp_path) as warehouse:
        dataset = f"{warehouse.settings.project}.{warehouse.settings.dataset}"
        runs = [f"deals__2026_01_0{day}__a" for day in range(1, 6)]
        for name in (*runs, "raw_deals"):
            warehouse.client.query(f"CREATE TABLE `{dataset}.{name}` AS SELECT 1 AS a").result()

        scored = {"run_id": "deals-2026-01-05", "details": json.dumps({"adds_to": ["deals-2026-01-04"]})}

        def run(days: int) -> Any:
            trained = version(1, bigquery_model=f"{dataset}.deals__2026_01_02__logistic_reg")
            return SimpleNamespace(
                message=SimpleNamespace(model="deals"),
                slug="2026_01_03",
                settings=warehouse.settings,
                warehouse=warehouse,
                registry=SimpleNamespace(versions=lambda _model: [trained]),
                ledger=SimpleNamespace(read=lambda _query, **_: [scored]),
                policy=SimpleNamespace(retention=SimpleNamespace(run_tables_days=days)),
            )

        assert prune_run_tables(run(1)) == []
        assert prune_run_tables(run(-1)) == ["deals__2026_01_01__a"]  # as if it were the day after tomorrow
        left = {table.table_id for table in warehouse.client.list_tables(dataset)}
    assert left >= {*runs[1:], "raw_deals"}
    assert "deals__2026_01_01__a" not in left

"""Which versions may go: old ones that nobody uses or needs."""

from __future__ import annotations

import datetime as dt

from deployment.registry import Version
from deployment.retention import champions, versions_to_prune


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

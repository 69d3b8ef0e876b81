"""Versions, labels and aliases in the registry, through Google's own clients."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as api

from deployment.registry import Registry, version_labels
from deployment.vertex import Vertex
from etl.errors import StateError, UnavailableError
from tests.unit.deployment.conftest import Cloud


def aliases(cloud: Cloud) -> dict[str, str]:
    """Version by alias, read with Google's own client."""
    versions = cloud.world.clients.models.list_model_versions(name=cloud.world.model())
    return {alias: version.version_id for version in versions for alias in version.version_aliases}


def test_before_anything_is_registered_there_is_neither_champion_nor_version(cloud: Cloud) -> None:
    assert cloud.registry.champion("deals") is None
    assert cloud.registry.challenger("deals") is None
    assert cloud.registry.versions("deals") == []


def test_the_first_promotion_moves_champion_and_default(cloud: Cloud) -> None:
    cloud.register("r1")
    version = cloud.register("r2")
    cloud.registry.put_challenger("deals", version)
    promoted = cloud.registry.put_champion("deals", version)
    assert aliases(cloud) == {"champion": "2", "default": "2"}
    assert promoted.aliases == ("champion", "default")
    assert cloud.registry.champion("deals") == promoted


def test_a_version_knows_the_bigquery_model_that_it_was_made_of(cloud: Cloud) -> None:
    version = cloud.register("r1")
    found = cloud.registry.get("deals", version)
    assert found.bigquery_model == "vertex-test.bqloop.deals__r1__tree"
    assert found.created.year >= 2024


def test_a_version_without_labels_is_known_by_the_alias_of_its_run(cloud: Cloud) -> None:
    cloud.world.register("r1", aliases=["run-2026-11-21-2-boosted-tree"])
    cloud.world.register("r2", aliases=["by-hand"])
    first, second = cloud.registry.versions("deals")
    assert first.bigquery_model == "vertex-test.bqloop.deals__2026_11_21_2__boosted_tree"
    assert second.bigquery_model == ""


def test_evidence_against_a_champion_that_is_gone_no_longer_holds(cloud: Cloud) -> None:
    first, second, third = (cloud.register(name) for name in ("r1", "r2", "r3"))
    cloud.registry.check_champion("deals", first, expected=None)
    cloud.registry.put_champion("deals", second)
    cloud.registry.check_champion("deals", third, expected=second)
    with pytest.raises(
        StateError, match=r"version 3 of deals was measured against champion 1, but .* version 2 by now"
    ):
        cloud.registry.check_champion("deals", third, expected=first)
    with pytest.raises(StateError, match="measured against no champion"):
        cloud.registry.check_champion("deals", third, expected=None)


def test_promoting_twice_is_promoting_once(cloud: Cloud) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.registry.put_champion("deals", first)
    once = cloud.registry.put_champion("deals", second)
    assert cloud.registry.put_champion("deals", second) == once


def test_a_promotion_killed_between_any_two_requests_is_completed_by_the_next_call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.registry.put_champion("deals", first)
    cloud.registry.put_challenger("deals", second)
    client = cloud.vertex.models
    merge, survived = client.merge_version_aliases, 0

    for dies_after in range(3):
        calls = 0

        def dying(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls > dies_after:  # noqa: B023 -- called within this turn of the loop only
                raise api.ServiceUnavailable("killed")
            return merge(*args, **kwargs)

        monkeypatch.setattr(client, "merge_version_aliases", dying)
        try:
            cloud.registry.put_champion("deals", second)
            survived += 1
        except UnavailableError:
            pass
        monkeypatch.setattr(client, "merge_version_aliases", merge)
    assert survived == 1  # the first call was killed at the first move, the second at the second, the third got through
    assert aliases(cloud) == {"champion": "2", "default": "2"}


def test_the_challenger_alias_moves_and_can_be_dropped(cloud: Cloud) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.registry.put_challenger("deals", first)
    cloud.registry.put_challenger("deals", second)
    challenger = cloud.registry.challenger("deals")
    assert challenger is not None
    assert challenger.version_id == second
    cloud.registry.drop_challenger("deals")
    cloud.registry.drop_challenger("deals")
    assert cloud.registry.challenger("deals") is None


def test_labels_are_added_to_those_that_are_there(cloud: Cloud) -> None:
    version = cloud.register("r1")
    labels = version_labels(run="r1", candidate="tree", threshold=0.3805, sql_sha="A" * 64, f1_score=0.9, git_sha=None)
    cloud.registry.put_labels("deals", version, labels)
    cloud.registry.put_labels("deals", version, {"threshold": "0_5000"})
    assert dict(cloud.registry.get("deals", version).labels) == {
        "run": "r1",
        "candidate": "tree",
        "threshold": "0_5000",
        "sql_sha": "a" * 63,
        "f1_score": "0_9000",
    }


def test_a_version_that_does_not_exist_is_told_with_those_that_do(cloud: Cloud) -> None:
    cloud.register("r1")
    cloud.register("r2")
    with pytest.raises(StateError, match=r"no version '7' in the model registry; versions: 1, 2"):
        cloud.registry.get("deals", "7")


def test_a_registry_that_is_down_is_worth_another_try(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployment.vertex.patience", dict)
    cloud.world.server.stop()
    monkeypatch.setattr("deployment.registry.patience", lambda: {"retry": None, "timeout": 1.0})
    with pytest.raises(UnavailableError, match=r"Vertex AI at http://127.0.0.1:\d+ cannot be used just now"):
        Registry(cloud.settings, Vertex(cloud.settings)).champion("deals")

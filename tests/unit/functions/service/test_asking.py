"""Whoever answers, the features are its own."""

from typing import Any

import pytest

from deployment.endpoint import Answer
from etl.errors import StateError, UnavailableError
from functions.service.asking import Asker, NotAnsweredError
from functions.service.versions import ServedVersion, Traffic


class Policy:
    task, label, positive = "classification", "is_duplicate", True


class Champion:
    def __init__(self, version: str) -> None:
        self.version, self.threshold, self.policy = version, 0.5, Policy()


def served(version: str, names: tuple[str, ...] = ("a", "b")) -> ServedVersion:
    return ServedVersion(Champion(version), None, names, f"run-{version}", {}, None)  # type: ignore[arg-type]


class Versions:
    def __init__(self, *looks: Traffic) -> None:
        self.looks = list(looks)

    def traffic(self, *, look: bool = False) -> Traffic:
        if look and len(self.looks) > 1:
            self.looks.pop(0)
        return self.looks[0]


def traffic(*versions: ServedVersion) -> Traffic:
    share = 100 // len(versions)
    return Traffic(
        {v.version: v for v in versions},
        {v.version: share for v in versions},
        {v.version: f"deployed-{v.version}" for v in versions},
    )


class EndpointOf:
    """Answers by turns as the given versions; the probability is the row's `a`."""

    def __init__(self, *turns: str, exactly: dict[str, set[str]] | None = None) -> None:
        self.turns, self.exactly, self.requests = list(turns), exactly or {}, []

    def __call__(self, instances: Any) -> Answer:
        self.requests.append([dict(i) for i in instances])
        version = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if version in self.exactly and any(set(i) != self.exactly[version] for i in instances):
            raise StateError("unknown feature")
        rows = [
            {"is_duplicate_probs": [1 - i["a"], i["a"]], "is_duplicate_values": ["false", "true"]} for i in instances
        ]
        return Answer(version, rows)


def rows_of(version: ServedVersion) -> list[dict[str, Any]]:
    return [{"a": int(version.version) / 10, "b": n, "c": 7, "left_id": n} for n in range(2)]


def test_one_version_is_sent_its_own_rows_and_no_column_that_it_was_not_trained_on() -> None:
    endpoint = EndpointOf("1")
    prediction = Asker(Versions(traffic(served("1"))), endpoint).ask(rows_of)  # type: ignore[arg-type]
    assert prediction.probabilities == [0.1, 0.1]
    assert endpoint.requests == [[{"a": 0.1, "b": 0}, {"a": 0.1, "b": 1}]]
    assert prediction.deployed_model == "deployed-1"


@pytest.mark.parametrize("who", ["1", "2"])
def test_during_a_canary_one_request_carries_the_rows_of_both_and_the_answering_ones_count(who: str) -> None:
    endpoint = EndpointOf(who)
    prediction = Asker(Versions(traffic(served("1"), served("2"))), endpoint).ask(rows_of)  # type: ignore[arg-type]
    assert prediction.version.version == who
    assert prediction.probabilities == [int(who) / 10] * 2
    assert [row["a"] for row in prediction.rows] == [int(who) / 10] * 2
    assert len(endpoint.requests) == 1


def test_versions_with_other_features_are_asked_until_one_draws_its_own_rows() -> None:
    both = traffic(served("1"), served("2", ("a", "c")))
    endpoint = EndpointOf("2", "1", "2", "1", "2", "1", exactly={"1": {"a", "b"}, "2": {"a", "c"}})
    prediction = Asker(Versions(both), endpoint).ask(rows_of)  # type: ignore[arg-type]
    expected = {"1": {"a", "b"}, "2": {"a", "c"}}[prediction.version.version]
    assert set(endpoint.requests[-1][0]) == expected


def test_an_answer_of_an_unknown_version_makes_the_service_look_again() -> None:
    versions = Versions(traffic(served("1")), traffic(served("2")))
    prediction = Asker(versions, EndpointOf("2")).ask(rows_of)  # type: ignore[arg-type]
    assert prediction.version.version == "2"


def test_an_endpoint_that_is_away_is_told_from_everything_else() -> None:
    def away(_: Any) -> Answer:
        raise UnavailableError("down")

    with pytest.raises(NotAnsweredError, match="down"):
        Asker(Versions(traffic(served("1"))), away).ask(rows_of)  # type: ignore[arg-type]

"""Who is champion is decided once: by a chain whose links can be taken once each, and Vertex AI is made to follow."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from deployment.succession import succeed
from etl.errors import StateError, UnavailableError
from etl.ledger import Succession


@dataclass
class Chain:
    """The ledger's part: links as BigQuery takes job IDs, the first come first served."""

    links: dict[int, Succession] = field(default_factory=dict)
    recorded: int = 0

    def last_succession(self) -> int:
        return self.recorded

    def succession(self, number: int) -> Succession | None:
        return self.links.get(number)

    def claim_succession(self, wanted: Succession) -> None:
        self.links.setdefault(wanted.number, wanted)


@dataclass
class Aliases:
    """The registry's part: an alias that whoever comes last moves."""

    now: str | None
    moved: list[str] = field(default_factory=list)
    dies: bool = False
    meanwhile: Any = None

    def champion(self, _model: str) -> Any:
        return None if self.now is None else type("Version", (), {"version_id": self.now})()

    def put_champion(self, _model: str, version: str) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if self.dies:
            raise UnavailableError("killed")
        self.now = version
        self.moved.append(version)


def promote(
    aliases: Aliases, chain: Chain, version: str, expected: str | None, claimant: str = "", *, record: bool = True
) -> int:
    ledger: Any = chain
    registry: Any = aliases
    number = succeed(registry, ledger, "deals", version, expected=expected, claimant=claimant or f"run-{version}")
    if record:
        chain.recorded = max(chain.recorded, number)
    return number


def test_champions_follow_each_other_link_by_link() -> None:
    aliases, chain = Aliases(None), Chain()
    assert [
        promote(aliases, chain, "1", None),
        promote(aliases, chain, "2", "1"),
        promote(aliases, chain, "1", "2"),
    ] == [
        1,
        2,
        3,
    ]
    assert aliases.moved == ["1", "2", "1"]


def test_of_many_that_were_measured_against_the_same_champion_one_follows_it() -> None:
    aliases, chain = Aliases("1"), Chain()
    start = threading.Barrier(8)
    ended: list[str] = []
    refused: list[str] = []

    def ask(version: str) -> None:
        start.wait()
        try:
            promote(aliases, chain, version, "1", record=False)
            ended.append(version)
        except StateError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=ask, args=(str(version),)) for version in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [chain.links[1].version] == [aliases.now]
    assert list(chain.links) == [1]
    assert ["its evidence no longer holds" in text for text in refused] == 7 * [True]


def test_one_that_looked_before_another_moved_the_alias_loses() -> None:
    """Both saw champion 1; the other has the link, and was killed before it moved the alias: it is moved for it."""
    aliases, chain = Aliases("1", dies=True), Chain()
    with pytest.raises(UnavailableError):
        promote(aliases, chain, "2", "1")
    aliases.dies = False
    assert aliases.now == "1"
    with pytest.raises(StateError, match="but the champion is version 2 by now"):
        promote(aliases, chain, "3", "1")
    assert aliases.now == "2"


def test_a_call_that_was_killed_is_finished_by_the_same_call() -> None:
    aliases, chain = Aliases("1", dies=True), Chain()
    with pytest.raises(UnavailableError):
        promote(aliases, chain, "2", "1")
    aliases.dies = False
    assert promote(aliases, chain, "2", "1") == 1
    assert promote(aliases, chain, "3", "2") == 2
    assert aliases.moved == ["2", "3"]


def test_a_slow_call_does_not_put_its_alias_over_that_of_a_later_one() -> None:
    aliases, chain = Aliases("1"), Chain()
    # While the first stands before its move, the next champion is decided on, and moves.
    aliases.meanwhile = lambda: promote(aliases, chain, "3", "2", record=False)
    promote(aliases, chain, "2", "1", record=False)
    assert aliases.now == "3"


def test_an_alias_that_a_person_moved_after_all_was_recorded_is_heeded() -> None:
    aliases, chain = Aliases("1"), Chain()
    promote(aliases, chain, "2", "1")
    aliases.now = "7"
    with pytest.raises(StateError, match="but the champion is version 7 by now"):
        promote(aliases, chain, "3", "2")
    assert promote(aliases, chain, "3", "7") == 2
    assert aliases.now == "3"

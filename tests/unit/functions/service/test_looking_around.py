"""Deals that look around in large blocks: an index reads their neighbours alone, and finds what it would find in whole blocks."""

from __future__ import annotations

import datetime as dt
import gc
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sql
from deployment.stages.run import policy_of
from etl.templates import Templates
from functions.service import comparing
from functions.service.compact_index import CompactIndex
from functions.service.compiled_blocking import CompiledBlocking
from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.lazy_tables import LazyTables
from functions.service.engine.relations import Relation
from functions.service.engine.rows.tables import Table
from functions.service.feature_program import FeatureProgram
from functions.service.known_pairs import Rivals
from functions.service.policy import serving_policy
from functions.service.workers import Workers
from tests.unit.functions.service.first_guess import weights_of_the_first_guess
from tests.unit.functions.service.small_service import MODEL, SEEN

WORDS = ("sony", "turntable", "pslx350h", "black", "belt", "drive", "rpm")


def features(*, nearest: bool, templates: Templates | None = None) -> CompiledFeatures:
    templates = templates or Templates.from_tree(MODEL)
    policy = policy_of(templates)
    policy = policy.model_copy(update={"parameters": {**policy.parameters, "block_reach": 3}})
    serving = serving_policy(policy)
    if not nearest:
        candidates = serving.candidates.model_copy(update={"nearest": None})
        serving = serving.model_copy(update={"candidates": candidates})
    frozen = {
        "token_stats": pa.table({"field": ["", "word"], "token": ["", "sony"], "deals": [8, 4]}),
        "key_stats": pa.table({"key": ["sony"], "deals": [4]}),
        "guess_weights": weights_of_the_first_guess(),
    }
    compiled = FeatureProgram(templates, policy, serving, frozen).compiled
    assert compiled is not None
    return compiled


def deals(seed: int, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Deals of few words, so that blocks hold many of them."""
    draw = random.Random(seed)
    return [
        {
            "source": draw.choice("ab"),
            "deal_id": f"d{n}",
            "title": " ".join(draw.sample(WORDS, 4)),
            "ingested_at": SEEN - dt.timedelta(days=draw.randrange(3)),
        }
        for n in range(first, first + count)
    ]


@pytest.fixture(scope="module")
def by_neighbours() -> CompiledFeatures:
    return features(nearest=True)


@pytest.fixture(scope="module")
def by_blocks() -> CompiledFeatures:
    return features(nearest=False)


def test_neighbours_alone_give_the_candidates_of_whole_blocks(
    by_neighbours: CompiledFeatures, by_blocks: CompiledFeatures
) -> None:
    near, whole = (CompactIndex.of(one, deals(1, 120)) for one in (by_neighbours, by_blocks))
    assert set(near.rivals([(key, key) for key in keys(deals(1, 120))])) == set(
        whole.rivals([(key, key) for key in keys(deals(1, 120))])
    )
    for seed in range(4):
        # New deals, several at once, some of them known ones with other content; and deals that came since.
        asked = deals(10 + seed, 9, 100 + 5 * seed)
        found = [sorted(index.request(asked).candidates()) for index in (near, whole)]
        assert found[0] == found[1] != []
        for index in (near, whole):
            index.add(deals(20 + seed, 12, 90 + 10 * seed))
    assert len(near) == len(whole)


def test_of_a_large_block_few_rows_are_read(by_neighbours: CompiledFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    index = CompactIndex.of(by_neighbours, deals(1, 120))
    read: list[int] = []
    choose = CompiledBlocking.pairs

    def counted(self: Any, mine: Any, known: Any, *rest: Any) -> Any:
        read.append(known["deal_keys"].count)
        return choose(self, mine, known, *rest)

    monkeypatch.setattr(CompiledBlocking, "pairs", counted)
    asked = deals(30, 1, 500)
    assert index.request(asked).candidates()
    own = by_neighbours.arriving(asked).table("deal_keys").count
    # On either side so many as a deal can meet, and one in the place of the deal itself.
    assert read[0] <= own * 2 * (3 + 1)


def test_rivals_of_a_deal_that_came_again_are_computed_anew(by_neighbours: CompiledFeatures) -> None:
    known = deals(1, 60)
    index = CompactIndex.of(by_neighbours, known)
    asked = deals(40, 1, 500)
    index.add([{**known[0], "title": "sony pslx350h"}, {**known[7], "title": "belt drive rpm black"}])
    arriving = by_neighbours.arriving(asked, index)
    pairs = sorted(index.candidates(arriving))
    rivals = index.rivals(pairs)
    assert isinstance(rivals, Rivals)
    assert len(rivals.rows)
    assert rivals.others
    kept = index.features_among(arriving, pairs, rivals)
    computed = by_neighbours.features(arriving, pairs, sorted(set(rivals) - set(pairs)))
    assert sorted(kept, key=str) == sorted(computed, key=str)


def test_several_processes_build_the_index_that_one_builds(
    by_neighbours: CompiledFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_CHOOSING", 16)
    monkeypatch.setattr(comparing, "_RANKING", 32)
    folders = [tmp_path / name for name in ("one", "two")]
    for processes, folder in enumerate(folders, 1):
        folder.mkdir()
        assert CompactIndex.write(by_neighbours, deals(1, 80), folder, Workers(processes)) == 80
    files = sorted(file.name for file in folders[0].iterdir())
    assert files == sorted(file.name for file in folders[1].iterdir())
    assert not any(name.endswith(".part") for name in files)
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in files)


def edited(folder: Path, old: str, new: str, template: str) -> CompiledFeatures:
    """The features of a tree in which a template says something else."""
    shutil.copytree(Path(sql.__file__).parent, folder, dirs_exist_ok=True)
    path = folder / MODEL / "features" / template
    text, count = re.subn(old, new, path.read_text())
    assert count
    path.write_text(text)
    return features(nearest=True, templates=Templates.from_tree(MODEL, folder))


@pytest.mark.parametrize(
    ("template", "old", "new"),
    [
        ("pair_context.sql", r"\brival\b", "beside"),  # no rivals under the alias that the policy names
        (
            "pair_scores.sql",
            r"ROUND\(pair.price_ratio, 9\)",
            "ROUND(pair.price_ratio / SUM(pair.price_ratio) OVER (), 9)",
        ),
    ],
)
def test_what_does_not_follow_from_its_own_pair_is_computed_at_each_request(
    tmp_path: Path, template: str, old: str, new: str
) -> None:
    compiled = edited(tmp_path, old, new, template)
    assert compiled.ranked is None
    index = CompactIndex.of(compiled, deals(1, 40))
    arriving = compiled.arriving(deals(40, 1, 500), index)
    pairs = sorted(index.candidates(arriving))
    rivals = index.rivals(pairs)
    expected = compiled.features(arriving, pairs, sorted(set(rivals) - set(pairs)))
    assert sorted(index.features_among(arriving, pairs, rivals), key=str) == sorted(expected, key=str)


def keys(of: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(deal["source"], deal["deal_id"]) for deal in of]


def test_what_a_request_made_is_gone_with_it(by_neighbours: CompiledFeatures) -> None:
    """Nothing waits for the collector, which would hold up the request in which it comes."""
    index = CompactIndex.of(by_neighbours, deals(1, 60))

    def ask(number: int, count: int) -> None:
        beside = index.request(deals(50, count, number))
        pairs = beside.candidates()
        arriving = by_neighbours.arriving(deals(50, count, number), index)
        assert index.features_among(arriving, pairs, index.rivals(pairs))

    def alive() -> int:
        return sum(isinstance(one, LazyTables | Relation | Table) for one in gc.get_objects())

    for count in (1, 50):  # by loops, and by columns
        ask(500, count)  # what is kept from the first request on is not this one's
        gc.collect()
        gc.disable()
        try:
            before = alive()
            ask(600, count)
            assert alive() == before
        finally:
            gc.enable()

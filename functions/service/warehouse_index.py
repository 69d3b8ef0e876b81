"""An index that is BigQuery itself: the tables of the version's run, which are clustered by what they are looked up by.

It takes no memory and no time to build, however many deals there are, and a second or more a request: for callers that do not wait, and
for more deals than a machine holds. What came after the version's run is found among the recent deals, which are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from functions.service.candidate_index import AskedOfRows
from functions.service.compact_index import CompactIndex
from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.stores import InMemory
from functions.service.engine.strings import Pool
from functions.service.known_deals import Key, KnownDeals
from functions.service.segment_building import build
from functions.service.values import Deal, Pair

# Runs one of serve/'s statements: its name, its parameters, and what it is rendered with beside the tables.
Ask = Callable[[str, Mapping[str, Any], Mapping[str, Any]], list[dict[str, Any]]]


class WarehouseIndex:
    """Known deals in BigQuery. Threads may share it.

    Args:
        features: The version's SQL.
        ask: Asks BigQuery.
        known: Finds known deals by their ID.
        recent: The deals that came after the version's run.
    """

    def __init__(self, features: CompiledFeatures, ask: Ask, known: KnownDeals, recent: Sequence[Deal] = ()) -> None:
        self.features = features
        self._ask = ask
        self._known = known
        self._recent = CompactIndex.of(features, recent)
        self._summaries = {
            name: self._different(name, columns) for name, columns in features.blocking.summarised.items()
        }

    def __len__(self) -> int:
        return len(self._recent)

    def request(self, deals: Sequence[Deal]) -> AskedOfRows:
        """These deals, which stand for the known ones of their IDs, beside the known ones."""
        return AskedOfRows(self, self._candidates, deals)

    def rivals(self, pairs: Iterable[Pair]) -> set[Pair]:
        """The pairs that were compared before and share a deal with one of these."""
        asked = list(pairs)
        keys = sorted({"\n".join(key) for pair in asked for key in pair})
        found = {
            ((row["left_source"], row["left_id"]), (row["right_source"], row["right_id"]))
            for row in self._ask("compared_before", {"keys": keys}, {})
        }
        return found.union(self._recent.rivals(asked))

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[str, Any]]:
        """The latest version of each known deal; the unknown ones are left out."""
        recent = self._recent.deals(keys)
        return {**self._known.deals([key for key in keys if key not in recent]), **recent}

    def add(self, deals: Sequence[Deal]) -> None:
        """Have new deals, or new versions of known ones, found from now on."""
        if not deals:
            return
        pairs = self._candidates(deals)
        self._recent.add(deals)
        self._recent.remember(pairs)

    def _candidates(self, deals: Sequence[Deal]) -> list[Pair]:
        """The pairs that deals choose among those with whom they share a key, all of whom are fetched."""
        policy = self.features.serving.candidates
        arriving = self.features.arriving(deals)
        keys = sorted({key for key in arriving.table(policy.keys).column(policy.key).to_list() if key is not None})
        rows = self._ask("deals_by_key", {"keys": keys}, {})
        there = {(row["source"], row["deal_id"]): row for row in rows} | self._recent.sharing(keys)
        pool = Pool()
        beside = CompactIndex(self.features, build(self.features, there.values(), pool, InMemory()), pool)
        beside.summarise_with(self._summaries)
        return beside.request(deals).candidates()

    def _different(self, name: str, columns: Sequence[str]) -> dict[str, list[Any]]:
        rows = self._ask("different_rows", {}, {"summarised_table": name, "summarised_columns": list(columns)})
        return {column: [row[column] for row in rows] for column in columns}

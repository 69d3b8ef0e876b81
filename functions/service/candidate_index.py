"""Which known deals a new one may be a duplicate of: what an index has to answer, and one in DuckDB.

Everything that an index answers has one definition, the templates: what is kept of each deal, which deals meet, and which of
them are worth a closer look. `compact_index` is the quick one; the one here serves where the version's SQL has something in it
that only DuckDB knows, and is the judge in the tests.
"""

from __future__ import annotations

import itertools
import threading
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from functions.service.connection_pool import ConnectionPool
from functions.service.feature_program import FeatureProgram
from functions.service.known_deals import Key
from functions.service.policy import ServingPolicy
from functions.service.values import DEAL_TYPES, Pair

Row = Mapping[str, Any]
_numbers = itertools.count(1)


class Asked(Protocol):
    """The deals of one request beside the known ones."""

    def candidates(self) -> list[Pair]:
        """The pairs worth a closer look that each of these deals makes with known deals and with one another."""

    def features(
        self, program: FeatureProgram, pairs: Sequence[Pair], rivals: Collection[Pair] = ()
    ) -> list[dict[str, Any]]:
        """A version's features of pairs of these deals and known ones among their rivals; one row per pair, in any order.

        The index that `rivals` are of is this one; the pairs themselves may be among them.
        """


class CandidateIndex(Protocol):
    """Where candidates of new deals are found."""

    def __len__(self) -> int: ...

    def request(self, deals: Sequence[Row]) -> Asked:
        """These deals, which stand for the known ones of their IDs, beside the known ones."""

    def rivals(self, pairs: Iterable[Pair]) -> Set[Pair]:
        """The pairs that were compared before and share a deal with one of these."""

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """The latest version of each known deal; the unknown ones are left out."""

    def add(self, deals: Sequence[Row]) -> None:
        """Have new deals, or new versions of known ones, found from now on."""


class AskedOfRows:
    """The deals of a request, for engines that take deals as they are.

    Args:
        index: Finds candidates and known deals.
        find: Gives the candidates of deals.
        deals: The deals.
    """

    def __init__(
        self, index: CandidateIndex, find: Callable[[Sequence[Row]], list[Pair]], deals: Sequence[Row]
    ) -> None:
        self._index = index
        self._find = find
        self._deals = deals

    def candidates(self) -> list[Pair]:
        """The pairs worth a closer look."""
        return self._find(self._deals) if self._deals else []

    def features(
        self, program: FeatureProgram, pairs: Sequence[Pair], rivals: Collection[Pair] = ()
    ) -> list[dict[str, Any]]:
        """A version's features of pairs."""
        mine = {(deal["source"], deal["deal_id"]) for deal in self._deals}
        rivals = sorted(set(rivals) - set(pairs))
        others = sorted({key for pair in (*pairs, *rivals) for key in pair} - mine)
        return program.compute([*self._deals, *self._index.deals(others).values()], pairs, rivals)


class MemoryIndex:
    """An index in the program's own database. Threads may share it.

    Args:
        program: The version's SQL.
        serving: Its section of the policy.
        deals: The known deals, columns as in raw_deals, the latest version of each.
        compared: Pairs of them that are compared whatever blocking says: the labelled ones.
    """

    def __init__(
        self, program: FeatureProgram, serving: ServingPolicy, deals: Sequence[Row], compared: Iterable[Pair] = ()
    ) -> None:
        self._program = program
        self._policy = serving.candidates
        self._raw = serving.deals
        # A program may have several indexes, one being built while another serves.
        self._known = f"known_{next(_numbers)}_"
        self._writing = threading.Lock()
        self._connections = ConnectionPool(program.connect)
        self._deals: dict[Key, Row] = {}
        self._rivals: dict[Key, set[Pair]] = defaultdict(set)
        # Composed once: reading and translating the templates takes longer than running them.
        self._kept: dict[str, str] = {}
        for table in self._policy.indexed:
            before = {kept: f"SELECT * FROM new_{kept}" for kept in self._kept}
            self._kept[table] = program.compose(table, {self._raw: "SELECT * FROM arriving", **before})
        self._meeting = self._meeting_sql()
        with self._connections.lent() as connection:
            self._take_in(connection, deals)
            for table in self._policy.indexed:
                # Sorted, so that DuckDB skips the keys that a request does not ask for.
                order = f" ORDER BY {self._policy.key}" if table == self._policy.keys else ""
                connection.execute(f"CREATE TABLE {self._known}{table} AS SELECT * FROM new_{table}{order}")
            self._names = self._names_of(connection)
            given = {table: f"SELECT * FROM {self._known}{table}" for table in self._policy.indexed}
            self._remember(deals, self._pairs(connection, program.compose(self._policy.pairs, given), self._names))
        self._remember((), (pair for pair in compared if pair[0] in self._deals and pair[1] in self._deals))

    def __len__(self) -> int:
        return len(self._deals)

    def request(self, deals: Sequence[Row]) -> AskedOfRows:
        """These deals beside the known ones."""
        return AskedOfRows(self, self._candidates, deals)

    def _candidates(self, deals: Sequence[Row]) -> list[Pair]:
        with self._connections.lent() as connection:
            self._take_in(connection, deals)
            return self._pairs(connection, self._meeting, ChainMap(self._names_of(connection), self._names))

    def rivals(self, pairs: Iterable[Pair]) -> set[Pair]:
        """The pairs that were compared before and share a deal with one of these."""
        found: set[Pair] = set()
        for key in {key for pair in pairs for key in pair}:
            found |= self._rivals.get(key, set())
        return found

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """The latest version of each known deal; the unknown ones are left out."""
        return {key: self._deals[key] for key in keys if key in self._deals}

    def add(self, deals: Sequence[Row]) -> None:
        """Have new deals, or new versions of known ones, found from now on."""
        if not deals:
            return
        with self._writing, self._connections.lent() as connection:
            self._take_in(connection, deals)
            names = self._names_of(connection)
            pairs = self._pairs(connection, self._meeting, ChainMap(names, self._names))
            connection.execute("BEGIN")
            for table in self._policy.indexed:
                connection.execute(f"DELETE FROM {self._known}{table} WHERE {self._is_new()}")
                connection.execute(f"INSERT INTO {self._known}{table} SELECT * FROM new_{table}")
            connection.execute("COMMIT")
            self._names |= names
            self._remember(deals, pairs)

    def _take_in(self, connection: duckdb.DuckDBPyConnection, deals: Sequence[Row]) -> None:
        """What is kept of each deal, for these deals, as the connection's own tables `new_*`."""
        schema = pa.schema(DEAL_TYPES.items())
        connection.register("arriving", pa.Table.from_pylist([dict(d) for d in deals], schema))
        for table, query in self._kept.items():
            connection.execute(f"CREATE OR REPLACE TEMP TABLE new_{table} AS {query}")
        connection.unregister("arriving")

    def _is_new(self) -> str:
        return f"deal_key IN (SELECT deal_key FROM new_{self._policy.indexed[0]})"

    def _meeting_sql(self) -> str:
        policy = self._policy
        met = {policy.keys: f" AND {policy.key} IN (SELECT {policy.key} FROM new_{policy.keys})"}
        given = {
            t: f"SELECT * FROM {self._known}{t} WHERE NOT {self._is_new()}{met.get(t, '')} UNION ALL SELECT * FROM new_{t}"
            for t in policy.indexed
        }
        return self._program.compose(policy.pairs, given, only={policy.asking: self._is_new()})

    def _names_of(self, connection: duckdb.DuckDBPyConnection) -> dict[int, Key]:
        rows = connection.execute(f"SELECT deal_key, source, deal_id FROM new_{self._policy.indexed[0]}").fetchall()
        return {key: (source, deal_id) for key, source, deal_id in rows}

    def _pairs(self, connection: duckdb.DuckDBPyConnection, query: str, names: Mapping[int, Key]) -> list[Pair]:
        rows = connection.execute(f"SELECT left_key, right_key FROM ({query})").fetchall()
        return [(names[left], names[right]) for left, right in rows]

    def _remember(self, deals: Iterable[Row], pairs: Iterable[Pair]) -> None:
        self._deals |= {(deal["source"], deal["deal_id"]): deal for deal in deals}
        for pair in pairs:
            for key in pair:
                self._rivals[key].add(pair)

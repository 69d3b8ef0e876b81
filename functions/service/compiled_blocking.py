"""Which pairs the deals of a request make: the template of the candidate pairs, run over the known deals that share a key with them.

Rows under the policy's asking alias are those of the request alone. What the template says of all known deals (how many
sources there are) is read from the different rows among them, which the index keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sqlglot import exp

from functions.service.engine.columns import Array, EngineError
from functions.service.engine.program import Maker, Program
from functions.service.engine.relations import Relation, union
from functions.service.engine.storage import DEAL_KEY
from functions.service.engine.strings import Pool
from functions.service.policy import ServingPolicy
from functions.service.rendering import Rendered

# Suffixes of a table's rows that a request chooses for, and of a table's different rows among all known deals.
ASKING, ALL = "@asking", "@all"


class CompiledBlocking:
    """The compiled blocking of one version.

    Args:
        candidates: The templates of the candidate pairs and of what they read.
        schema: Column names of the indexed tables, by table.
        columns: Those of the frozen tables.
        serving: The policy's section for the service.
        lookups: The frozen tables that are looked up.
        parameters: The SQL's parameters.
        whole: Gives the frozen tables that are read whole.

    Attributes:
        summarised: By table the columns of which the different rows among all known deals are read.

    Raises:
        EngineError: Something in the SQL is not known to the engine; the text names it.
    """

    def __init__(
        self,
        candidates: Mapping[str, Rendered],
        schema: Mapping[str, Sequence[str]],
        columns: Mapping[str, Sequence[str]],
        serving: ServingPolicy,
        lookups: Mapping[str, Maker],
        parameters: Mapping[str, Any],
        whole: Callable[[Pool], Mapping[str, Relation]],
    ) -> None:
        self._whole = whole
        self._policy = policy = serving.candidates
        target = candidates[policy.pairs].query.copy()
        self._restricted = {table.name for table in target.find_all(exp.Table) if table.alias == policy.asking}
        for table in list(target.find_all(exp.Table)):
            if table.alias == policy.asking:
                table.set("this", exp.to_identifier(table.name + ASKING))
        self.summarised = _read_whole(target, policy.indexed)
        given = {name: schema[name] for name in policy.indexed}
        given |= {name + ALL: names for name, names in self.summarised.items()}
        given |= columns
        between = _between(candidates, policy.pairs, set(policy.indexed))
        queries = {name: candidates[name].query for name in between}
        first = Program(queries, dict(given), lookups, parameters)
        given |= {name + ASKING: first.schema[name] for name in self._restricted}
        queries[policy.pairs] = target
        self._program = Program(queries, given, lookups, parameters)

    def pairs(
        self,
        mine: Mapping[str, Relation],
        known: Mapping[str, Relation],
        summaries: Mapping[str, Relation],
        pool: Pool,
    ) -> Relation:
        """The pairs that some deals choose.

        Args:
            mine: The tables of the deals that choose.
            known: Of those among which they choose, what blocking needs: the rows of the keys that they share.
            summaries: By table the different rows of its `summarised` columns among all known deals.
            pool: The texts of all.
        """
        given = dict(self._whole(pool))
        asking = mine[self._policy.indexed[0]].column(DEAL_KEY).values
        for name in self._policy.indexed:
            given[name] = union([mine[name], in_columns_of(mine[name], known[name])])
        for name, columns in self.summarised.items():
            own = Relation(mine[name].count, {column: mine[name].column(column) for column in columns})
            given[name + ALL] = union([summaries[name], own])
        made = {name + ASKING: _of_keys(name, asking) for name in self._restricted}
        return self._program.run(given, pool, made)(self._policy.pairs)


def in_columns_of(one: Relation, other: Relation) -> Relation:
    """The other with its columns in the order of the one's."""
    return in_order(other, one.names)


def in_order(relation: Relation, names: Sequence[str]) -> Relation:
    """The same with its columns in this order."""
    return Relation(relation.count, {name: partial(relation.column, name) for name in names})


def _between(tables: Mapping[str, Rendered], target: str, given: set[str]) -> list[str]:
    """The tables between those that are given and the target, which is left out."""
    wanted, found = [target], set[str]()
    while wanted:
        for need in tables[wanted.pop()].needs - given - found:
            if need in tables:
                found.add(need)
                wanted.append(need)
    return [name for name in tables if name in found]


def _of_keys(name: str, keys: Array) -> Maker:
    def make(find: Callable[[str], Relation], _pool: Pool) -> Relation:
        relation = find(name)
        return relation.take(np.flatnonzero(np.isin(relation.column(DEAL_KEY).values, keys)))

    return make


_INSENSITIVE = (exp.Max, exp.Min, exp.LogicalAnd, exp.LogicalOr)


def _read_whole(target: exp.Query, indexed: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Have the parts of a query that say something of all known deals read their different rows alone.

    Such a part is a CTE that does not depend on the deals that choose.

    Returns:
        The columns that are read so, by table.

    Raises:
        EngineError: It counts deals, and not what is different among them.
    """
    dependent: set[str] = set()
    found: dict[str, set[str]] = {}
    for cte in target.find_all(exp.CTE):
        tables = list(cte.this.find_all(exp.Table))
        if any(table.name.endswith(ASKING) or table.name in dependent for table in tables):
            dependent.add(cte.alias)
            continue
        for table in tables:
            if table.name not in indexed:
                continue
            select = table.find_ancestor(exp.Select)
            if select is None or select.args.get("joins") or not _sees_what_differs(select):
                raise EngineError(f"{cte.alias}, which reads {table.name} of all deals")
            found.setdefault(table.name, set()).update(column.name for column in select.find_all(exp.Column))
            table.set("this", exp.to_identifier(table.name + ALL))
    return {name: tuple(sorted(columns)) for name, columns in found.items()}


def _sees_what_differs(select: exp.Select) -> bool:
    """Whether a SELECT over a table gives the same for the table's different rows."""
    aggregates = [
        one
        for one in select.find_all(exp.AggFunc)
        if not (isinstance(one.parent, exp.Window) and one.arg_key == "this")
    ]
    return bool(aggregates) and all(
        isinstance(one, _INSENSITIVE) or (isinstance(one, exp.Count) and isinstance(one.this, exp.Distinct))
        for one in aggregates
    )

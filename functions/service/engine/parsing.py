"""What both ways of running a SELECT, by columns and by rows, read from its tree alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from functions.service.engine.columns import EngineError

# By alias the names of a table's columns.
Sources = Mapping[str, Sequence[str]]
AGGREGATE_KINDS: tuple[type[exp.Expr], ...] = (
    exp.Sum,
    exp.Avg,
    exp.Max,
    exp.Min,
    exp.Count,
    exp.CountIf,
    exp.LogicalAnd,
    exp.LogicalOr,
)
JOINS = frozenset({"", "INNER", "CROSS", "OUTER"})
_TYPES = {"BIGINT": "INT64", "INT": "INT64", "DOUBLE": "FLOAT64", "DATE": "DATE"}
_PARTS = frozenset(
    {
        "kind",
        "hint",
        "distinct",
        "expressions",
        "from_",
        "from",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "with_",
        "with",
        "limit",
    }
)


def check_parts(node: exp.Select) -> None:
    """Refuse a SELECT with parts that nobody here knows.

    Raises:
        EngineError: It has such a part; the text names it.
    """
    more = {name for name, value in node.args.items() if value and name not in _PARTS}
    if more:
        raise EngineError(f"{', '.join(sorted(more)).upper()} in a SELECT")
    if node.args.get("limit") is not None:
        raise EngineError("LIMIT in a SELECT")
    group = node.args.get("group")
    if group is not None and {n for n, v in group.args.items() if v and n != "expressions"}:
        raise EngineError("GROUP BY with ROLLUP and the like")
    if group is not None and any(key.is_int for key in group.expressions):
        raise EngineError("GROUP BY a place in the list")


def check_source(node: exp.Expr) -> None:
    """Refuse a table of a FROM with something at it that nobody here knows.

    Raises:
        EngineError: A bracketed join, a pivot, a sample.
    """
    if node.args.get("joins") or node.args.get("pivots") or node.args.get("sample"):
        raise EngineError(f"{node.sql('bigquery')[:80]} in a FROM")


def add_source(sources: dict[str, Sequence[str]], alias: str, names: Sequence[str]) -> None:
    """Note a table of a FROM and its columns.

    Raises:
        EngineError: There is one of that alias already, or it has none.
    """
    if alias in sources or not alias:
        raise EngineError(f"two tables {alias!r} in a FROM")
    sources[alias] = names


def check_join(join: exp.Join) -> tuple[bool, exp.Expr | None]:
    """Whether a join is a left one, and its condition.

    Raises:
        EngineError: It is of a kind that nobody here knows.
    """
    side, kind = str(join.args.get("side") or "").upper(), str(join.args.get("kind") or "").upper()
    condition = join.args.get("on")
    if join.args.get("using") or join.args.get("method") or side not in {"", "LEFT"} or kind not in JOINS:
        raise EngineError(f"{join.sql('bigquery')[:60]}")
    if condition is None and side == "LEFT":
        raise EngineError("LEFT JOIN without ON")
    return side == "LEFT", condition


def unnested(node: exp.Unnest) -> tuple[str, str | None]:
    """The names of the element and of its place, where the place is wanted.

    Raises:
        EngineError: Several arrays are put side by side.
    """
    if len(node.expressions) != 1:
        raise EngineError("UNNEST of several arrays")
    alias = node.args.get("alias")
    columns = [c.name for c in alias.columns] if alias is not None else []
    offset = node.args.get("offset")
    place = offset.name if isinstance(offset, exp.Identifier) else "offset" if offset else None
    return columns[0] if columns else node.alias, place


def listed(node: exp.Select, sources: Sources) -> list[tuple[str, exp.Expr]]:
    """Name and expression of each column that a SELECT gives.

    Raises:
        EngineError: `* REPLACE`, a table that is not there, or an expression without a name.
    """
    found: list[tuple[str, exp.Expr]] = []
    for one in node.expressions:
        star = one.this if isinstance(one, exp.Column) and isinstance(one.this, exp.Star) else one
        if isinstance(star, exp.Star):
            if star.args.get("replace") or star.args.get("rename"):
                raise EngineError("* REPLACE")
            aliases = [one.table] if isinstance(one, exp.Column) else list(sources)
            left_out = {name.name for name in star.args.get("except_") or star.args.get("except") or ()}
            for alias in aliases:
                if alias not in sources:
                    raise EngineError(f"{alias}.*")
                names = [name for name in sources[alias] if name not in left_out]
                found += [(name, exp.column(name, table=alias, quoted=False)) for name in names]
        else:
            name = one.alias_or_name
            if not name:
                raise EngineError(f"a column without a name: {one.sql('bigquery')[:60]}")
            found.append((name, one.this if isinstance(one, exp.Alias) else one))
    return found


def alias_of(node: exp.Expr, sources: Sources) -> str:
    """Whose column it is.

    Raises:
        EngineError: Nobody's, or that of several tables.
    """
    table, name = getattr(node, "table", ""), node.name
    holders = [alias for alias, names in sources.items() if name in names and table in {"", alias}]
    if len(holders) != 1:
        raise EngineError(f"the column {node.sql('bigquery')}, which {len(holders)} tables have")
    return holders[0]


def spellings(key: exp.Expr, sources: Sources) -> list[exp.Expr]:
    """A key of a GROUP BY as a SELECT may write it: a column with and without its table's alias.

    Raises:
        EngineError: It is a column of no table, or of several.
    """
    if not isinstance(key, exp.Column):
        return [key]
    return [key, exp.column(key.name), exp.column(key.name, table=alias_of(key, sources))]


def range_as_comparisons(node: exp.Expr) -> exp.And:
    """BETWEEN as what it stands for."""
    low = exp.GTE(this=node.this, expression=node.args["low"])
    return exp.And(this=low, expression=exp.LTE(this=node.this, expression=node.args["high"]))


def check_window(node: exp.Expr) -> None:
    """Refuse a window that nobody here knows.

    Raises:
        EngineError: A frame, or an aggregate that runs along an order.
    """
    more = {n for n, v in node.args.items() if v and n not in {"this", "partition_by", "order", "over"}}
    if more:
        raise EngineError(f"a window with {', '.join(sorted(more))}")
    if isinstance(node.this, AGGREGATE_KINDS) and node.args.get("order") is not None:
        raise EngineError(f"a running aggregate: {node.sql('bigquery')[:80]}")


def window_order(node: exp.Expr) -> list[tuple[exp.Expr, bool]]:
    """What a window is ordered by, and whether descending; NULLs are the smallest values.

    Raises:
        EngineError: NULLs are put elsewhere.
    """
    order = node.args.get("order")
    keys = []
    for one in order.expressions if order is not None else ():
        descending = bool(one.args.get("desc"))
        # sqlglot notes the dialect's own default, too.
        if one.args.get("nulls_first") not in {None, not descending}:
            raise EngineError(f"ORDER BY with NULLS FIRST or LAST: {one.sql('bigquery')}")
        keys.append((one.this, descending))
    return keys


def shift_of(function: exp.Expr) -> int:
    """By how many rows LEAD (1 and more) and LAG (-1 and less) look away.

    Raises:
        EngineError: Another value is wanted where there is no such row.
    """
    if function.args.get("default") is not None:
        raise EngineError("LEAD or LAG with a default")
    by = int(function.args["offset"].sql()) if function.args.get("offset") is not None else 1
    return by if isinstance(function, exp.Lead) else -by


def check_series(node: exp.Expr) -> None:
    """Refuse GENERATE_ARRAY by another step than 1.

    Raises:
        EngineError: It has one.
    """
    if node.args.get("step") is not None and node.args["step"].sql() != "1":
        raise EngineError("GENERATE_ARRAY with a step")


def aggregates_in(node: exp.Expr) -> list[exp.Expr]:
    """The aggregate functions in an expression that are no window's."""
    return [
        one
        for one in node.find_all(*AGGREGATE_KINDS)
        if not isinstance(one.parent, exp.Window) or one.arg_key != "this"
    ]


def keys_of(condition: exp.Expr, left: Sources, right: Sources) -> tuple[list[tuple[exp.Expr, str]], exp.Expr | None]:
    """A join's condition as equal keys, expression of the left and column of the right, and what is left of it."""
    keys: list[tuple[exp.Expr, str]] = []
    rest: list[exp.Expr] = []
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        bare = part.unnest()
        if isinstance(bare, exp.EQ):
            for one, other in ((bare.this, bare.expression), (bare.expression, bare.this)):
                is_key = isinstance(other, exp.Column) and _belongs(other, right, left)
                if is_key and all(_belongs(column, left, right) for column in one.find_all(exp.Column)):
                    keys.append((one, other.name))
                    break
            else:
                rest.append(part)
        else:
            rest.append(part)
    return keys, exp.and_(*rest) if rest else None


def type_of(cast: exp.Expr) -> str:
    """BigQuery's name of the type that a CAST names."""
    to: exp.Expr = cast.args["to"]
    return _TYPES.get(to.this.name, to.sql("bigquery"))


def _belongs(column: exp.Expr, to: Sources, other: Sources) -> bool:
    table = getattr(column, "table", "")
    if table:
        return table in to
    return any(column.name in n for n in to.values()) and not any(column.name in n for n in other.values())

"""From BigQuery's SQL to DuckDB's, for the templates that the service runs in-process.

sqlglot knows the two grammars; what the two engines mean by the same word is settled here, node by node. A function that
nobody has compared is refused by name: a feature that silently differs between training and serving is the worst of
errors. What stands in `COMPARED` is held equal by tests/parity/service against Google's reference evaluator and the
warehouse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from etl.errors import TemplateError
from etl.templates import RenderedSql

# Functions whose results were compared. Operators, CASE, joins, windows and subqueries have one meaning in both engines.
COMPARED: tuple[type[exp.Expr], ...] = (
    exp.Abs,
    exp.AnyValue,
    exp.Array,
    exp.ArrayConcat,
    exp.Avg,
    exp.Case,
    exp.Cast,
    exp.Ceil,
    exp.Coalesce,
    exp.Concat,
    exp.Count,
    exp.CountIf,
    exp.Date,
    exp.DateDiff,
    exp.EndsWith,
    exp.Exp,
    exp.FarmFingerprint,
    exp.FirstValue,
    exp.Floor,
    exp.GenerateSeries,
    exp.Greatest,
    exp.GroupConcat,
    exp.If,
    exp.Lag,
    exp.LastValue,
    exp.Lead,
    exp.Least,
    exp.Length,
    exp.Levenshtein,
    exp.Ln,
    exp.LogicalAnd,
    exp.LogicalOr,
    exp.Lower,
    exp.Max,
    exp.Min,
    exp.Mod,
    exp.Normalize,
    exp.NthValue,
    exp.Nullif,
    exp.Rank,
    exp.DenseRank,
    exp.RegexpExtract,
    exp.RegexpExtractAll,
    exp.RegexpLike,
    exp.RegexpReplace,
    exp.Replace,
    exp.Round,
    exp.RowNumber,
    exp.SafeDivide,
    exp.Sign,
    exp.Split,
    exp.Sqrt,
    exp.StartsWith,
    exp.StrPosition,
    exp.Substring,
    exp.Sum,
    exp.Trim,
    exp.Unnest,
    # sqlglot counts these among functions, though they are operators.
    exp.And,
    exp.Or,
    exp.Xor,
)
# What BigQuery counts as white space (Unicode's White_Space), which TRIM removes; DuckDB's removes spaces alone.
WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_BOOLEAN = (
    exp.Predicate,
    exp.Connector,
    exp.Not,
    exp.Boolean,
    exp.RegexpLike,
    exp.Exists,
    exp.LogicalOr,
    exp.LogicalAnd,
)

Node = TypeVar("Node", bound=exp.Expr)


def parse_select(rendered: RenderedSql) -> exp.Query:
    """The SELECT inside a `CREATE … TABLE … AS SELECT`, or the SELECT itself.

    Raises:
        TemplateError: It does not parse, or is another kind of statement.
    """
    try:
        statement = sqlglot.parse_one(rendered.text, dialect="bigquery")
    except SqlglotError as error:
        raise TemplateError(f"sql/{rendered.path}: the service cannot read it: {error}") from error
    select = statement.expression if isinstance(statement, exp.Create) else statement
    if not isinstance(select, exp.Query):
        raise TemplateError(f"sql/{rendered.path}: the service can run a SELECT only, or a table made of one")
    return select


def to_duckdb(query: Node, path: str) -> Node:
    """The same query in words whose meaning in DuckDB is BigQuery's; generate it with `dialect="duckdb"`.

    Raises:
        TemplateError: It uses a function that was never compared; the text names template and function.
    """
    _refuse_unknown(query, path)
    query = query.copy()
    for node in query.walk():
        node.comments = None  # they would be generated in the middle of expressions, for nobody to read
    _number_offsets_from_zero(query)
    for kind, rewrite in _REWRITES:
        # Innermost first, so that a rewritten call's arguments are rewritten already.
        for found in reversed(list(query.find_all(kind))):
            replacement = rewrite(found)
            if replacement is not found:
                found.replace(replacement)
    return query


def _refuse_unknown(query: exp.Expr, path: str) -> None:
    for node in query.find_all(exp.Func):
        if isinstance(node, COMPARED):
            continue
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        raise TemplateError(
            f"sql/{path}: {name} has not been compared between BigQuery and the service's engine, so the service refuses it. "
            "Use a function of sql/README.md's list for features, or add it to functions/service/translation.py "
            "together with a parity test"
        )


def _number_offsets_from_zero(query: exp.Expr) -> None:
    """`WITH OFFSET AS place` counts from 0; DuckDB's WITH ORDINALITY, which sqlglot makes of it, from 1."""
    for unnest in query.find_all(exp.Unnest):
        offset = unnest.args.get("offset")
        select = unnest.find_ancestor(exp.Select)
        if not isinstance(offset, exp.Identifier) or select is None:
            continue
        for column in list(select.find_all(exp.Column)):
            if column.name == offset.name and column.find_ancestor(exp.Select) is select:
                zero_based: exp.Expr = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
                if column.parent is select:
                    zero_based = exp.alias_(zero_based, column.name)
                column.replace(zero_based)


def _is_ascii(*texts: exp.Expr) -> exp.Expr:
    """Whether no text has a character beyond ASCII: as many bytes as characters."""
    tests: Iterable[exp.Expr] = (
        exp.EQ(this=exp.func("strlen", text.copy()), expression=_characters(text)) for text in texts
    )
    return exp.and_(*tests)


def _characters(text: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="length", expressions=[text.copy()])


def _where_ascii(texts: list[exp.Expr], quick: exp.Expr, exact: exp.Expr) -> exp.Expr:
    """DuckDB's own function where it means the same, else the one of `sql_functions`.

    DuckDB evaluates a branch for the rows that take it alone, so that plain text never leaves the engine.
    """
    return exp.Case(ifs=[exp.If(this=_is_ascii(*texts), true=quick)], default=exact)


def _normalize(node: exp.Normalize) -> exp.Expr:
    form = node.args["form"].name.upper() if node.args.get("form") else "NFC"
    text = node.this
    if not node.args.get("is_casefold"):
        return exp.Anonymous(this="normalize_" + form.lower(), expressions=[text])
    exact = exp.Anonymous(this="casefold_" + form.lower(), expressions=[text])
    return _where_ascii([text], exp.Anonymous(this="lower", expressions=[text.copy()]), exact.copy())


def _lower(node: exp.Lower) -> exp.Expr:
    text = node.this
    quick = exp.Anonymous(this="lower", expressions=[text])
    return _where_ascii([text], quick, exp.Anonymous(this="lower_unicode", expressions=[text.copy()]))


def _edit_distance(node: exp.Levenshtein) -> exp.Expr:
    if len([a for a in node.args.values() if a is not None]) > 2:
        raise TemplateError("EDIT_DISTANCE with max_distance has not been compared; leave the third argument out")
    a, b = node.this, node.expression
    quick = exp.Anonymous(this="levenshtein", expressions=[a, b])
    return _where_ascii([a, b], quick, exp.Anonymous(this="edit_distance", expressions=[a.copy(), b.copy()]))


def _length(node: exp.Length) -> exp.Expr:
    # Deals hold no BYTES, for which sqlglot would ask at run time.
    return _characters(node.this)


def _trim(node: exp.Trim) -> exp.Expr:
    if node.expression is not None:
        return node
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    return exp.Anonymous(this=name, expressions=[node.this, exp.Literal.string(WHITE_SPACE)])


def _regexp_extract(node: exp.RegexpExtract) -> exp.Expr:
    # Without a match BigQuery gives NULL, DuckDB an empty text.
    return exp.Case(
        ifs=[exp.If(this=exp.RegexpLike(this=node.this.copy(), expression=node.expression.copy()), true=node.copy())]
    )


def _cast(node: exp.Cast) -> exp.Expr:
    if node.to.is_type("bigint", "int64") and not isinstance(_inside(node.this), _BOOLEAN):
        # BigQuery rounds half away from zero, DuckDB half to even.
        return exp.cast(exp.Anonymous(this="round", expressions=[node.this]), "bigint")
    return node


def _inside(node: exp.Expr) -> exp.Expr:
    return node.unnest() if isinstance(node, exp.Paren) else node


def _count_if(node: exp.CountIf) -> exp.Expr:
    # DuckDB's own gives NULL where the condition is NULL in every row, BigQuery's 0.
    return exp.Count(this=exp.Case(ifs=[exp.If(this=node.this, true=exp.Literal.number(1))]))


def _array_concat(node: exp.ArrayConcat) -> exp.Expr:
    # NULL where any array is; DuckDB would leave that one out.
    arrays = [node.this, *node.expressions]
    joined = arrays[0].copy()
    for more in arrays[1:]:
        joined = exp.Anonymous(this="list_concat", expressions=[joined, more.copy()])
    return _unless_null(arrays, joined)


def _extreme(node: exp.Greatest | exp.Least) -> exp.Expr:
    """GREATEST and LEAST are NULL in BigQuery where any argument is; DuckDB leaves NULLs out."""
    arguments = [node.this, *node.expressions]
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    result = exp.Anonymous(this=name, expressions=[a.copy() for a in arguments])
    nullable = [a for a in arguments if not isinstance(a, exp.Literal | exp.Window)]
    if not nullable:
        return result
    return _unless_null(nullable, result)


def _unless_null(arguments: Iterable[exp.Expr], result: exp.Expr) -> exp.Expr:
    tests = [exp.Is(this=a.copy(), expression=exp.Null()) for a in arguments]
    return exp.Case(ifs=[exp.If(this=exp.or_(*tests), true=exp.Null())], default=result)


_REWRITES: tuple[tuple[type[exp.Expr], Callable[..., exp.Expr]], ...] = (
    (exp.Normalize, _normalize),
    (exp.Lower, _lower),
    (exp.Levenshtein, _edit_distance),
    (exp.Length, _length),
    (exp.Trim, _trim),
    (exp.RegexpExtract, _regexp_extract),
    (exp.Cast, _cast),
    (exp.Greatest, _extreme),
    (exp.Least, _extreme),
    (exp.ArrayConcat, _array_concat),
    (exp.CountIf, _count_if),
)

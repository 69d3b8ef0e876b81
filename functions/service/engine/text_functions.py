"""Which function over text a node of the tree is: of one row at a time, for both ways of running a SELECT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlglot import exp

from functions.service.engine import texts
from functions.service.engine.columns import EngineError

Gives = Literal["text", "number", "truth", "list"]


@dataclass(frozen=True)
class TextFunction:
    """A function over texts and whole numbers, none of them NULL.

    Attributes:
        function: The function.
        nodes: Its arguments.
        gives: What it gives.
    """

    function: Callable[..., Any]
    nodes: Sequence[exp.Expr]
    gives: Gives = "text"


def text_function(node: exp.Expr) -> TextFunction | None:
    """The function over text that a node is; None for other nodes.

    Raises:
        EngineError: It is one with options that are not known here; the text names them.
    """
    describe = _KINDS.get(type(node))
    return None if describe is None else describe(node)


def _written(node: exp.Expr) -> str:
    if isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string):
        return str(node.this)
    raise EngineError(f"{node.sql('bigquery')[:80]} where a text that is written out is wanted")


def _refuse_more(node: exp.Expr) -> None:
    known = {"this", "expression", "group", "null_if_pos_overflow"}
    more = {name for name, value in node.args.items() if value and name not in known}
    if more:
        raise EngineError(f"{node.key.upper()} with {', '.join(sorted(more))}")


def _length(node: exp.Expr) -> TextFunction:
    return TextFunction(len, [node.this], "number")


def _lower(node: exp.Expr) -> TextFunction:
    return TextFunction(str.lower, [node.this])


def _concat(node: exp.Expr) -> TextFunction:
    return TextFunction(lambda *parts: "".join(parts), node.expressions)


def _substring(node: exp.Expr) -> TextFunction:
    more = [node.args[name] for name in ("start", "length") if node.args.get(name) is not None]
    return TextFunction(texts.substring, [node.this, *more])


def _replace(node: exp.Expr) -> TextFunction:
    def replace(text: str, old: str, new: str) -> str:
        return text.replace(old, new) if old else text

    return TextFunction(replace, [node.this, node.expression, node.args["replacement"]])


def _position(node: exp.Expr) -> TextFunction:
    if node.args.get("position") is not None or node.args.get("occurrence") is not None:
        raise EngineError(f"STRPOS from a place on: {node.sql('bigquery')[:80]}")
    return TextFunction(lambda text, part: text.find(part) + 1, [node.this, node.args["substr"]], "number")


def _starts(node: exp.Expr) -> TextFunction:
    return TextFunction(str.startswith, [node.this, node.expression], "truth")


def _ends(node: exp.Expr) -> TextFunction:
    return TextFunction(str.endswith, [node.this, node.expression], "truth")


def _edit_distance(node: exp.Expr) -> TextFunction:
    if len([one for one in node.args.values() if one is not None]) > 2:
        raise EngineError("EDIT_DISTANCE with max_distance")
    return TextFunction(texts.edit_distance, [node.this, node.expression], "number")


def _normalize(node: exp.Expr) -> TextFunction:
    form: Any = node.args["form"].name.upper() if node.args.get("form") else "NFC"
    return TextFunction(texts.normalize(form, casefold=bool(node.args.get("is_casefold"))), [node.this])


def _trim(node: exp.Expr) -> TextFunction:
    characters = None if node.expression is None else _written(node.expression)
    side = str(node.args.get("position") or "").upper()
    return TextFunction(texts.trim(side, characters), [node.this])


def _fingerprint(node: exp.Expr) -> TextFunction:
    return TextFunction(texts.fingerprint, node.expressions or [node.this], "number")


def _regexp_replace(node: exp.Expr) -> TextFunction:
    found = texts.pattern(_written(node.expression)).refuse_empty()
    by = texts.replacement(_written(node.args["replacement"]))
    return TextFunction(lambda text: texts.regexp_replace(text, found, by), [node.this])


def _regexp_extract(node: exp.Expr) -> TextFunction:
    _refuse_more(node)
    found = texts.pattern(_written(node.expression))
    return TextFunction(lambda text: texts.regexp_extract(text, found), [node.this])


def _regexp_extract_all(node: exp.Expr) -> TextFunction:
    _refuse_more(node)
    found = texts.pattern(_written(node.expression)).refuse_empty()
    return TextFunction(lambda text: texts.regexp_extract_all(text, found), [node.this], "list")


def _regexp_like(node: exp.Expr) -> TextFunction:
    found = texts.pattern(_written(node.expression))
    return TextFunction(lambda text: texts.regexp_contains(text, found), [node.this], "truth")


def _split(node: exp.Expr) -> TextFunction:
    by = _written(node.expression)
    if not by:
        raise EngineError("SPLIT by nothing")
    return TextFunction(lambda text: text.split(by), [node.this], "list")


_KINDS: Mapping[type[exp.Expr], Callable[[exp.Expr], TextFunction]] = {
    exp.Length: _length,
    exp.Lower: _lower,
    exp.Concat: _concat,
    exp.Substring: _substring,
    exp.Replace: _replace,
    exp.StrPosition: _position,
    exp.StartsWith: _starts,
    exp.EndsWith: _ends,
    exp.Levenshtein: _edit_distance,
    exp.Normalize: _normalize,
    exp.Trim: _trim,
    exp.FarmFingerprint: _fingerprint,
    exp.RegexpReplace: _regexp_replace,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpExtractAll: _regexp_extract_all,
    exp.RegexpLike: _regexp_like,
    exp.Split: _split,
}

"""Text functions: SUBSTR from 0, EDIT_DISTANCE in code points, LIKE with escapes, FORMAT, and the fast ones."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

_SPECIFIER = re.compile(r"%%|%[-+ #0']*(?:\*|\d+)?(?:\.(?:\*|\d+))?[a-zA-Z]")


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _substring(node: exp.Expr) -> exp.Expr | None:
    start = node.args.get("start")
    if start is None or (isinstance(start, exp.Literal) and int(start.this) > 0):
        return None
    node.set("start", _call("bqloop_substr_from", node.this, start))
    return node


def _edit_distance(node: exp.Expr) -> exp.Expr | None:
    distance = _call("bqloop_edit_distance", node.this, node.expression)
    most = node.args.get("max_dist")
    if most is None:
        return distance
    condition = exp.Is(this=distance.copy(), expression=exp.null())
    return exp.If(this=condition, true=exp.null(), false=exp.Least(this=distance, expressions=[most.copy()]))


def _fingerprint(node: exp.Expr) -> exp.Expr | None:
    return _call("bqloop_farm_fingerprint", *node.expressions)


def _normalize(node: exp.Expr) -> exp.Expr | None:
    name = "bqloop_normalize_and_casefold" if node.args.get("is_casefold") else "bqloop_normalize"
    form = node.args.get("form")
    return _call(name, node.this, exp.Literal.string(form.name.upper() if isinstance(form, exp.Expr) else "NFC"))


def _like(node: exp.Expr) -> exp.Expr | None:
    pattern = node.expression
    if (
        isinstance(node.parent, exp.Escape)
        or not isinstance(pattern, (exp.Literal, exp.RawString))
        or "\\" not in pattern.name
    ):
        return None
    text = exp.Literal.string(pattern.name)
    return exp.Escape(this=exp.Like(this=node.this.copy(), expression=text), expression=exp.Literal.string("\\"))


def _position(node: exp.Expr) -> exp.Expr | None:
    position = node.args.get("position")
    if not isinstance(position, exp.Neg) or node.args.get("occurrence") is not None:
        return None
    return _call("bqloop_instr_from_end", node.this, node.args["substr"], position)


def _format(node: exp.Expr) -> exp.Expr | None:
    """%t, %T and %'d are taken out of the format string; bqemulator's printf does the rest."""
    pattern = node.this
    if not isinstance(pattern, exp.Literal):
        return None
    specifiers = list(_SPECIFIER.finditer(pattern.this))
    if not any(s.group(0)[-1] in "tT" or "'" in s.group(0) for s in specifiers):
        return None
    pieces: list[exp.Expr] = []
    arguments = list(node.expressions)
    last = 0
    for specifier in specifiers:
        pieces.append(exp.Literal.string(pattern.this[last : specifier.start()].replace("%%", "%")))
        last = specifier.end()
        text = specifier.group(0)
        if text == "%%":
            pieces.append(exp.Literal.string("%"))
            continue
        value = arguments.pop(0)
        if text[-1] == "t":
            width = re.match(r"%(-?)(\d+)?t", text)
            shown: exp.Expr = _call("bqloop_format_t", value)
            if width and width.group(2):
                pad = exp.Pad(this=shown, expression=exp.Literal.number(width.group(2)), is_left=not width.group(1))
                shown = pad
            pieces.append(shown)
        elif text[-1] == "T":
            pieces.append(_call("bqloop_format_quoted", value))
        elif "'" in text:
            pieces.append(_call("bqloop_format_grouped", value, exp.Literal.string(text)))
        else:
            pieces.append(exp.Format(this=exp.Literal.string(text), expressions=[value.copy()]))
    pieces.append(exp.Literal.string(pattern.this[last:].replace("%%", "%")))
    return exp.Concat(
        expressions=[p for p in pieces if not (isinstance(p, exp.Literal) and p.this == "")], safe=False, coalesce=False
    )


RULES: dict[type[Any], Any] = {
    exp.Substring: _substring,
    exp.Levenshtein: _edit_distance,
    exp.FarmFingerprint: _fingerprint,
    exp.Normalize: _normalize,
    exp.Like: _like,
    exp.StrPosition: _position,
    exp.Format: _format,
}

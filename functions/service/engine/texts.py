"""Functions over text, one row at a time, as BigQuery means them. What is NULL stays NULL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import re2
from rapidfuzz.distance import Levenshtein

from functions.service.engine.columns import Column, EngineError, ListColumn, TextColumn
from functions.service.fingerprint import farm_fingerprint
from functions.service.translation import WHITE_SPACE

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
# What RE2's escapes stand for among the characters up to 127; marks have none there, so any other character will do.
_PLAIN = {
    r"\p{L}": "A-Za-z",
    r"\p{Lu}": "A-Z",
    r"\p{Ll}": "a-z",
    r"\p{N}": "0-9",
    r"\p{Nd}": "0-9",
    r"\p{M}": "\u0300-\u036f",
    r"\s": r"\t\n\f\r ",
}
_ESCAPE = re.compile(r"\\(?:p\{(?:L|Lu|Ll|N|Nd|M)\}|x[0-9A-Fa-f]{2}|[dDwWbBsnrtf]|[^\w\s])")


class Pattern:
    """A regular expression of RE2: Python's own engine for plain text, where both mean the same, else RE2 itself.

    Args:
        pattern: As RE2 writes it.

    Raises:
        EngineError: It says something that only one of the two engines knows, or may match nothing at all.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self._exact = re2.compile(pattern)
            self._quick = re.compile(_for_ascii(pattern), re.ASCII)
        except (re.error, re2.error) as error:
            raise EngineError(f"the regular expression {pattern!r}: {error}") from error
        self.groups: int = self._quick.groups
        self._pattern = pattern

    def of(self, text: str) -> Any:
        """The engine for a text."""
        return self._quick if text.isascii() else self._exact

    def refuse_empty(self) -> Pattern:
        """Itself, unless it matches an empty text: engines differ in how often they then do."""
        if self._quick.search("") is not None:
            raise EngineError(f"the regular expression {self._pattern!r}, which matches nothing at all")
        return self


def _for_ascii(pattern: str) -> str:
    r"""The same for text that has plain characters alone, in Python's spelling.

    >>> _for_ascii("[^_0-9]+$")
    '[^_0-9]+\\Z'
    """
    found: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        piece = pattern[at]
        if piece == "\\":
            match = _ESCAPE.match(pattern, at)
            if match is None:
                raise EngineError(f"{pattern[at : at + 3]!r} in the regular expression {pattern!r}")
            piece = match.group()
            at += len(piece)
            plain = _PLAIN.get(piece)
            found.append(piece if plain is None else plain if inside else f"[{plain}]")
            continue
        if piece == "(" and pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
            raise EngineError(f"{pattern[at : at + 3]!r} in the regular expression {pattern!r}")
        if piece == "[" and not inside:
            inside = True
            if pattern.startswith(("[:", "[^[:"), at + 1):
                raise EngineError(f"a named class in the regular expression {pattern!r}")
        elif piece == "]" and inside:
            inside = False
        elif piece == "$" and not inside:
            piece = r"\Z"
        found.append(piece)
        at += 1
    return "".join(found)


@cache
def pattern(text: str) -> Pattern:
    """A regular expression, compiled once."""
    return Pattern(text)


def each(function: Callable[..., Any], *arguments: Sequence[Any]) -> list[Any]:
    """The function of each row; None where any argument is None."""
    if len(arguments) == 1:
        return [None if one is None else function(one) for one in arguments[0]]
    return [None if None in row else function(*row) for row in zip(*arguments, strict=True)]


def replacement(by: str) -> str:
    """What REGEXP_REPLACE puts in, in Python's spelling.

    Raises:
        EngineError: It has escapes other than those of groups.
    """
    if not re.fullmatch(r"(?:[^\\]|\\[0-9])*", by):
        raise EngineError(f"{by!r} as a replacement")
    return re.sub(r"\\([0-9])", r"\\g<\1>", by)


def regexp_replace(text: str, found: Pattern, by: str) -> str:
    """REGEXP_REPLACE: all matches."""
    return str(found.of(text).sub(by, text))


def regexp_extract(text: str, found: Pattern) -> str | None:
    """REGEXP_EXTRACT: the first match, or its group."""
    match = found.of(text).search(text)
    return None if match is None else match.group(1 if found.groups else 0)


def regexp_extract_all(text: str, found: Pattern) -> list[str]:
    """REGEXP_EXTRACT_ALL: all matches, or their group."""
    return [match.group(1 if found.groups else 0) or "" for match in found.of(text).finditer(text)]


def regexp_contains(text: str, found: Pattern) -> bool:
    """REGEXP_CONTAINS."""
    return found.of(text).search(text) is not None


def normalize(form: Form, *, casefold: bool) -> Callable[[str], str]:
    """NORMALIZE and NORMALIZE_AND_CASEFOLD."""
    if not casefold:
        return lambda text: text if text.isascii() else unicodedata.normalize(form, text)
    return lambda text: (
        text.lower()
        if text.isascii()
        # ICU's order, which BigQuery follows: fold what is normalised already, and normalise again.
        else unicodedata.normalize(form, unicodedata.normalize(form, text).casefold())
    )


def substring(text: str, start: int, length: int | None = None) -> str:
    """SUBSTR: counted from 1, from the end where negative; 0 is 1.

    >>> substring("abc", 2), substring("abc", -2, 1), substring("abc", 0, 2)
    ('bc', 'b', 'ab')
    """
    if length is not None and length < 0:
        raise ValueError("SUBSTR wants a length of 0 or more")
    first = max(start, 1) - 1 if start >= 0 else max(len(text) + start, 0)
    return text[first:] if length is None else text[first : first + length]


def trim(side: str, characters: str | None) -> Callable[[str], str]:
    """TRIM, LTRIM and RTRIM."""
    wanted = WHITE_SPACE if characters is None else characters
    if side == "LEADING":
        return lambda text: text.lstrip(wanted)
    if side == "TRAILING":
        return lambda text: text.rstrip(wanted)
    return lambda text: text.strip(wanted)


def edit_distance(one: str, other: str) -> int:
    """EDIT_DISTANCE, in code points."""
    return int(Levenshtein.distance(one, other))


def fingerprint(text: str) -> int:
    """FARM_FINGERPRINT."""
    return farm_fingerprint(text)


def numbers(found: list[Any], kind: Any = np.int64) -> Column:
    """What a function over text gave, as a column of numbers or truth values."""
    if None not in found:
        return Column(np.array(found, kind))
    null = np.array([one is None for one in found], np.bool_)
    return Column(np.array([0 if one is None else one for one in found], kind), null)


def lists(found: list[list[str | None] | None], like: TextColumn) -> ListColumn:
    """What a function over text gave, as a column of arrays of text."""
    filled = [one or [] for one in found]
    items = TextColumn(like.pool, texts=[text for one in filled for text in one])
    return ListColumn(items, np.array([len(one) for one in filled], np.int64))


def as_text(column: Column) -> TextColumn:
    """The column, which has to be one of texts.

    Raises:
        EngineError: It is not.
    """
    if isinstance(column, TextColumn):
        return column
    raise EngineError("a number where a text is wanted")

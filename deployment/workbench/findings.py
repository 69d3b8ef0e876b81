"""What is wrong with a template, and where in the file that a person edits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etl.templates import RenderedSql, Templates

_WORD = re.compile(r"`[^`]*`|\w+|[^\w\s]")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: The template, from `sql/` on.
        line: Line of the template (1-based).
        column: Column of that line (1-based).
        rule: Which check found it.
        message: What is wrong, and what to do.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} ({self.rule})"


def finding_at(
    templates: Templates, statement: RenderedSql, line: int, column: int, rule: str, message: str
) -> Finding:
    """A finding at a place of the rendered statement, told as a place of the template that the line came from."""
    file, _, number = statement.place(line).removeprefix("sql/").rpartition(":")
    rendered = statement.text.splitlines()
    written = templates.sources.get(file, "").splitlines()
    here = rendered[line - 1] if 0 < line <= len(rendered) else ""
    word = _WORD.match(here, column - 1)
    if file != statement.path and word and word[0].isidentifier() and word[0] not in templates.sources.get(file, ""):
        # A macro put it there, but its caller wrote it.
        return finding_of_word(templates, statement.path, word[0], rule, message)
    there = written[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(written) else ""
    return Finding(f"sql/{file}", int(number or 1), _same_word(here, column, there), rule, message)


def finding_of_word(templates: Templates, path: str, word: str, rule: str, message: str) -> Finding:
    """A finding where a template last uses a word; at its first line where it does not."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    place = (1, 1)
    for number, text in enumerate(templates.sources[path].splitlines(), start=1):
        for found in pattern.finditer(text):
            place = (number, found.start() + 1)
    return Finding(f"sql/{path}", *place, rule, message)


def _same_word(rendered: str, column: int, written: str) -> int:
    """The column in the written line of the word that stands at a column of the rendered one."""
    found = _WORD.match(rendered, column - 1)
    if rendered == written or not found:
        return min(column, len(written) + 1)
    before = sum(1 for m in _WORD.finditer(rendered) if m[0] == found[0] and m.start() < column - 1)
    same = [m.start() + 1 for m in _WORD.finditer(written) if m[0] == found[0]]
    if same:
        return same[min(before, len(same) - 1)]
    expression = written.find("{{")  # the word came out of a Jinja expression
    return (expression if expression >= 0 else len(written) - len(written.lstrip())) + 1

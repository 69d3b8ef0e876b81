"""sql/MISTAKES.md shows the mistakes that the tests make, and what finds each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[4]
MISTAKES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "mistakes.yml").read_text(encoding="utf-8"))
FOUND_BY = {"check": "`bqloop sql check`", "test": "a case (`bqloop sql test`)", "nothing": "nothing"}


def page(mistakes: list[dict[str, Any]]) -> str:
    """The page as it has to be: write this to sql/MISTAKES.md after a change of mistakes.yml."""
    lines = [
        "# Forty mistakes, and what finds each",
        "",
        "Each is made in a file of the project by `tests/unit/deployment/workbench/mistakes.yml`; tests hold that it is found, with a",
        "message that says this much and points at the line of the template.",
        "",
        "| mistake | made in | found by | the message says |",
        "| --- | --- | --- | --- |",
    ]
    for mistake in mistakes:
        says = str(mistake["says"]) if mistake["caught_by"] != "nothing" else f"({mistake['says']})"
        told = "which rows came and did not" if mistake["caught_by"] == "test" else says.replace("|", "\\|")
        lines.append(f"| {mistake['mistake']} | `{mistake['file']}` | {FOUND_BY[mistake['caught_by']]} | {told} |")
    return "\n".join(lines) + "\n"


def test_the_page_lists_the_mistakes_as_they_are() -> None:
    assert (ROOT / "sql" / "MISTAKES.md").read_text(encoding="utf-8") == page(MISTAKES)

"""The forty mistakes of mistakes.yml: `bqloop sql check` finds those that it is said to find, at the line of the template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment.workbench.check import check
from etl.settings import load_settings
from etl.templates import Templates, read_sources

pytest.importorskip("zetasql", reason="zetasql is not installed")

MODEL = "deal_duplicates"
MISTAKES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "mistakes.yml").read_text(encoding="utf-8"))
SOURCES = read_sources(MODEL)


def path_of(mistake: dict[str, Any]) -> str:
    return mistake["file"] if mistake["file"].startswith("macros/") else f"{MODEL}/{mistake['file']}"


def with_mistake(mistake: dict[str, Any]) -> tuple[Templates, range]:
    """The SQL with the mistake in it, and the lines that it takes up."""
    path = path_of(mistake)
    right, wrong = mistake["change"]
    assert SOURCES[path].count(right) >= 1, f"{path} does not say {right!r} any more: change the mistake with it"
    start = SOURCES[path].index(right)
    first = SOURCES[path].count("\n", 0, start) + 1
    text = SOURCES[path].replace(right, wrong, 1)
    return Templates(MODEL, {**SOURCES, path: text}), range(
        first, first + max(right.count("\n"), wrong.count("\n")) + 1
    )


def test_the_projects_own_sql_is_without_findings() -> None:
    project, findings = check(load_settings("local"), Templates(MODEL, SOURCES))

    assert [str(finding) for finding in findings] == []
    assert set(project.analyses) == set(project.paths)


def test_there_are_forty_mistakes_and_at_least_36_are_caught() -> None:
    assert len(MISTAKES) == 40
    assert sum(mistake["caught_by"] in {"check", "test"} for mistake in MISTAKES) >= 36


@pytest.mark.parametrize(
    "mistake", [m for m in MISTAKES if m["caught_by"] == "check"], ids=lambda m: m["mistake"].replace(" ", "_")
)
def test_check_finds(mistake: dict[str, Any]) -> None:
    templates, lines = with_mistake(mistake)

    _, findings = check(load_settings("local"), templates)

    told = [f for f in findings if f.file == f"sql/{path_of(mistake)}" and mistake["says"] in f.message]
    assert told, f"not found; findings: {[str(f) for f in findings]}"
    near = range(lines.start, lines.stop + 1)  # a parser notices some mistakes only at the line after
    written = templates.sources[path_of(mistake)].splitlines()
    assert any(f.line in near or mistake.get("at", "\n") in written[f.line - 1] for f in told), [str(f) for f in told]


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m["caught_by"] != "check"], ids=lambda m: m["mistake"])
def test_check_alone_does_not_see(mistake: dict[str, Any]) -> None:
    templates, _ = with_mistake(mistake)

    _, findings = check(load_settings("local"), templates)

    assert findings == []

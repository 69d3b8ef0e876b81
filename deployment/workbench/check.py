"""`bqloop sql check`: everything that can be known of the SQL without running it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deployment.workbench.findings import Finding
from deployment.workbench.house_rules import house_findings
from deployment.workbench.model_rules import model_findings
from deployment.workbench.project import Project, analyse_project
from etl.errors import ConfigurationError
from etl.settings import Settings
from etl.templates import Templates


def check(settings: Settings, templates: Templates) -> tuple[Project, list[Finding]]:
    """Check a model's SQL: Jinja, Google's parser and analyzer, the rules of the house.

    Returns:
        What was analysed; what is wrong, in the order of files and lines, each once.

    Raises:
        ConfigurationError: model.yml is wrong, or zetasql is not installed.
    """
    project = analyse_project(settings, templates)
    found = list(project.findings)
    for path in project.statements:
        found += house_findings(project, path)
    found += model_findings(project)
    return project, sorted(dict.fromkeys(found), key=lambda f: (f.file, f.line, f.column))


def style(root: Path, files: Sequence[str]) -> list[Finding]:
    """What sqlfluff says with the project's configuration.

    Args:
        root: The folder in which `.sqlfluff` and `sql/` stand.
        files: Files below it.

    Raises:
        ConfigurationError: sqlfluff is not installed, or does not run.
    """
    program = shutil.which("sqlfluff", path=str(Path(sys.executable).parent)) or shutil.which("sqlfluff")
    if program is None:
        raise ConfigurationError("sqlfluff is missing. You can install it with: pip install sqlfluff")
    done = subprocess.run(  # noqa: S603 -- the files are names of templates
        [program, "lint", "--format", "json", "--disable-progress-bar", *files],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1}:
        raise ConfigurationError(f"sqlfluff does not run: {done.stderr.strip()}")
    return [
        Finding(entry["filepath"], v["start_line_no"], v["start_line_pos"], v["code"], v["description"])
        for entry in json.loads(done.stdout)
        for v in entry["violations"]
    ]


def readers_of(project: Project, paths: Sequence[str]) -> set[str]:
    """The given templates and all that read them, directly or through others; macros have every template for readers."""
    if any(path.startswith("macros/") or not path.endswith(".sql") for path in paths):
        return set(project.templates.sources)
    made = {a.creates: path for path, a in project.analyses.items() if a.creates}
    found = set(paths)
    while True:
        names = {name for name, path in made.items() if path in found}
        more = {
            path
            for path, statement in project.statements.items()
            if path not in found and any(f"`{name}`" in statement.text for name in names)
        }
        if not more:
            return found
        found |= more

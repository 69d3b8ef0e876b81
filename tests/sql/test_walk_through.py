"""Every command of the analyst's walk-through in sql/README.md runs as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zetasql", reason="zetasql is not installed")

ROOT = Path(__file__).resolve().parents[2]
# What makes a model of its own is carried out by tests/e2e/test_new_model_command.py.
_TEXT = re.sub(
    r"^## A second model$.*?(?=^## |\Z)",
    "",
    (ROOT / "sql" / "README.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
COMMANDS = re.findall(r"^\$ (bqloop .*)$", _TEXT, re.MULTILINE)
QUICK = [command for command in COMMANDS if {"list", "render", "test"} & set(command.split()[:5])]
# Analysing all of the SQL, building tables and training take their time; the quick ones are run every time.
SLOW = [command for command in COMMANDS if command not in QUICK]
PARTS = ("deployment", "etl", "functions", "infra", "sql", "tests/sql", ".sqlfluff")


def run(command: str, folder: Path, state: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", "from deployment.cli.main import main; main()", *shlex.split(command)[1:]]
    environment = {
        **os.environ,
        "BQLOOP_STATE": str(state),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of the project in a git repository of its own, and the state of a demo: deals, labels and a champion."""
    folder = tmp_path_factory.mktemp("walk")
    copy, state = folder / "project", folder / "state"
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it is"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *words], cwd=copy, check=True)
    done = run(f"bqloop demo --keep {state}", copy, state)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy, state


def test_the_walk_through_shows_each_command_of_the_workbench() -> None:
    shown = {word for command in COMMANDS for word in command.split()}

    assert shown >= {"list", "render", "check", "test", "case", "preview", "diff", "try"}


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_of_the_walk_through_runs(command: str, tmp_path: Path) -> None:
    done = run(command, ROOT, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW)
def test_a_command_of_the_walk_through_runs(command: str, project: tuple[Path, Path]) -> None:
    copy, state = project

    done = run(command, copy, state)

    assert done.returncode == 0, done.stdout + done.stderr
    if " try " in command:
        assert "`bqloop try`" in (copy / "try.md").read_text(encoding="utf-8")

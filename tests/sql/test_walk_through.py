"""Every command of the analyst's walk-through in sql/README.md runs as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zetasql", reason="zetasql is not installed")

ROOT = Path(__file__).resolve().parents[2]
# What makes files of its own is carried out in a copy of the project: tests/e2e/test_new_model_command.py.
_TEXT = re.sub(
    r"^## A second model$.*?(?=^## |\Z)",
    "",
    (ROOT / "sql" / "README.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
COMMANDS = re.findall(r"^\$ (bqloop .*)$", _TEXT, re.MULTILINE)


def test_the_walk_through_shows_each_command_of_the_workbench() -> None:
    assert {command.split()[2] for command in COMMANDS} >= {"list", "render", "check", "test", "preview", "diff"}


@pytest.mark.parametrize(
    "command",
    # Analysing all of the SQL takes its time in each of these; the quick ones are run every time.
    [
        pytest.param(c, marks=pytest.mark.slow if {"check", "diff", "preview"} & set(c.split()) else ())
        for c in COMMANDS
    ],
)
def test_a_command_of_the_walk_through_runs(command: str, tmp_path: Path) -> None:
    if " diff " in command and not (ROOT / ".git").exists():
        pytest.skip("this is no git repository, so there is no commit to compare with")
    words = [sys.executable, "-c", "from deployment.cli.main import main; main()", *shlex.split(command)[1:]]
    environment = {
        **os.environ,
        "BQLOOP_STATE": str(tmp_path),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONWARNINGS": "ignore",
    }

    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr

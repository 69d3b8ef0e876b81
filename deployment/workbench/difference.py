"""What a change of the SQL changes in the statements that BigQuery gets."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deployment.workbench.project import Project
from etl.errors import InputError
from etl.templates import Templates, folders_of


def templates_at(root: Path, model: str, revision: str) -> Templates:
    """A model's templates as a git revision has them.

    Args:
        root: The repository.
        model: The model.
        revision: A commit, branch or tag.

    Raises:
        InputError: There is no such revision, or it has no such model.
    """
    listed = _git(root, "ls-tree", "-r", "--name-only", revision, "--", "sql").splitlines()
    policy = f"sql/{model}/model.yml"
    text = _git(root, "show", f"{revision}:{policy}") if policy in listed else ""
    folders = tuple(f"sql/{folder}/" for folder in folders_of(model, text))
    wanted = [name for name in listed if name.startswith(folders) and name.endswith((".sql", ".yml"))]
    if policy not in wanted:
        raise InputError(f"--to: {revision} has no sql/{model}/model.yml")
    return Templates(model, {name.removeprefix("sql/"): _git(root, "show", f"{revision}:{name}") for name in wanted})


def differences(now: Project, then: Project, path: str = "") -> Mapping[str, str]:
    """Unified diff of the rendered statement, by template; of one template or of all that differ.

    A change of a macro shows in every statement that it changes.
    """
    found: dict[str, str] = {}
    for name in sorted(now.statements.keys() | then.statements.keys()):
        old = then.statements[name].text if name in then.statements else ""
        new = now.statements[name].text if name in now.statements else ""
        if old != new and (not path or name == path):
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"then/{name}", f"now/{name}", lineterm="")
            found[name] = "\n".join(lines)
    return found


def changed_columns(now: Project, then: Project, path: str) -> list[str]:
    """What a template gives now and did not then, or the other way round: `+ name TYPE`, `- name TYPE`."""
    new = dict(now.analyses[path].columns) if path in now.analyses else {}
    old = dict(then.analyses[path].columns) if path in then.analyses else {}
    gone = [f"- {name} {kind}" for name, kind in old.items() if new.get(name) != kind]
    return gone + [f"+ {name} {kind}" for name, kind in new.items() if old.get(name) != kind]


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 -- git reads a revision; nothing is run from it
        ["git", "-C", str(root), *words],  # noqa: S607 -- git is found by PATH, like everywhere
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout

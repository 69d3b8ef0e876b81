"""The Terraform module as text, as a parsed tree, and as Terraform itself evaluates it for an environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

ROOT = Path(__file__).resolve().parents[4]
GCP = ROOT / "infra" / "gcp"
MODULE = GCP / "modules" / "continuous_training"
ENVIRONMENTS = ("dev", "staging", "prod")
PROJECT = "example-project-1"

Evaluate = Callable[[str], dict[str, Any]]


def without_quotes(value: Any) -> Any:
    """python-hcl2 keeps the quotes of strings and adds keys such as `__comments__`; here nobody needs them."""
    if isinstance(value, dict):
        return {without_quotes(k): without_quotes(v) for k, v in value.items() if not k.startswith("__")}
    if isinstance(value, list):
        return [without_quotes(v) for v in value]
    return value.strip('"') if isinstance(value, str) else value


@cache
def _module() -> dict[str, Any]:
    found: dict[str, Any] = {"resource": {}, "data": {}, "variable": {}}
    for path in sorted(MODULE.glob("*.tf")):
        parsed = without_quotes(hcl2.loads(path.read_text(encoding="utf-8")))
        for section in ("resource", "data"):
            for block in parsed.get(section, ()):
                for kind, named in block.items():
                    found[section].setdefault(kind, {}).update(named)
        for block in parsed.get("variable", ()):
            found["variable"].update(block)
    return found


@pytest.fixture(scope="session")
def module() -> dict[str, Any]:
    """`resource` and `data` by kind and name, and `variable` by name."""
    return _module()


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """The module's locals of an environment, computed by Terraform: without providers it evaluates what needs none."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    house = tmp_path_factory.mktemp("terraform")
    folder = house / "infra" / "gcp" / "modules" / "continuous_training"
    folder.mkdir(parents=True)
    (house / "infra" / "environments").symlink_to(ROOT / "infra" / "environments")
    (house / "sql").symlink_to(ROOT / "sql")
    shutil.copy(MODULE / "variables.tf", folder)
    for path in MODULE.glob("*.tf"):
        # A block ends at the first brace at the line's start: terraform fmt sees to that.
        blocks = re.findall(r"^locals \{\n.*?^\}\n", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        offline = [b for b in blocks if "data.google_project" not in b]
        (folder / f"locals_{path.name}").write_text("\n".join(offline), encoding="utf-8")
    names = re.findall(r"^  (\w+) += ", "".join(p.read_text() for p in folder.glob("locals_*.tf")), re.MULTILINE)
    wanted = "jsonencode({" + ", ".join(f"{n} = local.{n}" for n in sorted(set(names))) + "})"

    given = [f"-var=project={PROJECT}", "-var=archive=functions.zip", "-var=git_sha=abc123"]

    @cache
    def evaluate(environment: str) -> dict[str, Any]:
        done = subprocess.run(
            ["terraform", "console", f"-var=environment={environment}", *given],
            cwd=folder,
            input=wanted + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(json.loads(done.stdout)))

    return evaluate

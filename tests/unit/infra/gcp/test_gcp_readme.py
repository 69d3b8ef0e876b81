"""The guide names commands and tests; here it is held to those there are."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from deployment.cli.main import app
from etl.model_policy import Retention
from tests.unit.infra.gcp.conftest import GCP, ROOT

README = (GCP / "README.md").read_text(encoding="utf-8")


def test_every_command_of_the_guide_is_one() -> None:
    group = typer.main.get_command(app)
    used = re.findall(r"(?:^\$ |`)bqloop (\w+)(?: (\w+))?", README, re.MULTILINE)
    assert len(used) > 10
    for name, inner in used:
        command = group.commands[name]  # type: ignore[attr-defined] # it is a group
        if hasattr(command, "commands"):
            assert inner in command.commands, f"bqloop {name} {inner}"


def test_every_attack_of_the_threat_model_has_a_test_that_exists() -> None:
    model = README[README.index("## Threat model") :]
    rows = [line for line in model.splitlines() if line.startswith("| ") and "---" not in line][1:]
    tests = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) > 8
    for row in rows:
        named = re.findall(r"`((?:test_|tests/)[\w/.]+)`", row.rsplit("|", 2)[1])
        assert named, f"no test: {row}"
        assert all(f"def {n}(" in tests or (ROOT / n).is_file() for n in named), row


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if not link.startswith("http"):
            assert (GCP / link).exists(), link


def test_the_costs_add_up() -> None:
    table = README[README.index("| a month, a run every day") : README.index("What is always on")]
    gib, tib = 2**30, 2**40
    for column, (deals, pairs, replicas) in enumerate([(1e4, 5e3, 1), (1e6, 1e5, 2), (1e7, 1e6, 4)], start=2):
        query = 30 * max(46 * 10 * 2**20, deals * 44e3) / tib * 6.25
        logistic = 30 * max(10 * 2**20, pairs * 753) / tib * 312.50
        serving = replicas * (730 * 0.11 + 2_628_000 * (2 * 0.000018 + 2 * 0.000002))
        kept = deals * 22e3 * Retention().run_tables_days / gib * 0.02
        rest = {2: 5, 3: 10, 4: 30}[column]
        told = float(re.findall(r"about (\d+)", table)[column - 2])
        assert abs(2 * query + logistic + 15 + serving + kept + rest - told) < 0.02 * told, column


def test_the_state_bucket_is_the_one_that_deploy_uses() -> None:
    assert "gs://$BQLOOP_PROJECT-bqloop-state" in README
    assert "-bqloop-state" in (Path(ROOT) / "deployment" / "packaging" / "terraform.py").read_text()

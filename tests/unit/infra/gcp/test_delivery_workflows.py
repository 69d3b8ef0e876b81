"""The workflows that install the loop: what must never be in them, and what must come before what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deployment.cli.main import app

ROOT = Path(__file__).resolve().parents[4]
FOLDER = ROOT / ".github" / "workflows"
FILES = ("deploy.yml", "deploy-environment.yml")


def workflow(name: str) -> dict[Any, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("name", FILES)
def test_there_is_no_key_and_no_secret(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not re.search(r"credentials_json|secrets\.|private_key|GOOGLE_CREDENTIALS", text)
    assert "pull_request_target" not in text


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_a_stranger_wrote_becomes_part_of_a_script(name: str) -> None:
    assert not [s["run"] for s in steps(name) if "${{" in s.get("run", "")]


@pytest.mark.parametrize("name", FILES)
def test_a_job_may_write_only_what_it_must(name: str) -> None:
    assert workflow(name)["permissions"] == {"contents": "read"}
    writes = {
        (job, scope)
        for job, body in workflow(name)["jobs"].items()
        for scope, right in body.get("permissions", {}).items()
        if right == "write" and scope != "id-token"
    }
    assert writes <= {("release", "contents")}


def test_prod_follows_staging_and_staging_follows_the_checks() -> None:
    jobs = workflow("deploy.yml")["jobs"]
    assert [jobs[j]["needs"] for j in ("dev", "staging", "prod", "release")] == ["check", "check", "staging", "prod"]
    tags = "startsWith(github.ref, 'refs/tags/v')"
    assert {jobs[j]["if"] for j in ("staging", "prod", "release")} == {tags}
    assert {jobs[j]["with"]["environment"] for j in ("dev", "staging", "prod")} == {"dev", "staging", "prod"}


def test_a_pull_request_only_plans_and_a_forks_does_not_even_that() -> None:
    plan = workflow("deploy.yml")["jobs"]["plan"]
    assert "head.repo.full_name == github.repository" in plan["if"]
    assert [s["run"] for s in plan["steps"] if "deploy" in s.get("run", "")] == [
        ".venv/bin/bqloop --env dev deploy --plan"
    ]


def test_an_image_is_scanned_before_it_is_installed_and_installed_by_digest() -> None:
    runs = [s.get("run", "") for s in steps("deploy-environment.yml")]
    scan = next(i for i, run in enumerate(runs) if "images scan" in run)
    install = next(i for i, run in enumerate(runs) if "bqloop deploy" in run)
    assert scan < install
    assert "$BY_DIGEST" in runs[install]


@pytest.mark.parametrize("name", FILES)
def test_every_command_of_ours_is_one(name: str) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined] # it is a group
    text = "\n".join(s.get("run", "") for s in steps(name))
    used = set(re.findall(r"\.venv/bin/bqloop (?:--env \w+ )?(\w+)", text))
    assert used
    assert used <= known


def test_cloud_build_takes_the_same_steps_as_the_workflow_and_has_no_key() -> None:
    text = (ROOT / "infra" / "gcp" / "cloudbuild.yaml").read_text()
    scripts = "\n".join(step["script"] for step in yaml.safe_load(text)["steps"])
    by_the_workflow = "\n".join(s.get("run", "") for s in steps("deploy-environment.yml"))
    ours = re.compile(r"\.venv/bin/bqloop (\w+)|gcloud ((?:artifacts docker images |builds )[\w-]+)")
    assert ours.findall(scripts) == ours.findall(by_the_workflow)
    order = [scripts.index(word) for word in ("bqloop package", "images scan", "bqloop deploy", "bqloop doctor")]
    assert order == sorted(order)
    assert not re.search(r"(?i)secret|private_key|credentials_json", text)

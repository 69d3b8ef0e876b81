"""What Terraform is called with; a script that writes down what it was given stands in for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deployment.packaging.terraform import Installation, run_terraform
from etl.errors import ConfigurationError, StateError

ROOT = Path(__file__).resolve().parents[4]
IMAGE = "us-central1-docker.pkg.dev/example-project-1/bqloop/service@sha256:" + "0" * 64


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A terraform that writes its arguments and variables to a file, and fails at the step that FAILS names."""
    told = tmp_path / "told.ndjson"
    script = tmp_path / "bin" / "terraform"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "variables = {k: v for k, v in os.environ.items() if k.startswith('TF_VAR_')}\n"
        f"open({str(told)!r}, 'a').write(json.dumps([sys.argv[1:], variables]) + '\\n')\n"
        "sys.exit(os.environ.get('FAILS') in sys.argv)\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    return told


def installation(**changes: Any) -> Installation:
    given = {"env": "dev", "project": "example-project-1", "archive": Path("dist/functions.zip"), "git_sha": "abc"}
    return Installation(**{**given, **changes})


def calls(told: Path) -> list[tuple[list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in told.read_text().splitlines()] if told.exists() else []


def test_an_installation_initialises_the_projects_state_and_applies(terraform: Path) -> None:
    run_terraform(ROOT, installation(service_image=IMAGE), plan=False)
    (init, _), (apply, variables) = calls(terraform)
    assert init[0] == f"-chdir={ROOT}/infra/gcp/environments/dev"
    assert init[1] == "init"
    assert "-backend-config=bucket=example-project-1-bqloop-state" in init
    assert apply[1:] == ["apply", "-input=false", "-auto-approve"]
    assert variables == {
        "TF_VAR_project": "example-project-1",
        "TF_VAR_archive": str(Path("dist/functions.zip").resolve()),
        "TF_VAR_git_sha": "abc",
        "TF_VAR_service_image": IMAGE,
    }


def test_a_plan_applies_nothing(terraform: Path) -> None:
    run_terraform(ROOT, installation(), plan=True)
    assert [call[1] for call, _ in calls(terraform)] == ["init", "plan"]


def test_an_image_that_is_not_given_leaves_the_one_of_the_environment_variable(
    terraform: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_service_image", IMAGE)
    run_terraform(ROOT, installation(), plan=True)
    assert calls(terraform)[-1][1]["TF_VAR_service_image"] == IMAGE


def test_a_placeholder_for_the_project_is_refused_before_terraform_runs(terraform: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CHANGE-ME-dev.*BQLOOP_PROJECT"):
        run_terraform(ROOT, installation(project="CHANGE-ME-dev"), plan=True)
    assert calls(terraform) == []


@pytest.mark.parametrize("env", ["local", "nowhere"])
def test_an_environment_that_has_no_terraform_is_refused(env: str, terraform: Path) -> None:
    with pytest.raises(ConfigurationError, match=env):
        run_terraform(ROOT, installation(env=env), plan=True)
    assert calls(terraform) == []


def test_a_failure_ends_it_and_names_the_step(terraform: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "init")
    with pytest.raises(StateError, match="terraform init failed for dev"):
        run_terraform(ROOT, installation(), plan=False)
    assert len(calls(terraform)) == 1


def test_a_missing_terraform_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="terraform is not installed"):
        run_terraform(ROOT, installation(), plan=True)

"""Terraform, called for one environment: what it is given, and nothing of what it does.

State stands in a bucket of the environment's own project, `<project>-bqloop-state`; infra/gcp/README.md makes it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from etl.errors import ConfigurationError, StateError

_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


@dataclass(frozen=True)
class Installation:
    """What is installed where.

    Attributes:
        env: The environment, a folder in infra/gcp/environments.
        project: The Google Cloud project.
        archive: The functions' source archive.
        git_sha: The commit that it was built from.
        service_image: The prediction service's image by digest; "" leaves the variable to TF_VAR_service_image.
    """

    env: str
    project: str
    archive: Path
    git_sha: str
    service_image: str = ""


def run_terraform(root: Path, installation: Installation, *, plan: bool) -> None:
    """Initialise, then plan or apply.

    Args:
        root: The repository.
        installation: What is installed.
        plan: Only say what would change.

    Raises:
        ConfigurationError: Terraform is not installed, or the environment has no project or no folder.
        StateError: Terraform failed; it has told why on the terminal.
    """
    folder = root / "infra" / "gcp" / "environments" / installation.env
    if not folder.is_dir():
        raise ConfigurationError(f"there is no infra/gcp/environments/{installation.env}: it cannot be installed")
    if not _PROJECT.fullmatch(installation.project):
        raise ConfigurationError(
            f"project {installation.project!r} is a placeholder: write the project's ID into "
            f"infra/environments/{installation.env}.yaml, or set BQLOOP_PROJECT"
        )
    terraform = shutil.which("terraform")
    if terraform is None:
        raise ConfigurationError("terraform is not installed; see infra/gcp/README.md for the version")
    environment = {
        **os.environ,
        "TF_VAR_project": installation.project,
        "TF_VAR_archive": str(installation.archive.resolve()),
        "TF_VAR_git_sha": installation.git_sha,
        "TF_IN_AUTOMATION": "1",
    }
    if installation.service_image:
        environment["TF_VAR_service_image"] = installation.service_image
    state = [f"-backend-config=bucket={installation.project}-bqloop-state", "-backend-config=prefix=bqloop"]
    steps = [["init", "-input=false", "-reconfigure", *state]]
    steps.append(["plan", "-input=false"] if plan else ["apply", "-input=false", "-auto-approve"])
    for step in steps:
        done = subprocess.run([terraform, f"-chdir={folder}", *step], env=environment, check=False)  # noqa: S603 -- no shell; every word is ours or checked above
        if done.returncode:
            raise StateError(f"terraform {step[0]} failed for {installation.env}; its own words stand above")

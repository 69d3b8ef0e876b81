"""The commands `package` and `deploy`: what is shipped to Google Cloud, and the shipping of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deployment.application import Application
from deployment.cli.session import OPTIONS, ROOT, print_json
from deployment.packaging.archives import Archive, write_tar_gz, write_zip
from deployment.packaging.contents import composer_files, runtime_files, service_files
from deployment.packaging.terraform import Installation, run_terraform
from deployment.setup import add_columns, prepare
from etl.errors import ConfigurationError, StateError
from etl.settings import load_settings

Output = Annotated[Path, typer.Option("--output", help="The folder to write to.")]


def package(
    output: Output = Path("dist"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Build the functions' archive, the prediction service's container context and Composer's DAGs, the same bytes always.

    Example: bqloop package
    """
    archives = _build(output)
    if as_json:
        print_json({name: asdict(archive) for name, archive in archives.items()})
        return
    for name, archive in archives.items():
        told = f"{name}: {archive.path}, {archive.files} files, {archive.bytes:,} bytes, sha256 {archive.sha256}"
        OPTIONS.console.print(told, highlight=False, soft_wrap=True)


def deploy(
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would change.")] = False,
    service_image: Annotated[
        str, typer.Option(help="The prediction service's image, by digest: REGISTRY/bqloop/service@sha256:…")
    ] = "",
    output: Output = Path("dist"),
) -> None:
    """Install this version of the loop in the environment of --env: package, Terraform, then the tables and views.

    Example: bqloop deploy --plan
    """
    if OPTIONS.env == "local":
        raise ConfigurationError("the local cloud needs no installing: bqloop up. Name another one with --env")
    git_sha = _commit()
    if git_sha.endswith("-dirty") and OPTIONS.env != "dev" and not plan:
        raise StateError(f"there are changes that are not committed; {OPTIONS.env} gets committed versions only")
    os.environ["BQLOOP_GIT_SHA"] = git_sha
    settings = load_settings(OPTIONS.env)
    archive = _build(output)["functions"]
    if not plan:
        add_columns(Application(settings))
    run_terraform(ROOT, Installation(settings.env, settings.project, archive.path, git_sha, service_image), plan=plan)
    if not plan:
        prepare(Application(settings))
        OPTIONS.console.print(f"{settings.env} runs {git_sha[:12]}; next: bqloop --env {settings.env} doctor")


def _build(output: Path) -> dict[str, Archive]:
    return {
        "functions": write_zip(runtime_files(ROOT), output / "functions.zip"),
        "service": write_tar_gz(service_files(ROOT), output / "service.tar.gz"),
        "composer": write_zip(composer_files(ROOT), output / "composer.zip"),
    }


def _commit() -> str:
    """The commit of the checkout, with `-dirty` behind it where files differ from it.

    Raises:
        ConfigurationError: This is no git checkout.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=all") else commit
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(f"{ROOT} is no git checkout, and every event records its commit: {error}") from error


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()  # noqa: S603 -- no word of it comes from outside

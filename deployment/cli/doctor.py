"""The command `doctor`: what is missing in this environment, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from deployment.cli.google_apis import GoogleApis
from deployment.cli.installation import Finding, examine_credentials, examine_installation, examine_names
from deployment.cli.project import examine_project
from deployment.cli.session import OPTIONS, application, git_sha, model_of, print_json, state_folder
from deployment.gate_policy import gate_policy_of
from deployment.setup import definitions
from deployment.sql_preview import describe_files
from deployment.stages.run import policy_of
from etl.errors import BqloopError
from etl.settings import load_settings
from etl.templates import Templates

_LOCAL_PACKAGES = ("bqemulator", "scikit-learn", "xgboost-cpu", "duckdb", "sqlglot")
_FREE_BYTES = 2_000_000_000
_MARKS = {True: "[green]ok[/]", False: "[bold red]no[/]", None: "[yellow]?[/]"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """Look at this environment and say what is missing and how to mend it. Exit code 1 if something is.

    Example: bqloop doctor
    """
    findings = list(examine())
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        table = Table("", "what", "found", "mend", title=f"Environment {OPTIONS.env}", title_justify="left")
        for finding in findings:
            mark = _MARKS[finding.ok if finding.looked else None]
            table.add_row(mark, finding.what, finding.found.replace("[", "\\["), finding.mend)
        OPTIONS.console.print(table)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Look at one thing after the other; what rests on something broken is not looked at."""
    version = sys.version.split()[0]
    yield Finding(
        "Python", sys.version_info >= (3, 11), version, "" if sys.version_info >= (3, 11) else "use 3.11 or newer"
    )
    settings, finding = _attempt("settings", lambda: load_settings(OPTIONS.env), "correct the file or the variable")
    yield finding
    if settings is None:
        return
    names = list(examine_names(settings))
    yield from names
    if not all(name.ok for name in names):
        return
    model = model_of(settings)
    templates, finding = _attempt(f"sql/{model}", lambda: Templates.from_tree(model), "restore the folder")
    yield finding
    if templates is None:
        return
    for what, look in {
        "model.yml": lambda: policy_of(templates),
        "model.yml gate": lambda: gate_policy_of(policy_of(templates)),
        "templates render": lambda: f"{len(describe_files(settings, templates))} files",
    }.items():
        found, finding = _attempt(what, look, "correct the file that the message names")
        yield finding
        if found is None:
            return
    if OPTIONS.env == "local":
        yield from _laptop()
    else:
        yield _terraform()
    yield from _services(model)


def _laptop() -> Iterator[Finding]:
    for package in _LOCAL_PACKAGES:
        try:
            yield Finding(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, False, "missing", "make setup")
    folder = state_folder()
    parent = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(parent).free
    enough = free > _FREE_BYTES
    yield Finding(
        "disk", enough, f"{free / 1e9:.1f} GB free at {folder}", "" if enough else "free some, or set BQLOOP_STATE"
    )
    writable = os.access(parent, os.W_OK)
    yield Finding("state folder", writable, str(folder), "" if writable else "make it writable, or set BQLOOP_STATE")


def _terraform() -> Finding:
    program = shutil.which("terraform")
    if program is None:
        return Finding("Terraform", True, "not installed", "for bqloop deploy, install 1.6 or newer", looked=False)
    done = subprocess.run([program, "version", "-json"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 -- no word of it comes from outside
    found = re.search(r'"terraform_version": *"((\d+)\.(\d+)[^"]*)"', done.stdout)
    if found is None:
        return Finding("Terraform", True, f"{program} does not tell its version", "", looked=False)
    fits = (1, 6) <= (int(found[2]), int(found[3])) < (2, 0)
    return Finding("Terraform", fits, found[1], "" if fits else "use 1.6 or newer, below 2")


def _services(model: str) -> Iterator[Finding]:
    try:
        with application(functions=True) as app:
            credentials = examine_credentials()
            yield credentials
            if not credentials.ok:
                return
            if OPTIONS.env != "local":
                yield from examine_project(app.settings, GoogleApis(app.settings.project), git_sha=git_sha())
            tables = len(definitions(app, model))
            yield Finding(
                "BigQuery",
                True,
                f"{app.settings.endpoints.bigquery or 'Google Cloud'}; {tables} tables of {model} described",
            )
            yield from examine_installation(app)
            champion, finding = _attempt(
                "Vertex AI",
                lambda: app.registry.champion(model) or "reached; no champion yet",
                "is the service up, and has the account the role aiplatform.user?",
            )
            yield finding
            del champion
            labels, finding = _attempt(
                "ledger", lambda: app.ledger(model).read("recent_runs") or "no runs yet", "bqloop retrain"
            )
            yield finding
            del labels
    except BqloopError as error:
        yield Finding(
            "services", False, str(error).splitlines()[0], "start them with `bqloop up`, or look at the addresses"
        )


def _attempt(what: str, look: Callable[[], Any], mend: str) -> tuple[Any, Finding]:
    try:
        found = look()
    except BqloopError as error:
        return None, Finding(what, False, str(error), mend)
    return found, Finding(what, True, _short(found))


def _short(found: object) -> str:
    if isinstance(found, str):
        return found
    return f"{len(found)} entries" if isinstance(found, list) else "as it should be"

"""What every command starts from: the environment, and with `--env local` a local cloud to talk to.

With `--env local` a command uses the cloud that `bqloop up` runs on the state folder; where none runs, it starts one for
its own duration. The state folder is `.bqloop/` in the current folder, or `BQLOOP_STATE`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from deployment.application import Application
from deployment.setup import prepare
from etl.settings import Settings, environment_file, load_settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Options:
    """What stands before the command: `bqloop [--env NAME] [--model NAME] COMMAND`."""

    env: str = "local"
    model: str = ""
    own_cloud: bool = False  # a local cloud that lives only as long as this command
    console: Console = field(default_factory=Console)
    errors: Console = field(default_factory=lambda: Console(stderr=True))


OPTIONS = Options()


def state_folder() -> Path:
    """Where the local cloud keeps its state."""
    return Path(os.environ.get("BQLOOP_STATE") or ".bqloop").resolve()


def model_of(settings: Settings) -> str:
    """The model that a command is about: `--model`, else the environment's first."""
    return OPTIONS.model or settings.models[0]


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    OPTIONS.console.print_json(json.dumps(value, default=str))


@contextmanager
def application(*, functions: bool = False) -> Iterator[Application]:
    """bqloop in the environment that the command line names.

    Args:
        functions: The command needs the stages to run; a cloud started for it runs them, too.
    """
    if OPTIONS.env != "local":
        os.environ.setdefault("BQLOOP_GIT_SHA", git_sha())
        yield Application(load_settings(OPTIONS.env))
        return
    with local_cloud(state_folder(), functions=functions):
        app = Application(load_settings("local"))
        prepare(app)
        yield app


@contextmanager
def local_cloud(state: Path, *, functions: bool, scheduler: bool = False) -> Iterator[Any]:
    """The local cloud of a state folder: the running one, or one of our own for the time of the block."""
    # Imported here, because the other environments are used where infra.local's packages are not installed.
    from infra.local.cloud import LocalCloud, client_environment
    from infra.local.credentials import LocalCredentials
    from infra.local.state_folder import running_cloud

    # The cloud's functions are told, too: what they record says which commit it was.
    os.environ.setdefault("BQLOOP_GIT_SHA", git_sha())
    config = yaml.safe_load(environment_file("local").read_text(encoding="utf-8"))
    running = running_cloud(state)
    if running is not None:
        credentials = LocalCredentials(state, project=config["project"]).path
        os.environ.update(client_environment(config["project"], running["endpoints"], credentials))
        yield None
        return
    cloud = LocalCloud(config, state, root=ROOT, with_functions=functions, with_scheduler=scheduler)
    with OPTIONS.errors.status(f"Starting the local cloud on {state}"):
        cloud.start()
    os.environ.update(cloud.environment())
    OPTIONS.own_cloud = True
    try:
        yield cloud
    finally:
        with OPTIONS.errors.status("Stopping the local cloud"):
            cloud.stop()


def git_sha() -> str:
    """The commit of the running code, "" outside a git checkout."""
    try:
        done = subprocess.run(  # noqa: S603 -- no word of it comes from outside
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"],  # noqa: S607 -- git is found by PATH, like everywhere
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()

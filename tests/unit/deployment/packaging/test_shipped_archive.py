"""The functions' archive as Google Cloud would take it: an empty folder, a fresh environment, only what is locked in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from google.cloud.pubsub_v1 import SubscriberClient

from deployment.application import Application
from deployment.packaging.archives import write_zip
from deployment.packaging.contents import runtime_files
from deployment.setup import prepare
from etl.settings import environment_file, load_settings
from infra.local.cloud import LocalCloud
from tests.e2e.test_loop import import_generated, today, wait_for

ROOT = Path(__file__).resolve().parents[4]
FUNCTIONS = yaml.safe_load((ROOT / "infra" / "environments" / "dev.yaml").read_text())["functions"]
STAGES = ("check", "features", "train", "evaluate", "decide", "deploy")
COLD_START = 60.0

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Shipped:
    folder: Path
    python: Path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    house = tmp_path_factory.mktemp("shipped")
    archive = write_zip(runtime_files(ROOT), house / "functions.zip")
    with zipfile.ZipFile(archive.path) as packed:
        packed.extractall(house / "source")
    python = house / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, house / "venv"], check=True)
    locked = ["--require-hashes", "-r", house / "source" / "requirements.txt"]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *locked], check=True)
    return Shipped(house / "source", python)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str, body: bytes | None = None) -> int | None:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


# An address at which nobody answers: a function must start without one of Google's services.
NOWHERE = {
    "BQLOOP_ENV": "dev",
    "BQLOOP_PROJECT": "example-project-1",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
}


@contextlib.contextmanager
def running(name: str, shipped: Shipped, environment: Mapping[str, str]) -> Iterator[str]:
    """One function as Google Cloud runs it, in a process and an environment of its own; gives its address."""
    port = free_port()
    command = [shipped.python.with_name("functions-framework"), "--source", "main.py", "--host", "127.0.0.1"]
    command += ["--target", FUNCTIONS[name]["entry_point"], "--port", str(port)]
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    log = shipped.folder.parent / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=shipped.folder, env=kept | environment, stdout=out, stderr=out)
    try:
        end = time.monotonic() + COLD_START
        while answer(f"http://127.0.0.1:{port}/healthz") is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, f"{name} did not start within {COLD_START:.0f} s: {log.read_text()}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_entry_point_starts_in_a_fresh_environment(name: str, shipped: Shipped) -> None:
    with running(name, shipped, NOWHERE) as address:
        if FUNCTIONS[name]["trigger"] == "http":
            assert answer(f"{address}/healthz") == 200
        else:  # A stage refuses what is no event at all; that it refuses says that its code was loaded.
            assert answer(address, b'{"no": "event"}') == 400


def test_the_shipped_functions_carry_a_run_from_check_to_champion(
    shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(environment_file("local").read_text())
    shutil.copy(environment_file("local"), shipped.folder / "infra" / "environments")
    cloud = LocalCloud(config, tmp_path, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    with contextlib.ExitStack() as open_:
        open_.callback(cloud.stop)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        app = Application(load_settings("local"))
        prepare(app)
        import_generated(app, tmp_path, 0)
        subscriber = open_.enter_context(SubscriberClient())
        for name in (*STAGES, "dead-letter"):
            address = open_.enter_context(running(name, shipped, cloud.environment()))
            topic = app.settings.topic_path(FUNCTIONS[name]["topic"])
            subscription = topic.replace("/topics/", "/subscriptions/")
            # The path that Terraform gives the push endpoint.
            subscriber.modify_push_config(
                subscription=subscription, push_config={"push_endpoint": f"{address}/{topic}"}
            )
        cloud.trigger("check")
        ended = wait_for(app, f"deal_duplicates-{today()}")
    assert ended["state"] == "PROMOTED", ended["reason"]
    (shipped.folder / "infra" / "environments" / "local.yaml").unlink()


def test_nothing_of_the_laptops_engine_is_installed(shipped: Shipped) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "list", "--quiet", "--format", "json", "--python", shipped.python],
        capture_output=True,
        check=True,
    )
    installed = {package["name"] for package in json.loads(listed.stdout)}
    assert {"duckdb", "functions-framework", "google-cloud-bigquery"} <= installed
    assert not installed & {"bqemulator", "scikit-learn", "xgboost", "xgboost-cpu", "pandas", "typer", "pytest"}

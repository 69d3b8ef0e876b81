"""The functions' archive as Google Cloud would take it: an empty folder, a fresh environment, only what is locked in it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deployment.packaging.archives import write_zip
from deployment.packaging.contents import runtime_files

ROOT = Path(__file__).resolve().parents[4]
FUNCTIONS = yaml.safe_load((ROOT / "infra" / "environments" / "dev.yaml").read_text())["functions"]
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


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    # An address at which nobody answers: the function must start without one of Google's services.
    return kept | {
        "BQLOOP_ENV": "dev",
        "BQLOOP_PROJECT": "example-project-1",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_entry_point_starts_in_a_fresh_environment(name: str, shipped: Shipped) -> None:
    port, function = free_port(), FUNCTIONS[name]
    command = [shipped.python.with_name("functions-framework"), "--source", "main.py", "--host", "127.0.0.1"]
    command += ["--target", function["entry_point"], "--port", str(port)]
    log = shipped.folder.parent / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=shipped.folder, env=environment(), stdout=out, stderr=out)
        try:
            path = "/healthz" if function["trigger"] == "http" else "/"
            # A stage refuses what is no event at all; that it refuses says that its code was loaded.
            body, wanted = (None, 200) if function["trigger"] == "http" else (b'{"no": "event"}', 400)
            end = time.monotonic() + COLD_START
            while (got := answer(f"http://127.0.0.1:{port}{path}", body)) is None:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, f"{name} did not start within {COLD_START:.0f} s: {log.read_text()}"
                time.sleep(0.1)
            assert got == wanted, log.read_text()
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()


def test_nothing_of_the_laptops_engine_is_installed(shipped: Shipped) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "list", "--quiet", "--format", "json", "--python", shipped.python],
        capture_output=True,
        check=True,
    )
    installed = {package["name"] for package in json.loads(listed.stdout)}
    assert {"duckdb", "functions-framework", "google-cloud-bigquery"} <= installed
    assert not installed & {"bqemulator", "scikit-learn", "xgboost", "xgboost-cpu", "pandas", "typer", "pytest"}

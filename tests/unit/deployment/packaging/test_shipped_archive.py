"""The functions' archive as Google Cloud would take it: an empty folder, a fresh environment, only what is locked in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
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
from tests.e2e.test_loop import MODEL, PATIENCE, runs, today
from tests.e2e.test_whole_rollouts import FEW_LABELS, MANY_LABELS, Story

ROOT = Path(__file__).resolve().parents[4]
FUNCTIONS = yaml.safe_load((ROOT / "infra" / "environments" / "dev.yaml").read_text())["functions"]
COLD_START = 60.0
REFRESH = yaml.safe_load((ROOT / "sql" / "deal_duplicates" / "model.yml").read_text())["serving"]["refresh_seconds"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


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


def answer(url: str, body: bytes | None = None, *, timeout: float = 10) -> int | None:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
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


def test_the_containers_own_command_starts_the_service(shipped: Shipped) -> None:
    dockerfile = (ROOT / "deployment" / "packaging" / "Dockerfile").read_text()
    command = json.loads(dockerfile.rsplit("\nCMD ", 1)[1])
    variables = dict(
        re.findall(r"\b([A-Z_]+)=(\S+)", dockerfile[dockerfile.index("ENV ") : dockerfile.index("WORKDIR")])
    )
    port = free_port()
    path = {"PATH": f"{shipped.python.parent}:{os.environ['PATH']}", "HOME": str(shipped.folder.parent)}
    process = subprocess.Popen(
        command, cwd=shipped.folder, env=variables | NOWHERE | path | {"PORT": str(port)}, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + COLD_START
        while answer(f"http://127.0.0.1:{port}/healthz") != 200:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_shipped_functions_carry_the_whole_loop(
    shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(environment_file("local").read_text())
    shutil.copy(environment_file("local"), shipped.folder / "infra" / "environments")
    cloud = LocalCloud(config, tmp_path, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    with contextlib.ExitStack() as open_:
        open_.callback((shipped.folder / "infra" / "environments" / "local.yaml").unlink)
        open_.callback(cloud.stop)
        for name, value in (cloud.environment() | ROLLOUT).items():
            monkeypatch.setenv(name, value)
        app = Application(load_settings("local"))
        prepare(app)
        subscriber = open_.enter_context(SubscriberClient())
        addresses = {}
        for name, function in FUNCTIONS.items():
            addresses[name] = open_.enter_context(running(name, shipped, cloud.environment() | ROLLOUT))
            if function["trigger"] == "pubsub":
                topic = app.settings.topic_path(function["topic"])
                # The path that Terraform gives the push endpoint.
                subscriber.modify_push_config(
                    subscription=topic.replace("/topics/", "/subscriptions/"),
                    push_config={"push_endpoint": f"{addresses[name]}/{topic}"},
                )
        walk_the_loop(Story(cloud, app, tmp_path), addresses["service"])


# Two steps, so that a challenger needs a tick of the function `rollout` to arrive.
ROLLOUT = {
    "BQLOOP_ROLLOUT__STEPS": "[50, 100]",
    "BQLOOP_ROLLOUT__HOLD_MINUTES": "0",
    "BQLOOP_ROLLOUT__MINIMUM_REQUESTS": "5",
}


def walk_the_loop(story: Story, service: str) -> None:
    """A champion, its predictions and what people say of them, a challenger that follows it, scoring and watching."""
    story.import_day(0, FEW_LABELS)
    champion = story.train("first", until="PROMOTED")
    table = f"{story.app.settings.project}.{story.app.settings.dataset}"
    labels = list(story.app.bigquery.list_rows(f"{table}.labels", max_results=40))
    pairs = [
        {s: {"source": row[f"{s}_source"], "deal_id": row[f"{s}_id"]} for s in ("left", "right")} for row in labels
    ]

    def ask(path: str, content: object) -> int | None:
        return answer(f"{service}{path}", json.dumps(content).encode(), timeout=120)

    def logged() -> int:
        return int(story.app.bigquery.get_table(f"{table}.inference_log").num_rows or 0)

    assert ask("/feedback", {**pairs[0], "is_duplicate": True, "given_by": "somebody"}) == 200
    assert [ask("/score", {"pairs": [pair]}) for pair in pairs[:5]] == [200] * 5
    story.import_day(1, MANY_LABELS)
    challenger = story.train("second", until="CANARY")
    time.sleep(REFRESH)  # the service looks up who answers that often
    assert [ask("/score", {"pairs": [pair]}) for pair in pairs] == [200] * len(pairs)
    story.wait(lambda: logged() == 5 + len(pairs), 60)
    step = story.tick()
    assert (step["action"], step["version"], step["share"]) == ("promote", challenger, 100), step["reason"]
    assert story.aliases == {"champion": challenger, "default": challenger}
    assert champion != challenger
    for stage, state in {"score": "SCORED", "monitor": "MONITORED"}.items():
        story.cloud.trigger(stage)
        story.wait(lambda stage=stage, state=state: ended(story, stage) == state, PATIENCE)  # type: ignore[misc]


def ended(story: Story, stage: str) -> str:
    return str(runs(story.app).get(f"{MODEL}-{stage}-{today()}", {}).get("state"))


def test_nothing_of_the_laptops_engine_is_installed(shipped: Shipped) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "list", "--quiet", "--format", "json", "--python", shipped.python],
        capture_output=True,
        check=True,
    )
    installed = {package["name"] for package in json.loads(listed.stdout)}
    assert {"duckdb", "functions-framework", "google-cloud-bigquery"} <= installed
    assert not installed & {"bqemulator", "scikit-learn", "xgboost", "xgboost-cpu", "pandas", "typer", "pytest"}

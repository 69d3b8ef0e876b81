"""A second model by the commands of sql/README.md alone, in a copy of the project: not a line of Python differs afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.second_model import write_trips

pytest.importorskip("zetasql", reason="zetasql is not installed")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
_SECTION = (ROOT / "sql" / "README.md").read_text(encoding="utf-8").split("## A second model")[1].split("\n## ")[0]
COMMANDS = re.findall(r"^\$ bqloop (.*)$", _SECTION, re.MULTILINE)
_BQLOOP = [sys.executable, "-c", "from deployment.cli.main import main; main()"]


class Copy:
    """A copy of the project with a local cloud that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sql", "etl", "deployment", "functions", "infra"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "tests" / "sql").mkdir(parents=True)
        shutil.copy(ROOT / ".sqlfluff", folder)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "BQLOOP_STATE": str(folder / "state"),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONWARNINGS": "ignore",
        }
        self.cloud: subprocess.Popen[str] | None = None
        self.functions = ""

    def bqloop(self, *words: str) -> str:
        done = subprocess.run(
            [*_BQLOOP, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"bqloop {shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        self.cloud = subprocess.Popen(
            [*_BQLOOP, "up"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self.cloud.stdout is not None
        for line in self.cloud.stdout:
            found = re.search(r"functions\s*│\s*(http\S+)", line)
            self.functions = found[1] if found else self.functions
            if line.startswith("State:"):
                return
        raise AssertionError("the local cloud did not start")

    def stop(self) -> None:
        if self.cloud is not None:
            self.cloud.send_signal(signal.SIGINT)
            self.cloud.wait(timeout=60)
            assert self.cloud.stdout is not None
            self.cloud.stdout.close()

    def predict(self, instances: list[dict[str, Any]]) -> Any:
        request = urllib.request.Request(
            f"{self.functions}/service/models/fares/predict",
            data=json.dumps({"instances": instances}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def python(self) -> dict[str, str]:
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*.py")
        }


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    made = Copy(tmp_path / "project")
    yield made
    made.stop()


def test_the_second_model_of_the_readme_trains_is_gated_deployed_and_served(copy: Copy) -> None:
    before = copy.python()
    write_trips(copy.folder / "fares.csv", 1, 400)
    begin, *rest = [shlex.split(command) for command in COMMANDS]
    assert begin[:3] == ["new", "model", "fares"]
    copy.bqloop(*begin)
    copy.start()
    told = {tuple(command[2:4]): copy.bqloop(*command) for command in rest}
    assert "PROMOTED" in told["retrain", "--wait"]
    assert "mean_absolute_error" in told["review",]

    write_trips(copy.folder / "more.csv", 2, 1200)
    copy.bqloop("--model", "fares", "import", "rows", "more.csv")
    second = json.loads(copy.bqloop("--model", "fares", "retrain", "--wait", "--json"))
    assert second["state"] in {"PROMOTED", "REJECTED"}
    decided = copy.bqloop("--model", "fares", "review", "--json")
    assert json.loads(decided)["names"][0] == "champion"

    near, far = (
        {"trip_id": n, "city": "Bern", "distance_km": km, "minutes": 3 * km} for n, km in (("a", 1.0), ("b", 9.0))
    )
    answer = copy.predict([near, far])
    assert answer["predictions"][0]["prediction"] < answer["predictions"][1]["prediction"]
    measured = json.loads(copy.bqloop("--model", "fares", "evaluate", "--json"))
    assert measured["r2_score"] > 0.5
    assert copy.python() == before

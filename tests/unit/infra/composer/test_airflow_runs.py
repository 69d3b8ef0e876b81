"""Airflow itself parses the DAGs that Composer gets, and carries a run with them from check to champion.

Airflow stands in an environment of its own, which `make test-composer` makes and names in BQLOOP_AIRFLOW; the stages' own
environment is made by the DAGs, from the archive's locked requirements. Skipped where there is no Airflow.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deployment.application import Application
from deployment.packaging.archives import write_zip
from deployment.packaging.contents import composer_files
from deployment.setup import prepare
from etl.settings import environment_file, load_settings
from infra.local.cloud import LocalCloud
from tests.e2e.test_loop import import_generated, runs

ROOT = Path(__file__).resolve().parents[4]
MODEL = "deal_duplicates"
AIRFLOW = os.environ.get("BQLOOP_AIRFLOW", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not AIRFLOW, reason="BQLOOP_AIRFLOW names no Airflow; make test-composer does"),
]


@dataclass
class Composer:
    """A folder of DAGs as Composer has it, and Airflow's own program."""

    home: Path
    cloud: LocalCloud
    app: Application

    def airflow(self, *words: str) -> str:
        kept = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "HOME", "LANG", "PIP_", "UV_", "SSL_"))}
        environment = {
            **kept,
            **self.cloud.environment(),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "BQLOOP_ENV": "local",
            "BQLOOP_ENVIRONMENTS": str(self.home / "environments"),
        }
        done = subprocess.run(
            [AIRFLOW, *words], env=environment, cwd=self.home, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def states(self, dag_id: str, at: str) -> dict[str, str]:
        self.airflow("dags", "test", dag_id, at)
        (run,) = json.loads(self.airflow("dags", "list-runs", dag_id, "--output", "json"))[:1]
        told = json.loads(self.airflow("tasks", "states-for-dag-run", dag_id, run["run_id"], "--output", "json"))
        return {row["task_id"]: row["state"] for row in told}


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    home = tmp_path_factory.mktemp("composer")
    with zipfile.ZipFile(write_zip(composer_files(ROOT), home / "composer.zip").path) as packed:
        packed.extractall(home / "dags")
    shutil.copy(environment_file("local"), home / "dags" / "bqloop" / "infra" / "environments")
    config = yaml.safe_load(environment_file("local").read_text())
    cloud = LocalCloud(config, home / "cloud", root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in cloud.environment().items():
                patch.setenv(name, value)
            app = Application(load_settings("local"))
            prepare(app)
            import_generated(app, home, 0)
            made = Composer(home, cloud, app)
            made.airflow("db", "migrate")
            yield made
    finally:
        cloud.stop()


def test_airflow_parses_every_dag_and_looks_for_none_among_the_stages(composer: Composer) -> None:
    composer.airflow("dags", "reserialize")
    assert json.loads(composer.airflow("dags", "list-import-errors", "--output", "json")) == []
    found = {row["dag_id"] for row in json.loads(composer.airflow("dags", "list", "--output", "json"))}
    assert found == {f"bqloop_{MODEL}{kind}" for kind in ("", "_rollout", "_score", "_monitor")}


def test_airflow_carries_a_run_to_a_champion_scores_with_it_and_skips_a_day_with_nothing_new(
    composer: Composer,
) -> None:
    now = dt.datetime.now(dt.UTC)
    chain = ("check", "features", "train", "evaluate", "decide", "deploy")
    assert composer.states(f"bqloop_{MODEL}", now.isoformat()) == dict.fromkeys(chain, "success")
    (run,) = runs(composer.app).values()
    assert run["state"] == "PROMOTED"
    assert composer.states(f"bqloop_{MODEL}_score", now.isoformat()) == {"score": "success"}
    assert list(composer.app.bigquery.query("SELECT 1 FROM bqloop.duplicate_pairs LIMIT 1").result())
    drifted = composer.states(f"bqloop_{MODEL}_monitor", now.isoformat())
    assert drifted == {"monitor": "success", "drifted": "success", "retrain": "skipped"}
    assert composer.states(f"bqloop_{MODEL}_rollout", now.isoformat()) == {"rollout": "success"}
    tomorrow = composer.states(f"bqloop_{MODEL}", (now + dt.timedelta(days=1)).isoformat())
    assert tomorrow == dict.fromkeys(chain, "skipped")

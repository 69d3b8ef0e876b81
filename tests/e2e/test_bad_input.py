"""What a person sees who gets something wrong: the real command, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from deployment.application import Application
from tests.e2e.conftest import ROOT, Starter
from tests.e2e.test_loop import MODEL, runs, wait_for

BQLOOP = Path(sys.executable).with_name("bqloop")


@pytest.fixture(scope="module")
def cloud(start_cloud: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Application]]:
    state = tmp_path_factory.mktemp("bad-input")
    with start_cloud(state) as (_, app):
        yield state, app


def bqloop(state: Path, *arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BQLOOP_")}
    return subprocess.run(
        [str(BQLOOP), *arguments],
        cwd=cwd,
        env={**inherited, "BQLOOP_STATE": str(state), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_broken_row_is_set_aside_with_line_and_reason_and_the_rest_is_loaded(
    cloud: tuple[Path, Application], tmp_path: Path
) -> None:
    state, app = cloud
    file = tmp_path / "offers.csv"
    file.write_text("id,name,price\n1,red shoe,10.5\n2,,3\n3,blue shoe,cheap\n4,green shoe,7\n", encoding="utf-8")
    done = bqloop(state, "import", "deals", str(file), "--source", "shop", "--map", "deal_id=id", "--map", "title=name")
    assert done.returncode == 0, done.stderr
    assert "4 rows, 2 loaded, 0 unchanged, 2 rejected" in done.stdout
    assert "title: missing" in done.stdout
    rejected = list(app.bigquery.list_rows(f"{app.settings.project}.{app.settings.dataset}.rejected_rows"))
    assert sorted(row["line"] for row in rejected) == [3, 4]
    assert any("cheap" in row["content"] for row in rejected)


def test_an_unknown_column_in_a_mapping_is_refused_before_anything_is_loaded(
    cloud: tuple[Path, Application], tmp_path: Path
) -> None:
    state, app = cloud
    file = tmp_path / "offers.csv"
    file.write_text("id,name\n77,only here\n", encoding="utf-8")
    done = bqloop(state, "import", "deals", str(file), "--source", "s", "--map", "deal_id=id", "--map", "title=nmae")
    assert done.returncode == 1
    assert "nmae" in done.stderr
    assert "name" in done.stderr.replace("nmae", "")
    rows = app.bigquery.list_rows(f"{app.settings.project}.{app.settings.dataset}.raw_deals")
    assert "77" not in {row["deal_id"] for row in rows}


def test_a_misspelt_variable_in_a_template_is_told_with_file_and_line(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".bqloop", "*cache*", "tests"))
    template = copy / "sql" / MODEL / "features" / "clean_deals.sql"
    lines = template.read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines) if "table.raw_deals" in line)
    lines[number] = lines[number].replace("table.raw_deals", "table.raw_dealz")
    template.write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from deployment.cli.main import main; main()",
            "sql",
            "render",
            f"{MODEL}/features/clean_deals.sql",
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"sql/{MODEL}/features/clean_deals.sql:{number + 1}" in done.stderr
    assert "Did you mean table.raw_deals?" in done.stderr


def test_an_endpoint_that_is_down_is_told_with_its_address(tmp_path: Path) -> None:
    from etl.errors import UnavailableError
    from etl.settings import load_settings
    from etl.templates import Templates
    from etl.warehouse import Warehouse

    settings = load_settings("local", endpoints={"bigquery": "http://127.0.0.1:9"})
    warehouse = Warehouse(Application(settings).bigquery, settings)
    templates = Templates.from_tree(MODEL)
    statement = templates.render("ledger/events.sql", {"ledger": _names(settings)})
    with pytest.raises(UnavailableError, match=r"BigQuery at http://127\.0\.0\.1:9 cannot be used"):
        warehouse.dry_run(statement)


def _names(settings: object) -> object:
    from etl.names import Naming
    from etl.settings import Settings

    assert isinstance(settings, Settings)
    return Naming.of(settings, MODEL).ledger(["events"])


def test_labels_without_enough_positives_skip_the_run_with_the_reason(cloud: tuple[Path, Application]) -> None:
    state, _ = cloud
    done = bqloop(state, "retrain", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["state"] == "SKIPPED"
    assert "too few labels: 0 of" in row["reason"]


def test_a_message_that_cannot_be_read_is_recorded_and_not_retried(cloud: tuple[Path, Application]) -> None:
    _, app = cloud
    message = PublisherClient().publish(app.settings.stage_topic("train"), b"{not json").result(timeout=30)
    run_id = f"{MODEL}-malformed-{message}"
    row = wait_for(app, run_id)
    assert row["state"] == "FAILED"
    assert "cannot be read" in row["reason"]
    assert list(runs(app)).count(run_id) == 1


def test_an_unknown_environment_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = bqloop(tmp_path, "--env", "nowhere", "status")
    assert done.returncode == 1
    assert "no environment 'nowhere'" in done.stderr
    assert "local" in done.stderr

"""A small project for tries: points on a plane, labelled by which side of a line they are on; the champion knows only x.

Its SQL is that of the tiny model of tests/faults with the evaluation that every classification has.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import sql
from deployment.application import Application
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from etl.settings import environment_file, load_settings
from etl.templates import Templates, folders_of
from infra.local.cloud import LocalCloud
from tests.faults.tiny_model import FOLDER

MODEL = "points"
ROOT = Path(__file__).resolve().parents[4]
FEATURES = ("training_features", "validation_set", "test_set")
_POINTS = 1200
_POLICY = """
owner: somebody@example.com
description: Whether a point lies on the far side of a line
label: is_far
keys: [point_id]
parameters:
  wanted_precision: 0.0
  expected_positive_rate: 0.0
  threshold_plateau: 1.0
  cost_false_positive: 2.0
  cost_false_negative: 1.0
  gate_confidence: 0.95
  bootstrap_replicates: 100
  bootstrap_blocks: 100
checks: {point_without_place: {severity: warn}}
freshness: {min_new_rows: 1, min_new_labels: 1, min_labels: 10, min_positives: 5, max_age_days: 30}
candidates: [loose]
gate: {primary: average_precision, floors: {average_precision: 0.1}}
slices: {half: "IF(point_id < 600, 'first', 'second')"}
"""


def sources(columns: str = "x") -> dict[str, str]:
    """The project's texts, with these expressions for features."""
    found = {f"{MODEL}/model.yml": _POLICY}
    for folder in ("checks", "features", "tables", "train", "monitor"):
        for path in sorted((FOLDER / folder).glob("*.sql")):
            if path.stem not in {"point_scores", "rollout_health", "strict"}:
                found[f"{MODEL}/{folder}/{path.name}"] = path.read_text(encoding="utf-8")
    for name in FEATURES:
        path = f"{MODEL}/features/{name}.sql"
        assert "  x,\n  y\n" in found[path]
        found[path] = found[path].replace("  x,\n  y\n", f"  {columns}\n")
    for folder in folders_of(MODEL, _POLICY)[1:]:
        for path in sorted((sql.ROOT / folder).rglob("*.sql")):
            found[path.relative_to(sql.ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return found


@dataclass
class Project:
    """The project on a local cloud, its champion trained."""

    app: Application

    def edit(self, columns: str = "x", **changes: str) -> None:
        """Let the working tree have other features, or other texts by path."""
        changed = {path.replace("__", "/") + ".sql": text for path, text in changes.items()}
        self.app._templates[MODEL] = Templates(MODEL, sources(columns) | changed)


class _Silent:
    def publish(self, message: StageMessage) -> None:
        pass


@contextmanager
def running_project(state: Path) -> Iterator[Project]:
    """The project with a first champion, for the time of the block."""
    config = yaml.safe_load(environment_file("local").read_text(encoding="utf-8")) | {"models": [MODEL]}
    before = dict(os.environ)
    cloud = LocalCloud(config, state, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    try:
        os.environ.update(cloud.environment())
        project = Project(Application(load_settings("local", models=(MODEL,))))
        project.edit()
        prepare(project.app)
        _fill(project.app)
        _train_champion(project.app)
        yield project
    finally:
        cloud.stop()
        os.environ.clear()
        os.environ.update(before)


def _fill(app: Application) -> None:
    rows = []
    for n in range(_POINTS):
        x, y = (n * 7919 % 1009) / 1009, (n * 104729 % 997) / 997
        split = ("train", "train", "validation", "test")[n % 4]
        far = (x + y > 1) != (n % 11 == 0)
        rows.append(f"({n}, {x!r}, {y!r}, {far}, '{split}', TIMESTAMP '2026-01-01 00:00:00+00')")
    table = f"`{app.settings.project}.{app.settings.dataset}.points`"
    app.bigquery.query(
        f"INSERT INTO {table} (point_id, x, y, is_far, split, ingested_at) VALUES {', '.join(rows)}"
    ).result()


def _train_champion(app: Application) -> None:
    as_of = dt.datetime.now(dt.UTC)
    for stage in ("check", "features", "train", "evaluate", "decide", "deploy"):
        event = run_stage(app.run(StageMessage(model=MODEL, run_id=f"{MODEL}-1", stage=stage, as_of=as_of)), _Silent())
        assert event is not None
        assert event.status == "SUCCEEDED", event.details
    assert app.registry.champion(MODEL) is not None

"""`bqloop try` as an analyst uses it, on public offers: a good feature, a useless one, and a change that is none.

A copy of the project is edited and the command is run in it; the champion was trained before the good feature was there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OFFERS = Path(os.environ.get("BQLOOP_DATASETS") or ROOT.parent / "shared" / "datasets") / "amazon_google"
PARTS = ("deployment", "etl", "functions", "infra", "sql")
RIVALS = "  context.* EXCEPT (left_key, right_key)\n"
GOOD = "  context.likeness_source_margin_lesser\n"
USELESS = "  ABS(MOD(FARM_FINGERPRINT(CAST(signals.left_key AS STRING)), 97)) AS noise\n"


@dataclass
class Copy:
    """A copy of the project, and a local cloud with the offers in it."""

    root: Path
    state: Path

    @property
    def features(self) -> Path:
        return self.root / "sql/deal_duplicates/features/pair_features.sql"

    def bqloop(self, *words: str) -> str:
        environment = {**os.environ, "BQLOOP_STATE": str(self.state), "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}
        program = [sys.executable, "-c", "from deployment.cli.main import main; main()"]
        done = subprocess.run(
            [*program, *words], cwd=self.root, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_with(self, feature: str) -> tuple[dict[str, Any], float]:
        """What a try says, and how many seconds it took."""
        had = self.features.read_text(encoding="utf-8")
        begun = time.monotonic()
        try:
            self.features.write_text(had.replace("\nFROM ", f",\n{feature}FROM ", 1) if feature else had)
            return json.loads(self.bqloop("try", "--json")), time.monotonic() - begun
        finally:
            self.features.write_text(had)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    if not OFFERS.is_dir():
        pytest.skip(f"there are no offers in {OFFERS}")
    folder = tmp_path_factory.mktemp("copy")
    made = Copy(folder / "project", folder / "state")
    for part in PARTS:
        shutil.copytree(ROOT / part, made.root / part, ignore=shutil.ignore_patterns("__pycache__"))
    text = made.features.read_text(encoding="utf-8")
    assert text.count(f",\n{RIVALS}") == 1, "pair_features.sql does not take the rivals' features any more as it did"
    made.features.write_text(text.replace(f",\n{RIVALS}", "\n"))
    for file, source in (("tableA.csv", "amazon"), ("tableB.csv", "google")):
        fields = ("--map", "deal_id=id", "--map", "brand=manufacturer")
        made.bqloop("import", "deals", str(OFFERS / file), "--source", source, *fields)
    for file, split in (("train.csv", "train"), ("valid.csv", "validation"), ("test.csv", "test")):
        fields = ("--map", "left_id=ltable_id", "--map", "right_id=rtable_id", "--map", "is_duplicate=label")
        sources = ("--left-source", "amazon", "--right-source", "google")
        made.bqloop("import", "labels", str(OFFERS / file), *sources, *fields, "--split", split)
    made.bqloop("retrain", "--wait")
    return made


def test_a_good_feature_is_better_in_under_three_minutes(copy: Copy) -> None:
    found, seconds = copy.try_with(GOOD)

    assert found["answer"] == "better", found["judgement"]["reason"]
    assert found["features"] == ["+ likeness_source_margin_lesser"]
    assert found["changed_pairs"][0]["left_title"]
    assert seconds < 180


def test_a_useless_feature_is_not_better_in_under_three_minutes(copy: Copy) -> None:
    found, seconds = copy.try_with(USELESS)

    assert found["answer"] in {"cannot tell", "worse"}, found["judgement"]["reason"]
    assert found["features"] == ["+ noise"]
    assert seconds < 180


def test_of_an_unchanged_copy_nothing_can_be_told(copy: Copy) -> None:
    found, _ = copy.try_with("")

    assert found["answer"] == "cannot tell"
    assert found["sql_changes"] == ""

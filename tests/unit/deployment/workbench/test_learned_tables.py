"""Frozen tables may be learned from verdicts, if from those of the training split alone."""

from __future__ import annotations

import pytest

from deployment.workbench.check import check
from etl.settings import load_settings
from etl.templates import Templates, read_sources

pytest.importorskip("zetasql", reason="zetasql is not installed")

MODEL = "deal_duplicates"
EXAMPLES = f"{MODEL}/features/guess_examples.sql"
POLICY = f"{MODEL}/model.yml"


def findings_of(path: str, right: str, wrong: str) -> list[str]:
    sources = read_sources(MODEL)
    assert right in sources[path]
    _, findings = check(
        load_settings("local"), Templates(MODEL, {**sources, path: sources[path].replace(right, wrong)})
    )
    return [f"{finding.file} {finding.message}" for finding in findings]


def test_a_frozen_table_that_learns_from_rows_which_judge_leaks() -> None:
    (told,) = findings_of(EXAMPLES, "WHERE split = 'train'", "WHERE split != 'test'")

    assert "guess_weights.sql" in told
    assert "split = 'train' alone" in told


def test_a_learned_table_that_is_not_frozen_lets_features_know_the_answer() -> None:
    found = findings_of(POLICY, "key_stats, guess_weights]", "key_stats]")

    assert any("feature guess is computed from table.labels.is_duplicate" in told for told in found)

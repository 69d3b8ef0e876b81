"""How `make bench-peers` judges pairs, whoever found them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.peers import judge, verdicts

ROOT = Path(__file__).resolve().parents[3]


def test_pairs_are_judged_against_all_true_pairs_whichever_way_round_they_are(tmp_path: Path) -> None:
    # Offer 1 has three deals, offer 2 two: 3 + 1 true pairs. A deal that came twice is one deal.
    deals = [("s", "a", 1), ("s", "b", 1), ("t", "c", 1), ("t", "d", 2), ("u", "e", 2), ("u", "f", 3), ("s", "a", 1)]
    truth = pa.table({name: [row[place] for row in deals] for place, name in enumerate(("source", "deal_id", "offer"))})
    pairs = pa.table(
        {
            "one_id": ["s/b", "t/c", "u/f", "t/d"],
            "two_id": ["s/a", "s/a", "s/a", "u/e"],
            "probability": [0.9, 0.8, 0.7, 0.2],
            "called": [True, True, True, False],
        }
    )
    pq.write_table(truth, tmp_path / "truth.parquet")
    pq.write_table(pairs, tmp_path / "pairs.parquet")
    found = judge(tmp_path / "pairs.parquet", tmp_path / "truth.parquet")
    assert (found["deals"], found["pairs"], found["completeness"]) == (6, 4, 3 / 4)
    assert found["f1"] == pytest.approx(2 * 2 / (3 + 4))  # two of three called are right, of four that there are
    assert found["best_f1"] == pytest.approx(2 * 3 / (4 + 4))  # all four called: three right


def test_splink_is_locked_with_hashes_and_stays_out_of_the_projects_locks() -> None:
    lock = (ROOT / "bench" / "peers.lock").read_text()
    names = re.findall(r"^([a-z0-9-]+)==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert "splink" in names
    assert len(names) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    for other in ("requirements.lock", "requirements-dev.lock"):
        assert "splink" not in (ROOT / other).read_text()


def test_it_says_where_bqloop_is_not_faster() -> None:
    seconds = {"bqloop": 100.0, "one": 50.0, "two": 300.0}
    told = verdicts(1000, seconds, {"bqloop": 0.6, "one": 0.4, "two": 0.7})
    assert told == [
        "1,000 deals: bqloop is NOT faster than one: 2.0 times as slow, at better F1 (0.600 against 0.400)",
        "1,000 deals: bqloop is faster than two: 3.0 times as fast, at no better F1 (0.600 against 0.700)",
    ]

"""A case that `bqloop sql case` writes is one that passes, and one that a change of its rows fails."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

from deployment.workbench.case_from_rows import Sample, case_text
from deployment.workbench.cases import Bench, Case, find_cases

PATH = "deal_duplicates/features/clean_deals.sql"
AS_OF = dt.datetime(2026, 11, 21, 5, 0, 0, 1, tzinfo=dt.UTC)
DEAL = {
    "source": "a",
    "deal_id": "1",
    "title": 'Drill "18V": 3,5 Ah # new',
    "price": Decimal("12.50"),
    "currency": None,
    "ingested_at": AS_OF,
}


def test_a_written_case_passes_and_notices_a_change(bench: Bench, tmp_path: Path) -> None:
    sample = Sample(AS_OF, {"raw_deals": [DEAL], "quarantined_rows": []}, {})
    draft = Case(tmp_path, PATH, {"given": sample.given, "parameters": {"as_of": AS_OF}, "expected": []})
    text = case_text("Titles become words.", sample, bench.answer(draft))
    file = tmp_path / PATH.removesuffix(".sql") / "made.yml"
    file.parent.mkdir(parents=True)

    file.write_text(text, encoding="utf-8")
    [written] = find_cases(tmp_path, [PATH])
    file.write_text(text.replace("drill 18v", "drill 19v"), encoding="utf-8")
    [changed] = find_cases(tmp_path, [PATH])

    assert bench.run(written).passed
    assert "drill 19v" in str(bench.run(changed))

"""Every case of this folder: a file of `sql/`, given rows, expected rows (deployment/workbench/cases.py says how they look)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment.workbench.cases import Bench, Case, find_cases
from etl.templates import Templates, read_sources

MODEL = "deal_duplicates"
ROOT = Path(__file__).parent
# Of files that this model has; those of other kinds are run with a model of theirs (test_second_model_sql.py).
CASES = [case for case in find_cases(ROOT) if case.path in read_sources(MODEL)]
MISTAKES = yaml.safe_load((ROOT.parent / "unit/deployment/workbench/mistakes.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[c.file.relative_to(ROOT).with_suffix("").as_posix() for c in CASES])
def test_case(bench: Bench, case: Case) -> None:
    result = bench.run(case)

    assert result.passed, str(result)


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m["caught_by"] == "test"], ids=lambda m: m["mistake"])
def test_a_case_notices(bench: Bench, mistake: dict[str, Any]) -> None:
    path = f"{MODEL}/{mistake['file']}"
    right, wrong = mistake["change"]
    sources = read_sources(MODEL)
    assert right in sources[path], f"{path} does not say {right!r} any more: change the mistake with it"
    changed = Templates(MODEL, {**sources, path: sources[path].replace(right, wrong, 1)})

    results = [bench.with_templates(changed).run(case) for case in find_cases(ROOT, [path])]

    assert any(not result.passed and mistake["says"] in str(result) for result in results)

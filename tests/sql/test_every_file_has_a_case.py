"""Every SQL file of the project has a case at least, beside its own path."""

from __future__ import annotations

from pathlib import Path

import pytest

import sql
from deployment.workbench.cases import find_cases

HERE = Path(__file__).parent
FILES = sorted(
    path.relative_to(sql.ROOT).as_posix()
    for path in sql.ROOT.rglob("*.sql")
    if not path.is_relative_to(sql.ROOT / "macros")
)
COVERED = {case.path for case in find_cases(HERE)}


@pytest.mark.parametrize("path", FILES)
def test_a_file_has_a_case(path: str) -> None:
    assert path in COVERED, f"write a case: tests/sql/{path.removesuffix('.sql')}/<what it shows>.yml"


def test_no_case_is_left_of_a_file_that_is_gone() -> None:
    assert set(FILES) >= COVERED

"""The penguins: 344 rows for which results of the real BigQuery ML are recorded."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
ADELIE = "Adelie Penguin (Pygoscelis adeliae)"
CHINSTRAP = "Chinstrap penguin (Pygoscelis antarctica)"
GENTOO = "Gentoo penguin (Pygoscelis papua)"


@pytest.fixture(scope="session")
def penguins() -> pa.Table:
    folder = Path(os.environ.get("BQLOOP_DATASETS") or REPOSITORY.parent / "shared" / "datasets")
    path = folder / "penguins.jsonl"
    if not path.is_file():
        pytest.skip("penguins.jsonl is not at hand: set BQLOOP_DATASETS to the folder of the public data sets")
    return pa.json.read_json(path)


@pytest.fixture(scope="session")
def complete(penguins: pa.Table) -> pa.Table:
    """The 334 rows without NULLs."""
    return penguins.drop_null()


@pytest.fixture(scope="session")
def tagged() -> pa.Table:
    """Tags 1633, 1672 and 1690: the rows that the recorded predictions are of."""
    return pa.table(
        {
            "species": [ADELIE, ADELIE, CHINSTRAP],
            "island": ["Torgersen", "Torgersen", "Dream"],
            "culmen_length_mm": [39.5, 38.5, 37.9],
            "culmen_depth_mm": [18.8, 17.2, 18.1],
            "flipper_length_mm": [196, 181, 188],
            "body_mass_g": [3750, 5200, 3325],
            "sex": ["MALE", "FEMALE", "FEMALE"],
        }
    )


def known(table: pa.Table, column: str) -> pa.Table:
    """``WHERE column IS NOT NULL``."""
    return table.filter(pc.is_valid(table[column]))

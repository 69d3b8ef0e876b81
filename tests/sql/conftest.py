"""One local BigQuery a session for the cases of this folder, each in a dataset of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployment.cli.sql_cases import local_bench
from deployment.workbench.cases import Bench
from etl.templates import Templates


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with local_bench(Templates.from_tree("deal_duplicates")) as made:
        yield made

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from evaluation import Evaluation, new_dataset
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl.settings import load_settings
from infra.local.bigquery import BigQueryServer


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bigquery")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "storage")
    server.start()
    yield server.endpoint
    server.stop()


@pytest.fixture(scope="module")
def new_evaluation(endpoint: str) -> Callable[..., Evaluation]:
    """Makes an evaluation in a dataset of its own; keywords change parameters of the policy."""

    def make(**policy: Any) -> Evaluation:
        settings = load_settings("local", dataset=new_dataset(), endpoints={"bigquery": endpoint})
        client = bigquery.Client(
            settings.project, AnonymousCredentials(), location="US", client_options={"api_endpoint": endpoint}
        )
        return Evaluation.at(client, settings, **policy)

    return make


@pytest.fixture
def evaluation(new_evaluation: Callable[..., Evaluation]) -> Evaluation:
    return new_evaluation()

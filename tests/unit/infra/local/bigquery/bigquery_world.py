"""What the tests of the local BigQuery share: the project, a client, and a registry that remembers."""

from __future__ import annotations

from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer
from infra.local.model_registry import RegistryError

PROJECT = "bqloop-local"


class Registry:
    """A Vertex AI Model Registry that remembers what BigQuery asked of it."""

    def __init__(self) -> None:
        self.versions: dict[str, dict[str, Any]] = {}
        self.deployed: set[str] = set()
        self.refuse = ""

    def register(self, **version: Any) -> str:
        if self.refuse:
            raise RegistryError("invalid", self.refuse)
        name = version["bigquery_model"]
        self.versions.setdefault(name, version | {"version": str(len(self.versions) + 1)})
        return str(self.versions[name]["version"])

    def unregister(self, bigquery_model: str) -> None:
        if bigquery_model in self.deployed:
            raise RegistryError("invalid", f"{bigquery_model} is deployed")
        self.versions.pop(bigquery_model, None)


def client_of(server: BigQueryServer) -> bigquery.Client:
    return bigquery.Client(
        project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": server.endpoint}
    )

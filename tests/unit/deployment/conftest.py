"""A local Vertex AI with settings that point at it, for what speaks to Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployment.endpoint import Endpoint
from deployment.registry import Registry
from deployment.vertex import Vertex
from etl.settings import Settings, load_settings
from infra.local.credentials import LocalCredentials
from tests.unit.infra.local.vertex.constant_model import PROJECT
from tests.unit.infra.local.vertex.world import World


@pytest.fixture(scope="session")
def local_credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A made-up service account; making its key takes a moment, so there is one a session."""
    made = LocalCredentials(tmp_path_factory.mktemp("credentials"), project=PROJECT)
    made.start()
    yield made.path
    made.stop()


@dataclass
class Cloud:
    """The stand-in, and what production code sees of it."""

    world: World
    settings: Settings
    vertex: Vertex
    registry: Registry
    endpoint: Endpoint

    def register(self, name: str, *, probability: float = 0.9) -> str:
        """Register a version as BigQuery does, and label it as the loop does."""
        version = self.world.register(name, probability=probability)
        self.registry.put_labels("deals", version, {"run": name, "candidate": "tree"})
        return version

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by version, read with Google's own client."""
        endpoint = self.world.clients.endpoints.get_endpoint(name=self.endpoint.name)
        return {d.model_version_id: endpoint.traffic_split.get(d.id, 0) for d in endpoint.deployed_models}


@pytest.fixture
def cloud(tmp_path: Path, local_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(local_credentials))
    world = World(tmp_path)
    settings = load_settings("local", project=PROJECT, models=("deals",), endpoints={"vertex": world.server.endpoint})
    vertex = Vertex(settings)
    yield Cloud(world, settings, vertex, Registry(settings, vertex), Endpoint(settings, "deals", vertex))
    world.server.stop()

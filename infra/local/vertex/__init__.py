"""The laptop's Vertex AI: registry, endpoints and predictions for models that the local BigQuery ML trained."""

from infra.local.vertex.faults import Fault
from infra.local.vertex.server import VertexServer

__all__ = ["Fault", "VertexServer"]

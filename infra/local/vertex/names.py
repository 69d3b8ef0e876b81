"""Resource names of the local Vertex AI: `projects/…/locations/…/models/ID@version` and their like.

Vertex accepts the project's ID or its number and always answers with the number. So does this: code that compares a
name that it built with one that it was given fails here as it would fail on Google Cloud.
"""

import hashlib
import re
from dataclasses import dataclass

from infra.local.vertex.errors import ApiError, invalid

_MODEL = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@:]+)(?:@([^/:]*))?")
_ENDPOINT = re.compile(r"projects/([^/]+)/locations/([^/]+)/endpoints/([^/@:]+)")

# Where BigQuery's multi-regions keep their models in the registry (BigQuery's documentation of model_registry).
_REGISTRY_LOCATIONS = {"us": "us-central1", "eu": "europe-west4"}


@dataclass(frozen=True)
class ModelRef:
    """A model, and the version or alias after the `@` if the name had one."""

    location: str
    model_id: str
    version: str | None = None


@dataclass(frozen=True)
class EndpointRef:
    """An endpoint."""

    location: str
    endpoint_id: str


def registry_location(bigquery_location: str) -> str:
    """The Vertex region for a BigQuery location: "US" is us-central1, "EU" europe-west4, a region is itself."""
    lowered = bigquery_location.lower()
    return _REGISTRY_LOCATIONS.get(lowered, lowered)


class Names:
    """Reads and writes the resource names of one project."""

    def __init__(self, project: str) -> None:
        self.project = project
        # Made up, but the same for the same project for ever, and twelve digits as the real ones.
        digest = hashlib.sha256(project.encode()).digest()
        self.number = str(10**11 + int.from_bytes(digest[:8], "big") % (9 * 10**11))

    def check_project(self, project: str) -> None:
        """Refuse a project other than this one, as Google refuses one that the caller has no rights in."""
        if project not in (self.project, self.number):
            raise ApiError(
                "PERMISSION_DENIED",
                f"Permission denied on resource project {project}: the local Vertex AI serves {self.project} only.",
            )

    def location(self, location: str) -> str:
        """The resource name of a location."""
        return f"projects/{self.number}/locations/{location}"

    def model(self, ref: ModelRef) -> str:
        """The resource name of a model, with `@version` if the reference has one."""
        suffix = f"@{ref.version}" if ref.version else ""
        return f"{self.location(ref.location)}/models/{ref.model_id}{suffix}"

    def endpoint(self, ref: EndpointRef) -> str:
        """The resource name of an endpoint."""
        return f"{self.location(ref.location)}/endpoints/{ref.endpoint_id}"

    def parse_model(self, name: str) -> ModelRef:
        """Read `projects/P/locations/L/models/M[@version or alias]`."""
        match = _MODEL.fullmatch(name)
        if match is None:
            raise invalid(f"Invalid resource name of a model: {name!r}.")
        self.check_project(match[1])
        return ModelRef(match[2], match[3], match[4])

    def parse_endpoint(self, name: str) -> EndpointRef:
        """Read `projects/P/locations/L/endpoints/E`."""
        match = _ENDPOINT.fullmatch(name)
        if match is None:
            raise invalid(f"Invalid resource name of an endpoint: {name!r}.")
        self.check_project(match[1])
        return EndpointRef(match[2], match[3])

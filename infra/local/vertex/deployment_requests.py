"""Reads the `DeployedModel` of a request: what Vertex demands for a BigQuery ML model, the rest refused by name."""

import re
from typing import Any

from infra.local.vertex.errors import invalid
from infra.local.vertex.fields import read_message, read_text

_ID = re.compile(r"[0-9]{1,10}")
_ACCEPTED = (
    "id",
    "model",
    "displayName",
    "dedicatedResources",
    "serviceAccount",
    "disableExplanations",
    "disableContainerLogging",
    "enableAccessLogging",
)
_OUTPUT_ONLY = ("modelVersionId", "createTime", "privateEndpoints", "status")


def read_deployed_model(value: Any, *, mutation: bool = False) -> dict[str, Any]:
    """The deployed model of a deploy request or, with `mutation`, of a mutate request, with its keys in camel case."""
    where = "deployed_model"
    if isinstance(value, dict) and {"automaticResources", "automatic_resources"} & value.keys():
        raise invalid(
            "'automatic_resources' is not supported for models of BigQuery ML: give dedicated_resources with a machine_type."
        )
    deployed = read_message(value, where, accepted=_ACCEPTED, ignored=_OUTPUT_ONLY)
    identifier = read_text(deployed, "id", where, required=mutation)
    if not mutation and identifier and (not _ID.fullmatch(identifier) or identifier == "0"):
        raise invalid(f"Invalid deployed_model.id {identifier!r}: 1 to 10 digits, and not 0.")
    read_text(deployed, "model", where, required=not mutation)
    read_text(deployed, "displayName", where, limit=128)
    resources = read_message(
        deployed.get("dedicatedResources"),
        f"{where}.dedicated_resources",
        accepted=(
            "machineSpec",
            "minReplicaCount",
            "maxReplicaCount",
            "requiredReplicaCount",
            "autoscalingMetricSpecs",
            "spot",
        ),
    )
    if not mutation:
        machine = read_message(
            resources.get("machineSpec"), f"{where}.dedicated_resources.machine_spec", accepted=("machineType",)
        )
        read_text(machine, "machineType", f"{where}.dedicated_resources.machine_spec", required=True)
        minimum, maximum = resources.get("minReplicaCount", 0), resources.get("maxReplicaCount", 0)
        if not isinstance(minimum, int) or minimum < 1:
            raise invalid("deployed_model.dedicated_resources.min_replica_count must be at least 1.")
        if not isinstance(maximum, int) or (maximum and maximum < minimum):
            raise invalid("deployed_model.dedicated_resources.max_replica_count must not be below min_replica_count.")
        resources["maxReplicaCount"] = maximum or minimum
    return deployed | {"dedicatedResources": resources}

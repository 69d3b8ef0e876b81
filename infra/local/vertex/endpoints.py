"""EndpointService: endpoints, what is deployed on them, and who gets how much of their traffic."""

import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from infra.local.model_registry import Predictor
from infra.local.vertex.deployment_requests import read_deployed_model
from infra.local.vertex.errors import ApiError, invalid, not_found, precondition
from infra.local.vertex.fields import read_labels, read_mask, read_message, read_text
from infra.local.vertex.listing import list_page
from infra.local.vertex.model_versions import etag, find_model, find_version
from infra.local.vertex.names import EndpointRef, ModelRef, Names
from infra.local.vertex.operations import Kind, Operations
from infra.local.vertex.serving import Route, ServedModel, Serving
from infra.local.vertex.store import Store, document, now
from infra.local.vertex.traffic import check_split, parse_split, split_at_deploy, split_at_undeploy

_V1 = "google.cloud.aiplatform.v1."
_ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
_WRITABLE = ("displayName", "description", "labels", "trafficSplit")
_OUTPUT_ONLY = ("name", "deployedModels", "createTime", "updateTime", "satisfiesPzs", "satisfiesPzi")


class Endpoints:
    """The methods of EndpointService; each takes what the URL names and the body, and returns the response's JSON."""

    def __init__(self, store: Store, names: Names, operations: Operations, serving: Serving) -> None:
        self._store = store
        self._names = names
        self._operations = operations
        self._serving = serving
        operations.add_kind(
            "deployModel",
            Kind(
                f"{_V1}DeployModelOperationMetadata",
                f"{_V1}DeployModelResponse",
                prepare=lambda request: serving.load(store.path(request["model_dir"])),
                finish=self._finish_deploy,
                stages=("STARTING_DEPLOYMENT", "SUCCESSFULLY_DEPLOYED", "FAILED_TO_DEPLOY"),
            ),
        )
        operations.add_kind(
            "undeployModel",
            Kind(
                f"{_V1}UndeployModelOperationMetadata",
                f"{_V1}UndeployModelResponse",
                prepare=lambda request: None,
                finish=self._finish_undeploy,
            ),
        )

    def load_all(self) -> None:
        """Load what is deployed and serve it: what a start does."""
        with self._store.transaction() as connection:
            rows = connection.execute("SELECT * FROM endpoints").fetchall()
            for row in rows:
                self._serve(connection, EndpointRef(row["location"], row["endpoint_id"]), document(row))

    def create(self, location: str, body: Mapping[str, Any], endpoint_id: str) -> dict[str, Any]:
        """`CreateEndpoint`; the operation is done when it returns."""
        message = read_message(body, "endpoint", accepted=_WRITABLE, ignored=(*_OUTPUT_ONLY, "etag"))
        if message.get("trafficSplit"):
            raise invalid("endpoint.traffic_split must be empty: nothing is deployed on a new Endpoint.")
        if endpoint_id and not _ENDPOINT_ID.fullmatch(endpoint_id):
            raise invalid(
                f"Invalid endpoint_id {endpoint_id!r}: up to 63 characters of [a-z0-9-] after a letter, or up to 9 digits."
            )
        ref = EndpointRef(location, endpoint_id or str(10**18 + secrets.randbelow(9 * 10**18)))
        at = now()
        endpoint: dict[str, Any] = {
            "name": self._names.endpoint(ref),
            "displayName": read_text(message, "displayName", "endpoint", required=True, limit=128),
            "description": read_text(message, "description", "endpoint"),
            "labels": read_labels(message.get("labels"), "endpoint"),
            "deployedModels": [],
            "trafficSplit": {},
            "createTime": at,
            "updateTime": at,
        }
        with self._store.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO endpoints VALUES (?, ?, ?)", (ref.location, ref.endpoint_id, json.dumps(endpoint))
                )
            except sqlite3.IntegrityError as error:
                raise ApiError("ALREADY_EXISTS", f"Endpoint {endpoint['name']} already exists.") from error
            self._serve(connection, ref, endpoint)
            response = {"@type": f"type.googleapis.com/{_V1}Endpoint", **_rendered(endpoint)}
            return self._operations.record_done(
                connection, endpoint["name"], f"{_V1}CreateEndpointOperationMetadata", response
            )

    def get(self, ref: EndpointRef) -> dict[str, Any]:
        """`GetEndpoint`."""
        with self._store.transaction() as connection:
            return _rendered(self._find(connection, ref))

    def list(self, location: str, query: Mapping[str, str]) -> dict[str, Any]:
        """`ListEndpoints`."""
        with self._store.transaction() as connection:
            rows = connection.execute("SELECT document FROM endpoints WHERE location = ?", (location,)).fetchall()
        page, token = list_page(
            [_rendered(document(row)) for row in rows],
            query,
            id_field="endpoint",
            filter_fields=("displayName",),
            order_fields=("displayName", "createTime", "updateTime"),
        )
        return {"endpoints": page, "nextPageToken": token}

    def update(self, ref: EndpointRef, body: Mapping[str, Any], mask: str) -> dict[str, Any]:
        """`UpdateEndpoint`: the masked fields; with an etag only if nobody changed the endpoint since it was read."""
        changed = read_mask(mask, _WRITABLE, "an endpoint")
        message = read_message(dict(body), "endpoint", accepted=(*_WRITABLE, "etag"), ignored=_OUTPUT_ONLY)
        with self._store.transaction() as connection:
            endpoint = self._find(connection, ref)
            if message.get("etag", "") not in ("", etag(endpoint)):
                raise ApiError("ABORTED", f"The etag of {endpoint['name']} does not match: it was changed since.")
            for field in changed:
                if field == "trafficSplit":
                    split = parse_split(message.get(field))
                    check_split(split, _deployed_ids(endpoint))
                    endpoint[field] = split
                elif field == "labels":
                    endpoint[field] = read_labels(message.get(field), "endpoint")
                else:
                    endpoint[field] = read_text(message, field, "endpoint", required=field == "displayName")
            self._write(connection, ref, endpoint)
            return _rendered(endpoint)

    def delete(self, ref: EndpointRef) -> dict[str, Any]:
        """`DeleteEndpoint`; refused while a model is deployed or being deployed on it."""
        with self._store.transaction() as connection:
            endpoint = self._find(connection, ref)
            pending = connection.execute("SELECT request FROM operations WHERE NOT done AND kind = 'deployModel'")
            if endpoint["deployedModels"] or any(
                json.loads(row["request"])["endpoint"] == endpoint["name"] for row in pending
            ):
                raise precondition(
                    f"Endpoint {endpoint['name']} has deployed or being-deployed models: undeploy them before deleting it."
                )
            connection.execute(
                "DELETE FROM endpoints WHERE location = ? AND endpoint_id = ?", (ref.location, ref.endpoint_id)
            )
            self._store.after_commit(lambda: self._serving.put_route(ref, None))
            return self._operations.record_done(connection, endpoint["name"], f"{_V1}DeleteOperationMetadata", None)

    def deploy(self, ref: EndpointRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """`DeployModel`: checks, records the operation, and loads the model in the background."""
        message = read_message(body, "request", accepted=("deployedModel", "trafficSplit"), ignored=("endpoint",))
        deployed = read_deployed_model(message.get("deployedModel"))
        split = parse_split(message.get("trafficSplit"))
        with self._store.transaction() as connection:
            endpoint = self._find(connection, ref)
            version = find_version(connection, self._names, self._names.parse_model(deployed["model"]))
            model_ref = ModelRef(version["location"], version["model_id"])
            new_id = deployed.get("id") or str(10**18 + secrets.randbelow(9 * 10**18))
            _check_free(endpoint, new_id)
            split_at_deploy(endpoint["trafficSplit"], split, new_id, _deployed_ids(endpoint))
            model = document(find_model(connection, self._names, model_ref))
            request = {
                "endpoint": endpoint["name"],
                "location": model_ref.location,
                "model_id": model_ref.model_id,
                "version": str(version["version"]),
                "model_dir": version["model_dir"],
                "traffic_split": split,
                "deployed_model": {
                    **deployed,
                    "id": new_id,
                    "model": self._names.model(model_ref),
                    "modelVersionId": str(version["version"]),
                    "displayName": deployed.get("displayName") or model["displayName"],
                },
            }
            operation = self._operations.start(connection, endpoint["name"], ref.location, "deployModel", request)
            self._store.after_commit(lambda: self._operations.launch(operation["name"]))
        return operation

    def undeploy(self, ref: EndpointRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """`UndeployModel`: checks, records the operation, and takes the model away in the background."""
        message = read_message(body, "request", accepted=("deployedModelId", "trafficSplit"), ignored=("endpoint",))
        leaving = read_text(message, "deployedModelId", "request", required=True)
        split = parse_split(message.get("trafficSplit"))
        with self._store.transaction() as connection:
            endpoint = self._find(connection, ref)
            _check_deployed(endpoint, leaving)
            split_at_undeploy(endpoint["trafficSplit"], split, leaving, _deployed_ids(endpoint))
            request = {"endpoint": endpoint["name"], "deployed_model_id": leaving, "traffic_split": split}
            operation = self._operations.start(connection, endpoint["name"], ref.location, "undeployModel", request)
            self._store.after_commit(lambda: self._operations.launch(operation["name"]))
        return operation

    def mutate_deployed_model(self, ref: EndpointRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """`MutateDeployedModel`: the replica counts, which locally are kept and mean nothing."""
        message = read_message(body, "request", accepted=("deployedModel", "updateMask"), ignored=("endpoint",))
        given = read_deployed_model(message.get("deployedModel"), mutation=True)
        counts = ("minReplicaCount", "maxReplicaCount")
        mask = read_mask(
            str(message.get("updateMask", "")).replace("dedicatedResources.", "").replace("dedicated_resources.", ""),
            counts,
            "a deployed model",
        )
        with self._store.transaction() as connection:
            endpoint = self._find(connection, ref)
            _check_deployed(endpoint, given.get("id", ""))
            deployed = next(item for item in endpoint["deployedModels"] if item["id"] == given["id"])
            deployed["dedicatedResources"] |= {
                field: given.get("dedicatedResources", {}).get(field, 0) for field in mask
            }
            self._write(connection, ref, endpoint)
            response = {"@type": f"type.googleapis.com/{_V1}MutateDeployedModelResponse", "deployedModel": deployed}
            return self._operations.record_done(
                connection, endpoint["name"], f"{_V1}MutateDeployedModelOperationMetadata", response
            )

    def _finish_deploy(
        self, connection: sqlite3.Connection, request: dict[str, Any], predictor: Predictor
    ) -> dict[str, Any]:
        ref = self._names.parse_endpoint(request["endpoint"])
        endpoint = self._find(connection, ref)
        deployed = request["deployed_model"] | {"createTime": now()}
        _check_free(endpoint, deployed["id"])  # another deployment may have taken the ID meanwhile
        endpoint["trafficSplit"] = split_at_deploy(
            endpoint["trafficSplit"], request["traffic_split"], deployed["id"], _deployed_ids(endpoint)
        )
        endpoint["deployedModels"].append(deployed)
        self._write(connection, ref, endpoint)
        return {"deployedModel": deployed}

    def _finish_undeploy(self, connection: sqlite3.Connection, request: dict[str, Any], _: None) -> dict[str, Any]:
        ref, leaving = self._names.parse_endpoint(request["endpoint"]), request["deployed_model_id"]
        endpoint = self._find(connection, ref)
        _check_deployed(endpoint, leaving)
        endpoint["trafficSplit"] = split_at_undeploy(
            endpoint["trafficSplit"], request["traffic_split"], leaving, _deployed_ids(endpoint)
        )
        endpoint["deployedModels"] = [item for item in endpoint["deployedModels"] if item["id"] != leaving]
        self._write(connection, ref, endpoint)
        return {}

    def _find(self, connection: sqlite3.Connection, ref: EndpointRef) -> dict[str, Any]:
        row = connection.execute(
            "SELECT document FROM endpoints WHERE location = ? AND endpoint_id = ?", (ref.location, ref.endpoint_id)
        ).fetchone()
        if row is None:
            raise not_found(f"Endpoint `{self._names.endpoint(ref)}` not found.")
        return document(row)

    def _write(self, connection: sqlite3.Connection, ref: EndpointRef, endpoint: dict[str, Any]) -> None:
        endpoint["updateTime"] = now()
        connection.execute(
            "UPDATE endpoints SET document = ? WHERE location = ? AND endpoint_id = ?",
            (json.dumps(endpoint), ref.location, ref.endpoint_id),
        )
        self._serve(connection, ref, endpoint)

    def _serve(self, connection: sqlite3.Connection, ref: EndpointRef, endpoint: dict[str, Any]) -> None:
        """Serve the endpoint by what is written in its document, from the commit on."""
        served = {}
        for deployed in endpoint["deployedModels"]:
            model_ref = self._names.parse_model(f"{deployed['model']}@{deployed['modelVersionId']}")
            version = find_version(connection, self._names, model_ref)
            model = document(find_model(connection, self._names, model_ref))
            served[deployed["id"]] = ServedModel(
                deployed_model_id=deployed["id"],
                model_version=f"{model_ref.model_id}@{model_ref.version}",
                predictor=self._serving.loaded(self._store.path(version["model_dir"])),
                answer={
                    "deployedModelId": deployed["id"],
                    "model": deployed["model"],
                    "modelDisplayName": model["displayName"],
                    "modelVersionId": deployed["modelVersionId"],
                },
            )
        route = Route(served, endpoint["trafficSplit"])
        self._store.after_commit(lambda: self._serving.put_route(ref, route))


def _rendered(endpoint: dict[str, Any]) -> dict[str, Any]:
    return endpoint | {"etag": etag(endpoint)}


def _deployed_ids(endpoint: dict[str, Any]) -> list[str]:
    return [deployed["id"] for deployed in endpoint["deployedModels"]]


def _check_deployed(endpoint: dict[str, Any], deployed_model_id: str) -> None:
    if deployed_model_id not in _deployed_ids(endpoint):
        raise not_found(f"DeployedModel {deployed_model_id!r} is not deployed on {endpoint['name']}.")


def _check_free(endpoint: dict[str, Any], deployed_model_id: str) -> None:
    if deployed_model_id in _deployed_ids(endpoint):
        raise ApiError("ALREADY_EXISTS", f"DeployedModel {deployed_model_id} already exists on {endpoint['name']}.")

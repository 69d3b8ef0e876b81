"""The endpoint of a model: which versions are deployed on it, and how much of the traffic each of them gets.

Every call says what should be, compares it with what is, and does only what is missing. A deployed version bears its
version number as its ID, and an operation that runs already is waited for instead of started again; so a call that was
killed at any line, or comes twice, ends in the same state.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as api
from google.cloud import aiplatform_v1
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2

from deployment.vertex import TIMEOUT, Vertex, patience
from etl.errors import StateError, StillRunning, UnavailableError
from etl.settings import Settings
from etl.warehouse import Deadline

_POLL = 2.0


@dataclass(frozen=True)
class Deployed:
    """A version on the endpoint.

    Attributes:
        version_id: Its version in the registry.
        share: Percent of the traffic that it gets.
        deployed_id: What the endpoint calls it: the version too, unless somebody deployed it by hand.
        since: When it was deployed, as Vertex AI writes it: a version that was taken away and deployed again has another.
    """

    version_id: str
    share: int
    deployed_id: str
    since: str = ""


@dataclass(frozen=True)
class Answer:
    """What the endpoint answered.

    Attributes:
        version_id: The version that answered.
        predictions: One row an instance, as the model gives them.
    """

    version_id: str
    predictions: list[dict[str, Any]]


class Endpoint:
    """The endpoint of one model in one environment.

    Args:
        settings: The environment.
        model: The model; also its ID in the registry.
        vertex: The environment's clients, where somebody has them already.
        suffix: Set for a second endpoint of the model, such as `smoke`.
    """

    def __init__(self, settings: Settings, model: str, vertex: Vertex | None = None, *, suffix: str = "") -> None:
        self._settings = settings
        self._model = model
        self._vertex = vertex or Vertex(settings)
        self.display_name = "-".join(filter(None, (settings.endpoint, model, suffix)))
        self.endpoint_id = re.sub(r"[^a-z0-9]+", "-", self.display_name.lower()).strip("-")[:63].strip("-")
        self.name = f"{self._vertex.parent}/endpoints/{self.endpoint_id}"

    def deployed(self) -> dict[str, Deployed]:
        """The versions on the endpoint, by version; empty where there is no endpoint yet."""
        endpoint = self._get()
        return {} if endpoint is None else _deployed(endpoint)

    def deploy(self, version: str, *, share: int, deadline: Deadline | None = None) -> None:
        """Have a version on the endpoint with that share of the traffic; the others share the rest as before.

        Args:
            version: ID of the version.
            share: Percent, 0 to 100. The first version on an endpoint takes all of it, whatever is asked for.
            deadline: Until when to wait.

        Raises:
            StillRunning: It goes on beyond the deadline; the same call attaches to it.
            StateError: Vertex AI refuses.
            UnavailableError: Vertex AI cannot be reached.
        """
        deadline = deadline or Deadline.after(3600)
        self._create()
        self._wait_for_running(deadline)
        there = self.deployed()
        if version not in there:
            self._start_deploy(version, there, share, deadline)
        with self.unless_taken_away(version):
            self.set_share(version, share)

    def set_share(self, version: str, share: int) -> None:
        """Give a deployed version that share of the traffic; the others share the rest as before.

        Raises:
            StateError: The version is not deployed, or somebody else changed the endpoint meanwhile.
        """
        endpoint = self._get()
        there = {} if endpoint is None else _deployed(endpoint)
        if endpoint is None or version not in there:
            raise StateError(f"version {version} is not deployed on endpoint {self.display_name}")
        wanted = _shares(there, version, share)
        if {v: d.share for v, d in there.items()} == wanted:
            return
        # The etag makes this fail where somebody else changed the endpoint since it was read.
        split = {there[v].deployed_id: percent for v, percent in wanted.items()}
        message = aiplatform_v1.Endpoint(name=self.name, traffic_split=split, etag=endpoint.etag)
        mask = field_mask_pb2.FieldMask(paths=["traffic_split"])
        with self._vertex.errors_of(f"giving version {version} {share} % of the traffic of {self.display_name}"):
            self._vertex.endpoints.update_endpoint(endpoint=message, update_mask=mask, **patience())

    @contextmanager
    def unless_taken_away(self, version: str) -> Iterator[None]:
        """What is refused because another call has taken the version off the endpoint meanwhile may be tried again.

        Raises:
            UnavailableError: In place of a refusal, where the version is no longer there, or a third call has put it back.
        """
        before = self.deployed().get(version)
        try:
            yield
        except StateError as error:
            after = self.deployed().get(version)
            if before is not None and after is not None and after.since == before.since:
                raise
            raise UnavailableError(
                f"version {version} was taken off endpoint {self.display_name} by another call meanwhile"
            ) from error

    def undeploy_idle(self, *, keep: Sequence[str] = (), deadline: Deadline | None = None) -> list[str]:
        """Take away the versions that have no traffic, except those to keep.

        Returns:
            The versions that were taken away.
        """
        deadline = deadline or Deadline.after(3600)
        self._wait_for_running(deadline)
        idle = [d.version_id for d in self.deployed().values() if d.share == 0 and d.version_id not in keep]
        for version in idle:
            self.undeploy(version, deadline=deadline)
        return idle

    def clear(self, *, deadline: Deadline | None = None) -> None:
        """Take every version away, also one that is just being deployed."""
        deadline = deadline or Deadline.after(3600)
        if self._get() is None:
            return
        self._wait_for_running(deadline)
        for there in sorted(self.deployed().values(), key=lambda d: d.share):  # the one with the traffic last
            self.undeploy(there.version_id, deadline=deadline)

    def undeploy(self, version: str, *, deadline: Deadline | None = None) -> None:
        """Take a version away; one with traffic only if it is the last."""
        deadline = deadline or Deadline.after(3600)
        self._wait_for_running(deadline)
        leaving = self.deployed().get(version)
        if leaving is None:
            return
        try:
            with self._vertex.errors_of(f"undeploying version {version} from {self.display_name}"):
                operation = self._vertex.endpoints.undeploy_model(
                    endpoint=self.name, deployed_model_id=leaving.deployed_id, timeout=TIMEOUT
                )
            self._wait(operation.operation, deadline)
        except StateError as error:
            if not self._is_deployed(version, deadline):
                return
            if "not deployed" in str(error):  # a twin took it away, and another has deployed it again since
                raise UnavailableError(str(error)) from error
            raise

    def predict(self, instances: Sequence[Mapping[str, Any]], *, timeout: float = TIMEOUT) -> Answer:
        """Ask the endpoint.

        Args:
            instances: One mapping of feature to value each; numbers, strings, booleans or None.
            timeout: Seconds.

        Raises:
            UnavailableError: The endpoint cannot be reached or failed inside.
            StateError: The endpoint refuses the instances.
        """
        with self._vertex.errors_of(f"asking endpoint {self.display_name}"):
            answer = self._vertex.post(f"{self.name}:predict", {"instances": list(instances)}, timeout=timeout)
        return Answer(str(answer.get("modelVersionId", "")), list(answer.get("predictions", [])))

    def _get(self) -> aiplatform_v1.Endpoint | None:
        with self._vertex.errors_of(f"looking at endpoint {self.display_name}"):
            try:
                return self._vertex.endpoints.get_endpoint(name=self.name, **patience())
            except api.NotFound:
                return None

    def _create(self) -> None:
        if self._get() is not None:
            return
        with self._vertex.errors_of(f"creating endpoint {self.display_name}"):
            try:
                self._vertex.endpoints.create_endpoint(
                    parent=self._vertex.parent,
                    endpoint=aiplatform_v1.Endpoint(display_name=self.display_name, labels={"application": "bqloop"}),
                    endpoint_id=self.endpoint_id,
                    timeout=TIMEOUT,
                ).result(timeout=300)  # type: ignore[no-untyped-call]  # google.api_core ships without types
            except api.Conflict:  # over REST: somebody was faster, or this call's own first try got through
                if self._get() is None:
                    raise

    def _start_deploy(self, version: str, there: Mapping[str, Deployed], share: int, deadline: Deadline) -> None:
        serving = self._settings.serving
        deployed = aiplatform_v1.DeployedModel(
            id=version,
            model=f"{self._vertex.parent}/models/{self._model}@{version}",
            display_name=f"{self._model}@{version}",
            dedicated_resources=aiplatform_v1.DedicatedResources(
                machine_spec=aiplatform_v1.MachineSpec(machine_type=serving.machine_type),
                min_replica_count=serving.min_replica_count,
                max_replica_count=serving.max_replica_count,
            ),
        )
        # "0" is the API's word for the version that is just being deployed.
        shares = _shares(there, version, share)
        split = {"0" if v == version else there[v].deployed_id: percent for v, percent in shares.items()}
        try:
            with self._vertex.errors_of(f"deploying version {version} to {self.display_name}"):
                operation = self._vertex.endpoints.deploy_model(
                    endpoint=self.name, deployed_model=deployed, traffic_split=split, timeout=TIMEOUT
                )
            self._wait(operation.operation, deadline)
        except StateError as error:
            if self._is_deployed(version, deadline):
                return
            if isinstance(error.__cause__, api.Conflict):  # another call had deployed it, and took it away again
                raise UnavailableError(str(error)) from error
            raise

    def _is_deployed(self, version: str, deadline: Deadline) -> bool:
        """After a refusal: of two that want the same at the same time one is refused, and has what it wanted all the same."""
        self._wait_for_running(deadline)
        return version in self.deployed()

    def _wait_for_running(self, deadline: Deadline) -> None:
        """Wait for the operations on this endpoint that somebody, perhaps this call's first life, has started."""
        with self._vertex.errors_of(f"looking for operations on {self.display_name}"):
            request = operations_pb2.ListOperationsRequest(name=self.name)
            listed = self._vertex.endpoints.list_operations(request, timeout=TIMEOUT)
        for operation in listed.operations:
            if not operation.done:
                self._wait(operation, deadline, fails=False)

    def _wait(self, operation: operations_pb2.Operation, deadline: Deadline, *, fails: bool = True) -> None:
        wait = 0.05
        while not operation.done:
            if not deadline.remaining:
                raise StillRunning(
                    f"Vertex AI operation {operation.name} is still running; the next call attaches to it"
                )
            time.sleep(min(wait, deadline.remaining))
            wait = min(2 * wait, _POLL)
            with self._vertex.errors_of(f"waiting for operation {operation.name}"):
                request = operations_pb2.GetOperationRequest(name=operation.name)
                operation = self._vertex.endpoints.get_operation(request, timeout=TIMEOUT)
        if fails and operation.HasField("error"):
            with self._vertex.errors_of(f"carrying out {operation.name}"):
                raise api.from_grpc_status(operation.error.code, operation.error.message)  # type: ignore[no-untyped-call]  # as above


def probability_of(prediction: Mapping[str, Any], label: str, positive: bool | int | str) -> float:
    """The probability of the positive class in one row of an answer.

    Values and probabilities pair up by position, in no promised order.

    Raises:
        StateError: The row has no such class.

    >>> probability_of({"hit_probs": [0.2, 0.8], "hit_values": ["true", "false"]}, "hit", True)
    0.2
    """
    values, probabilities = prediction.get(f"{label}_values", []), prediction.get(f"{label}_probs", [])
    for value, probability in zip(values, probabilities, strict=True):
        if str(value).lower() == str(positive).lower():
            return float(probability)
    raise StateError(f"the endpoint's answer has no probability of {label} = {positive}; it has {sorted(prediction)}")


def number_of(prediction: Mapping[str, Any], label: str) -> float:
    """What a regression says in one row of an answer: trees give a number, a linear model a list of one.

    Raises:
        StateError: The row has no such answer.

    >>> number_of({"predicted_fare": [12.5]}, "fare")
    12.5
    """
    said = prediction.get(f"predicted_{label}")
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    if not isinstance(said, int | float):
        raise StateError(f"the endpoint's answer has no number predicted_{label}; it has {sorted(prediction)}")
    return float(said)


def _deployed(endpoint: aiplatform_v1.Endpoint) -> dict[str, Deployed]:
    return {
        deployed.model_version_id: Deployed(
            deployed.model_version_id,
            endpoint.traffic_split.get(deployed.id, 0),
            deployed.id,
            str(deployed.create_time),
        )
        for deployed in endpoint.deployed_models
    }


def _shares(there: Mapping[str, Deployed], version: str, share: int) -> dict[str, int]:
    """Percent by version with `version` at `share`, the others in proportion to what they have; they add up to 100.

    >>> _shares({"1": Deployed("1", 100, "1")}, "2", 10)
    {'1': 90, '2': 10}
    >>> _shares({"1": Deployed("1", 70, "1"), "2": Deployed("2", 30, "2")}, "3", 5)
    {'1': 67, '2': 28, '3': 5}
    """
    others = {v: d.share for v, d in there.items() if v != version}
    had = sum(others.values())
    if not others or (share < 100 and not had):
        # Nobody else has traffic to keep, and shares have to add up to 100.
        return {**dict.fromkeys(others, 0), version: 100}
    left = 100 - share
    split = {v: left * percent // had if had else 0 for v, percent in others.items()}
    # What rounding left over goes to the one with the most.
    most = max(others, key=lambda v: others[v])
    split[most] += left - sum(split.values())
    return {**split, version: share}

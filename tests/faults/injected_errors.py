"""The errors that Google's services answer with, as they look on the wire.

BigQuery's reasons and codes: https://cloud.google.com/bigquery/docs/error-messages; Vertex AI's and Pub/Sub's are
google.rpc.Code. `passing` tells whether trying again, later and without a change, mends it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True)
class InjectedError:
    """One error of one service.

    Attributes:
        service: bigquery, vertex, token or pubsub.
        name: BigQuery's reason, or the gRPC code.
        code: HTTP status; 0 stands for a connection that breaks.
        passing: A later try mends it.
        fails_job: The call is accepted, and the job that it starts fails with this reason.
    """

    service: str
    name: str
    code: int
    passing: bool
    fails_job: bool = False

    @property
    def identity(self) -> str:
        """How a scenario names it: `bigquery.backendError`, `bigquery.job.jobInternalError`."""
        return ".".join([self.service, *(["job"] if self.fails_job else []), self.name])

    def body(self) -> bytes:
        """The answer's JSON."""
        if self.service == "token":
            return json.dumps({"error": self.name, "error_description": "injected"}).encode()
        error: dict[str, Any] = {"code": self.code, "message": f"Injected {self.name}", "status": self.name}
        if self.service == "bigquery":
            error["errors"] = [{"reason": self.name, "message": error["message"], "domain": "global"}]
        return json.dumps({"error": error}).encode()


_BIGQUERY_PASSING = {
    "backendError": 503,
    "internalError": 500,
    "rateLimitExceeded": 403,
    "quotaExceeded": 403,
    "jobRateLimitExceeded": 400,
    "tableUnavailable": 400,
    "timeout": 400,
    "connectionReset": 0,
}
_BIGQUERY_LASTING = {"invalidQuery": 400, "notFound": 404, "accessDenied": 403, "billingNotEnabled": 403}
_JOB_PASSING = {"jobInternalError": 400, "backendError": 503, "jobBackendError": 400, "stopped": 200}
_JOB_LASTING = {"invalidQuery": 400, "resourcesExceeded": 400}
_RPC_PASSING = {
    "UNAVAILABLE": 503,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "DEADLINE_EXCEEDED": 504,
    "ABORTED": 409,
}
_RPC_LASTING = {"FAILED_PRECONDITION": 400, "PERMISSION_DENIED": 403, "INVALID_ARGUMENT": 400}

ERRORS: tuple[InjectedError, ...] = (
    *(InjectedError("bigquery", name, code, True) for name, code in _BIGQUERY_PASSING.items()),
    *(InjectedError("bigquery", name, code, False) for name, code in _BIGQUERY_LASTING.items()),
    *(InjectedError("bigquery", name, code, True, fails_job=True) for name, code in _JOB_PASSING.items()),
    *(InjectedError("bigquery", name, code, False, fails_job=True) for name, code in _JOB_LASTING.items()),
    *(InjectedError("vertex", name, code, True) for name, code in _RPC_PASSING.items()),
    InjectedError("vertex", "connectionReset", 0, True),
    *(InjectedError("vertex", name, code, False) for name, code in _RPC_LASTING.items()),
    *(InjectedError("pubsub", name, code, True) for name, code in _RPC_PASSING.items()),
    *(InjectedError("pubsub", name, code, False) for name, code in _RPC_LASTING.items()),
    InjectedError("token", "unavailable", 503, True),
    InjectedError("token", "connectionReset", 0, True),
)


def error_named(identity: str) -> InjectedError:
    """The error of that identity."""
    return next(error for error in ERRORS if error.identity == identity)


class InjectedRpcError(grpc.RpcError, grpc.Call):  # type: ignore[misc]  # grpc ships without types
    """An error as gRPC raises it."""

    def __init__(self, error: InjectedError) -> None:
        super().__init__(f"Injected {error.name}")
        self._code = getattr(grpc.StatusCode, error.name)

    def code(self) -> Any:
        return self._code

    def result(self, timeout: float | None = None) -> Any:
        raise self

    def exception(self, timeout: float | None = None) -> Exception:
        return self

    def details(self) -> str:
        return str(self)

    def initial_metadata(self) -> tuple[Any, ...]:
        return ()

    def trailing_metadata(self) -> tuple[Any, ...]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> None:
        return None

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Any) -> bool:
        return False

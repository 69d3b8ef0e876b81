"""Errors on the wire in BigQuery's shape: reason, location, message, and the HTTP status that goes with the reason.

DomainError            bqemulator's base; renders itself as an HTTP error
└── BigQueryError      any reason that BigQuery names, for what bqemulator has no class for
"""

from __future__ import annotations

from typing import Any

from bqemulator.domain.errors import DomainError, ErrorDetail

#: https://cloud.google.com/bigquery/docs/error-messages
HTTP_STATUS_OF_REASON = {
    "accessDenied": 403,
    "backendError": 503,
    "bytesBilledLimitExceeded": 400,
    "duplicate": 409,
    "internalError": 500,
    "invalid": 400,
    "invalidQuery": 400,
    "jobInternalError": 400,
    "notFound": 404,
    "notImplemented": 501,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "resourceInUse": 400,
    "resourcesExceeded": 400,
    "stopped": 200,
}

_GRPC_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class BigQueryError(DomainError):
    """An error with the reason that BigQuery gives."""

    def __init__(self, reason: str, message: str, *, location: str | None = None) -> None:
        super().__init__(message, location=location, details=[ErrorDetail(reason, message, location=location)])
        # bqemulator has a class for each reason; these shadow the class's own for this one error.
        status = HTTP_STATUS_OF_REASON.get(reason, 400)
        vars(self).update(
            bq_reason=reason, http_status=status, grpc_status_name=_GRPC_STATUS.get(status, "INVALID_ARGUMENT")
        )


def error_proto(error: DomainError) -> dict[str, Any]:
    """`status.errorResult` of a job that failed with `error`."""
    proto: dict[str, Any] = {"reason": error.bq_reason, "message": error.message}
    location = error.location or next((d.location for d in error.details if d.location), None)
    if location:
        proto["location"] = location
    return proto


def error_of_proto(proto: dict[str, Any]) -> BigQueryError:
    """The HTTP error that reading the results of a failed job answers with."""
    return BigQueryError(proto["reason"], proto["message"], location=proto.get("location"))

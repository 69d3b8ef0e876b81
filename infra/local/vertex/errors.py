"""Google's way of saying no: a canonical status, its HTTP code, and the JSON body that `google.api_core` reads."""

import json
from typing import Any

_HTTP_CODES = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}

# google.rpc.Code: the number under which an operation reports the same status.
_RPC_CODES = {
    "CANCELLED": 1,
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}


class ApiError(Exception):
    """A request that is refused with one of Google's canonical statuses."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def http_code(self) -> int:
        """The HTTP code of the status."""
        return _HTTP_CODES[self.status]

    def body(self) -> bytes:
        """The response body, `{"error": {"code", "message", "status"}}`."""
        error = {"code": self.http_code, "message": self.message, "status": self.status}
        return json.dumps({"error": error}).encode()

    def rpc_status(self) -> dict[str, Any]:
        """The `google.rpc.Status` that a failed operation carries."""
        return {"code": _RPC_CODES[self.status], "message": self.message}


def invalid(message: str) -> ApiError:
    """The request itself is wrong, whatever the state."""
    return ApiError("INVALID_ARGUMENT", message)


def precondition(message: str) -> ApiError:
    """The request does not fit the present state."""
    return ApiError("FAILED_PRECONDITION", message)


def not_found(message: str) -> ApiError:
    """There is no such resource."""
    return ApiError("NOT_FOUND", message)


def internal(error: Exception) -> ApiError:
    """A fault of this service: whatever it was, the client gets a proper answer and not a broken connection."""
    return ApiError("INTERNAL", f"{type(error).__name__}: {error}")

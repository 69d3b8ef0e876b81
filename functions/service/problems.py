"""What goes wrong with a request, as RFC 9457 problem details: a status, what happened, and which fields are at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError


@dataclass(frozen=True)
class Fault:
    """One field at fault.

    Attributes:
        pointer: JSON pointer into the request's body, "" for all of it.
        detail: What is wrong with it.
    """

    pointer: str
    detail: str


class Problem(Exception):  # noqa: N818 -- the RFC's own name
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        detail: What happened, for the caller.
        faults: The fields at fault.
        retry_after: Seconds after which the same request may succeed.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, faults: Sequence[Fault] = (), *, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after = retry_after

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as RFC 9457 writes it."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "instance": f"urn:uuid:{request_id}",
        }
        if self.faults:
            document["errors"] = [{"pointer": f"#{f.pointer}", "detail": f.detail} for f in self.faults]
        return document

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def of_fields(faults: Sequence[Fault], status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> Problem:
    """The problem of a body whose fields are wrong; the detail names the first."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Problem(status, f"{first.pointer or 'body'}: {first.detail}{more}", faults)


def of_validation(error: ValidationError) -> Problem:
    """The problem of a body that pydantic refuses: 400 where it is no JSON, else 422 with the fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found and found[0]["type"] == "json_invalid":
        return Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {found[0]['msg']}")
    faults = [Fault("".join(f"/{_escaped(part)}" for part in e["loc"]), e["msg"]) for e in found[:20]]
    return of_fields(faults)


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")

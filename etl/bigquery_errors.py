"""What BigQuery's errors mean to the loop: wrong (it stays so), or busy (it is worth another try)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from google.api_core import exceptions as api

from etl.errors import BqloopError, StatementError, UnavailableError
from etl.templates import RenderedSql

# BigQuery's own table of error reasons: https://cloud.google.com/bigquery/docs/error-messages
RETRYABLE_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
    }
)
_UNAVAILABLE = (api.TooManyRequests, api.ServerError, api.RetryError, ConnectionError)
_POSITION = re.compile(r"\[(\d+):(\d+)\]")


def sorted_out(error: Exception, statement: RenderedSql | None, address: str) -> BqloopError:
    """The error of ours that says what to do about one of Google's.

    Args:
        error: What a call of Google's client raised.
        statement: What was to be run; None where the call was about a table or a job.
        address: Of BigQuery, as a person is to be told.
    """
    if isinstance(error, BqloopError):
        return error
    reasons = {e.get("reason", "") for e in getattr(error, "errors", None) or () if isinstance(e, Mapping)}
    busy = isinstance(error, _UNAVAILABLE) or bool(reasons & RETRYABLE_REASONS)
    if busy or not isinstance(error, api.GoogleAPICallError):
        return UnavailableError(f"BigQuery at {address} cannot be used just now: {_first_line(error)}")
    reason = next(iter(sorted(reasons - {""})), type(error).__name__)
    message = _told_by_google(error)
    if statement is None:
        return StatementError(message, reason=reason)
    found = _POSITION.search(message)
    line = int(found[1]) if found else 1
    shown = f"\nThe rendered statement there:\n{statement.around(line)}" if found else ""
    return StatementError(
        f"{statement.place(line)}: {message}{shown}\n"
        f"You can see the whole statement with: bqloop sql render {statement.path}",
        reason=reason,
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _told_by_google(error: api.GoogleAPICallError) -> str:
    """What BigQuery says, without the address of the request and the job's ID that the client puts around it."""
    told = [str(e["message"]) for e in error.errors or () if isinstance(e, Mapping) and e.get("message")]
    return told[0] if told else re.sub(r"^[A-Z]+ https?://\S+: ", "", str(error.message))

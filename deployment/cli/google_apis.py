"""Google's administrative APIs over REST, for whoever only looks: one GET or question at a time, and what came of it.

These APIs describe a project and have nothing to do with the loop itself, so that no client library of theirs is shipped
for the sake of `bqloop doctor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from deployment.vertex import SCOPE
from etl.errors import ConfigurationError, StateError, UnavailableError

_TIMEOUT = 20.0
# More pages than this are no environment of bqloop's.
_PAGES = 20


class NotThereError(StateError):
    """What was asked for does not exist."""


class MayNotLookError(StateError):
    """The account may not look, or the API is not enabled; the text is Google's own."""


class GoogleApis:
    """Answers of Google's APIs about one project.

    Args:
        project: The project that is asked for, and billed for the asking where a person asks.
        address: Address of an API by its name, such as `serviceusage`; Google's own by default.

    Raises:
        ConfigurationError: There are no credentials.
    """

    def __init__(self, project: str, address: Callable[[str], str] | None = None) -> None:
        try:
            credentials, _ = google.auth.default(scopes=[SCOPE])
        except GoogleAuthError as error:
            raise ConfigurationError(str(error).split(".", maxsplit=1)[0]) from error
        if not hasattr(credentials, "service_account_email") and hasattr(credentials, "with_quota_project"):
            credentials = credentials.with_quota_project(project)  # a person has no project of their own
        self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call] # untyped package
        self._address = address or (lambda api: f"https://{api}.googleapis.com")

    def get(self, api: str, path: str, params: Mapping[str, str | Sequence[str]] | None = None) -> dict[str, Any]:
        """What a GET answers.

        Raises:
            NotThereError: There is no such thing.
            MayNotLookError: The account may not look, or the API is not enabled.
            UnavailableError: The API cannot be reached, or answers with something else.
        """
        return self._ask("GET", api, path, params=params)

    def post(self, api: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a POST that changes nothing answers; errors as for `get`."""
        return self._ask("POST", api, path, json=body)

    def list(self, api: str, path: str, field: str) -> list[dict[str, Any]]:
        """All entries of a list, over all its pages; errors as for `get`."""
        found: list[dict[str, Any]] = []
        token = ""
        for _ in range(_PAGES):
            page = self.get(api, path, {"pageToken": token} if token else None)
            found += page.get(field, [])
            token = str(page.get("nextPageToken", ""))
            if not token:
                break
        return found

    def _ask(self, method: str, api: str, path: str, **rest: Any) -> dict[str, Any]:
        address = self._address(api)
        try:
            answer = self._session.request(method, f"{address}{path}", timeout=_TIMEOUT, **rest)  # type: ignore[no-untyped-call] # untyped package
            content = answer.json()
        except (requests.RequestException, GoogleAuthError, ValueError) as error:
            raise UnavailableError(f"{address} cannot be asked: {error}") from error
        if answer.ok:
            return dict(content)
        told = str(content.get("error", {}).get("message", answer.reason)).splitlines()[0]
        if answer.status_code == requests.codes.not_found:
            raise NotThereError(told)
        if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
            raise MayNotLookError(told)
        raise UnavailableError(f"{address} answers {answer.status_code}: {told}")

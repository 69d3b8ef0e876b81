"""Pushes to a stage that nobody sent whom Terraform lets in: each is tried, and refused before the code runs.

On Google Cloud IAM does this, at the door of the Cloud Run service behind each function. Here a door of the test's own asks
for what Terraform configures: a token signed by Google for exactly that function, of the one account that may invoke it.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import functions_framework
import pytest
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient
from google.auth import crypt, jwt

from functions import stage_events
from infra.local.credentials import LocalCredentials
from tests.unit.infra.gcp.conftest import PROJECT, ROOT, Evaluate

ADDRESS = "https://bqloop-check-abc.a.run.app"


class Door:
    """Cloud Run's door: the application behind it is called for whom the invoker's role lets in, and for nobody else."""

    def __init__(self, application: Any, google: str, audience: str, invoker: str) -> None:
        self._application, self._google, self._audience, self._invoker = application, google, audience, invoker
        self.let_in = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            claims = jwt.decode(token, certs=self._google, audience=self._audience)
            known = scheme == "Bearer" and claims["iss"] == "https://accounts.google.com" and claims["email_verified"]
        except (ValueError, KeyError):
            start_response("401 Unauthorized", [])
            return [b""]
        if not known or claims["email"] != self._invoker:
            start_response("403 Forbidden", [])
            return [b""]
        self.let_in += 1
        return self._application(environ, start_response)


def public_key(credentials: LocalCredentials) -> str:
    account = json.loads(credentials.path.read_text())
    key = serialization.load_pem_private_key(account["private_key"].encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCredentials]:
    made = LocalCredentials(tmp_path_factory.mktemp("google"), project=PROJECT)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCredentials]:
    made = LocalCredentials(tmp_path_factory.mktemp("stranger"), project=PROJECT)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def invoker(evaluated: Evaluate) -> str:
    """The account of `google_cloud_run_service_iam_member.delivers`, and of the subscription's token."""
    return f"{evaluated('dev')['accounts']['delivery']}@{PROJECT}.iam.gserviceaccount.com"


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages whose code was reached."""
    reached: list[str] = []
    monkeypatch.setattr(stage_events, "handle", lambda stage, _event: reached.append(stage))
    return reached


@pytest.fixture
def function(google: LocalCredentials, invoker: str) -> FlaskClient:
    app = functions_framework.create_app("check", ROOT / "functions" / "main.py", "cloudevent")
    app.wsgi_app = Door(app.wsgi_app, public_key(google), ADDRESS, invoker)
    return app.test_client()  # type: ignore[no-any-return] # untyped package


def push(function: FlaskClient, token: str | None) -> int:
    message = {"data": base64.b64encode(b'{"model": "deal_duplicates"}').decode(), "messageId": "1"}
    body = {"message": {**message, "publishTime": "2026-11-21T05:00:00Z"}, "subscription": "projects/p/subscriptions/s"}
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return function.post("/projects/p/topics/bqloop-check", json=body, headers=headers).status_code


def signed(credentials: LocalCredentials, **changed: Any) -> str:
    account = json.loads(credentials.path.read_text())
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "email_verified": True, "iat": now, "exp": now + 600, **changed}
    return jwt.encode(crypt.RSASigner.from_service_account_info(account), claims).decode()


def test_a_push_with_the_token_that_terraform_configures_is_let_in(
    function: FlaskClient, google: LocalCredentials, invoker: str, handled: list[str]
) -> None:
    assert push(function, google.identity_token(invoker, ADDRESS)) == 200
    assert handled == ["check"]


def test_a_push_without_a_token_or_with_no_token_at_all_is_refused(function: FlaskClient, handled: list[str]) -> None:
    for token in (None, "", "x", "a.b.c"):
        assert push(function, token) == 401
    header, payload = ({"alg": "none"}, {"iss": "https://accounts.google.com", "aud": ADDRESS})
    unsigned = (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (header, payload)) + "."
    )
    assert push(function, unsigned) == 401
    assert handled == []


def test_a_token_that_somebody_else_signed_is_refused(
    function: FlaskClient, stranger: LocalCredentials, invoker: str, handled: list[str]
) -> None:
    assert push(function, stranger.identity_token(invoker, ADDRESS)) == 401
    assert handled == []


def test_googles_token_for_another_function_or_of_yesterday_is_refused(
    function: FlaskClient, google: LocalCredentials, invoker: str, handled: list[str]
) -> None:
    elsewhere = google.identity_token(invoker, "https://bqloop-train-abc.a.run.app")
    now = int(time.time())
    yesterday = signed(google, aud=ADDRESS, email=invoker, iat=now - 90_000, exp=now - 86_400)
    assert [push(function, elsewhere), push(function, yesterday)] == [401, 401]
    assert handled == []


def test_googles_token_of_another_account_is_refused(
    function: FlaskClient, google: LocalCredentials, invoker: str, handled: list[str]
) -> None:
    for account in ("somebody@example.com", invoker.replace("scheduler", "pipeline-check"), f"x{invoker}"):
        assert push(function, google.identity_token(account, ADDRESS)) == 403
    assert push(function, signed(google, aud=ADDRESS, email=invoker, email_verified=False)) == 403
    assert push(function, signed(google, aud=ADDRESS, email=invoker, iss="https://accounts.example.com")) == 403
    assert handled == []


def test_the_door_asks_for_what_terraform_configures(module: dict[str, Any]) -> None:
    resources = module["resource"]
    (config,) = resources["google_pubsub_subscription"]["stage"]["push_config"]
    (token,) = config["oidc_token"]
    assert token["audience"] == "${google_cloudfunctions2_function.stage[each.key].service_config[0].uri}"
    delivery = 'google_service_account.function["delivery"]'
    assert delivery in token["service_account_email"]
    assert delivery in resources["google_cloud_run_service_iam_member"]["delivers"]["member"]

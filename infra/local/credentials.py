"""Made-up Application Default Credentials, so that unchanged code finds some: a service account nobody else knows.

The key is made on the spot and kept in the state folder; its `token_uri` is an endpoint of this process that hands out
tokens without meaning. The local services do not look at them: this opens nothing and protects nothing.
"""

import json
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from infra.local.asgi_thread import AsgiThread

_LIFETIME_SECONDS = 3600


class LocalCredentials:
    """A service-account file and its token endpoint. `path` is what GOOGLE_APPLICATION_CREDENTIALS wants."""

    def __init__(self, state_dir: Path, *, project: str) -> None:
        self.path = state_dir / "credentials.json"
        self._project = project
        self._server = AsgiThread(
            Starlette(routes=[Route("/token", self._token, methods=["POST"])]), name="local-credentials"
        )

    def start(self) -> None:
        """Serve tokens and write the file, keeping the key that is there."""
        self._server.start()
        account = self._account()
        account["token_uri"] = f"{self._server.endpoint}/token"
        draft = self.path.with_suffix(".new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(account, indent=2))
        draft.replace(self.path)

    def stop(self) -> None:
        """Stop serving; the file stays for the next start."""
        self._server.stop()

    def identity_token(self, email: str, audience: str) -> str:
        """An OIDC token as Google would sign it for a service account, signed by the made-up key instead."""
        account = json.loads(self.path.read_text())
        signer = crypt.RSASigner.from_service_account_info(account)  # type: ignore[no-untyped-call] # untyped package
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "email": email,
            "email_verified": True,
            "sub": account["client_id"],
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
        }
        return cast("bytes", jwt.encode(signer, claims)).decode()  # type: ignore[no-untyped-call] # untyped package

    def _account(self) -> dict[str, Any]:
        if self.path.exists():
            return cast("dict[str, Any]", json.loads(self.path.read_text()))
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self._project,
            "private_key_id": "local",
            "private_key": pem.decode(),
            "client_email": f"local@{self._project}.iam.gserviceaccount.com",
            "client_id": "100000000000000000000",
        }

    async def _token(self, request: Request) -> JSONResponse:
        form = await _form(request)
        claims = jwt.decode(form.get("assertion", ""), verify=False) if form.get("assertion") else {}  # type: ignore[no-untyped-call] # untyped package
        if audience := claims.get("target_audience"):
            return JSONResponse({"id_token": self.identity_token(str(claims.get("iss", "")), audience)})
        return JSONResponse({"access_token": "local", "token_type": "Bearer", "expires_in": _LIFETIME_SECONDS})


async def _form(request: Request) -> dict[str, str]:
    # Parsed by hand: Starlette's own form parser wants another package.
    return dict(parse_qsl((await request.body()).decode()))

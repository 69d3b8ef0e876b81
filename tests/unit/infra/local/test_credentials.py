import google.auth
import google.oauth2.service_account
import requests
from google.auth import jwt
from google.auth.transport.requests import Request

from infra.local.credentials import LocalCredentials


def test_application_default_credentials_work_unchanged(tmp_path, monkeypatch):
    credentials = LocalCredentials(tmp_path, project="here")
    credentials.start()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials.path))
    found, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    found.refresh(Request())
    credentials.stop()
    assert project == "here"
    assert found.token == "local"


def test_an_identity_token_can_be_had_for_an_audience(tmp_path):
    credentials = LocalCredentials(tmp_path, project="here")
    credentials.start()
    identity = google.oauth2.service_account.IDTokenCredentials.from_service_account_file(
        credentials.path, target_audience="https://service"
    )
    identity.refresh(Request())
    credentials.stop()
    assert jwt.decode(identity.token, verify=False)["aud"] == "https://service"


def test_the_key_is_kept_and_the_token_address_renewed_over_a_restart(tmp_path):
    first = LocalCredentials(tmp_path, project="here")
    first.start()
    before = first._account()
    first.stop()
    second = LocalCredentials(tmp_path, project="here")
    second.start()
    after = second._account()
    answer = requests.post(after["token_uri"], timeout=5).json()
    second.stop()
    assert after["private_key"] == before["private_key"]
    assert answer["access_token"] == "local"


def test_the_key_is_readable_by_its_owner_only(tmp_path):
    credentials = LocalCredentials(tmp_path, project="here")
    credentials.start()
    credentials.stop()
    assert credentials.path.stat().st_mode & 0o077 == 0

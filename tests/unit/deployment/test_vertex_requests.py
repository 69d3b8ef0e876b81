"""The plain request to Vertex AI goes the way that the environment prescribes to all clients."""

import pytest
import urllib3

from deployment.vertex import _pool

GOOGLE = "https://europe-west1-aiplatform.googleapis.com"


@pytest.fixture(autouse=True)
def nothing_prescribed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    pool = _pool(GOOGLE)
    assert isinstance(pool, urllib3.ProxyManager)
    assert pool.proxy is not None
    assert pool.proxy.url == "http://proxy.example:3128"


def test_past_the_proxy_to_what_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,googleapis.com")
    assert not isinstance(_pool(GOOGLE), urllib3.ProxyManager)


def test_with_the_authorities_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pool(GOOGLE).connection_pool_kw["cert_reqs"] == "CERT_REQUIRED"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/house.pem")
    assert _pool(GOOGLE).connection_pool_kw["ca_certs"] == "/etc/house.pem"

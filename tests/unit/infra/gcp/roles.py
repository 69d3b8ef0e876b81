"""A guard between Google's clients and the local cloud, which knows what each call needs and what each role gives.

It answers 403 to what the account at work may not do, as Google's IAM would, and remembers what was needed. What a role
gives is told in the words of this table; Vertex AI's are Google's own permissions, one a method of its discovery document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from google.api_core import exceptions as api
from google.pubsub_v1 import PublisherClient

from tests.unit.infra.gcp.discovery import Request, method_id

Grants = Mapping[str, frozenset[str]]

# https://cloud.google.com/bigquery/docs/access-control, in two words a dataset.
_BIGQUERY = {"roles/bigquery.dataViewer": ("read",), "roles/bigquery.dataEditor": ("read", "write")}
_ASKING = {"endpoints.get", "endpoints.list", "models.get", "models.list", "modelEvaluations.list"}
_CHANGING = {
    "endpoints.create",
    "endpoints.delete",
    "endpoints.deploy",
    "endpoints.predict",
    "endpoints.undeploy",
    "endpoints.update",
    "modelEvaluations.import",
    "models.delete",
    "models.update",
    "models.upload",
}
# https://cloud.google.com/vertex-ai/docs/general/access-control
_VERTEX = {"roles/aiplatform.viewer": _ASKING, "roles/aiplatform.user": _ASKING | _CHANGING}
# The permission that a method asks for: https://cloud.google.com/vertex-ai/docs/general/iam-permissions
_PERMISSIONS = {
    "endpoints.create": "endpoints.create",
    "endpoints.delete": "endpoints.delete",
    "endpoints.deployModel": "endpoints.deploy",
    "endpoints.get": "endpoints.get",
    "endpoints.list": "endpoints.list",
    "endpoints.mutateDeployedModel": "endpoints.update",
    "endpoints.operations.get": "endpoints.get",
    "endpoints.operations.list": "endpoints.get",
    "endpoints.patch": "endpoints.update",
    "endpoints.predict": "endpoints.predict",
    "endpoints.rawPredict": "endpoints.predict",
    "endpoints.undeployModel": "endpoints.undeploy",
    "models.deleteVersion": "models.delete",
    "models.evaluations.import": "modelEvaluations.import",
    "models.evaluations.list": "modelEvaluations.list",
    "models.get": "models.get",
    "models.listVersions": "models.list",
    "models.mergeVersionAliases": "models.update",
    "models.operations.get": "models.get",
    "models.patch": "models.update",
}
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_NAME = re.compile(r"`[\w-]+\.(bqloop(?:_ledger)?)\.")
_WRITTEN = re.compile(
    r"\b(?:CREATE|INSERT INTO|DELETE FROM|UPDATE|MERGE|DROP|ALTER|TRUNCATE)\b[^`]*`([^`]+)`", re.IGNORECASE
)


def grants_of(here: Mapping[str, Any], asks: list[str], account: str) -> Grants:
    """What Terraform gives an account: by the name of each grant what it lets the account do.

    Args:
        here: The module's locals, as Terraform evaluates them.
        asks: Permissions of the module's own role for the prediction service.
        account: Name of a function.
    """
    service = account in here["services"]
    ledger = "roles/bigquery.dataViewer" if service else "roles/bigquery.dataEditor"
    given = {
        "roles/bigquery.jobUser": {"jobs"},
        f"{ledger} on the ledger": {f"ledger {right}" for right in _BIGQUERY[ledger]},
    }
    if role := here["deals_role"][account]:
        given[f"{role} on the deals"] = {f"deals {right}" for right in _BIGQUERY[role]}
    for table in here["table_writes"].get(account, ()):
        given[f"roles/bigquery.dataEditor on {table}"] = {f"deals write {table}"}
    if role := here["vertex_role"].get(account, ""):
        given[role] = {f"aiplatform.{permission}" for permission in _VERTEX[role]}
    if service:
        given["bqloop_asks"] = set(asks)
    for pair in here["publishes"].values():
        if pair["from"] == account:
            given[f"roles/pubsub.publisher on {pair['topic']}"] = {f"publish {pair['topic']}"}
    return {name: frozenset(rights) for name, rights in given.items()}


@dataclass
class Guard:
    """Lets through what the account at work may do.

    Attributes:
        vertex: Vertex AI's address.
        grants: Of the account at work; None lets everything through, as for a person.
        needed: What was asked for since `enter`.
        denied: What of it the account may not do.
    """

    vertex: str
    grants: Grants | None = None
    needed: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)

    @contextmanager
    def account(self, grants: Grants, *, without: str = "") -> Iterator[None]:
        """Be that account within the block, one of its grants taken away."""
        self.grants = {name: rights for name, rights in grants.items() if name != without}
        self.needed, self.denied = set(), set()
        try:
            yield
        finally:
            self.grants = None

    def unused(self, grants: Grants) -> set[str]:
        """Grants that nothing since `account` has needed."""
        return {name for name, rights in grants.items() if not any(_covers(r, n) for r in rights for n in self.needed)}

    def lacking(self, needs: set[str]) -> set[str]:
        """What of `needs` the account may not do; remembered."""
        if self.grants is None:
            return set()
        self.needed |= needs
        rights = frozenset().union(*self.grants.values())
        lacking = {need for need in needs if not any(_covers(right, need) for right in rights)}
        self.denied |= lacking
        return lacking

    def needs(self, method: str, url: str, body: Any) -> set[str]:
        """What a request needs."""
        if url.startswith(self.vertex):
            called = method_id(Request("aiplatform.v1", method, urlsplit(url).path))
            return {f"aiplatform.{_PERMISSIONS[called.removeprefix('aiplatform.projects.locations.')]}"}
        found = {"jobs"} if "/jobs" in url or "/queries" in url else set()
        query = ""
        if body and "/jobs" in url and method == "POST":
            query = json.loads(body).get("configuration", {}).get("query", {}).get("query", "")
        text = _COMMENT.sub("", query)
        for dataset in set(_NAME.findall(text)) | set(re.findall(r"/datasets/(\w+)/", url)):
            found.add(f"{_short(dataset)} read")
        for name in _WRITTEN.findall(text):
            _, dataset, table = name.split(".")
            found.add(f"{_short(dataset)} write {table}")
        if "model_registry" in text.lower():
            found.add("aiplatform.models.upload")  # CREATE MODEL registers the version with the account's own roles
        return found


@contextmanager
def guarded(vertex: str) -> Iterator[Guard]:
    """Stand before every request to BigQuery and Vertex AI, and every message to Pub/Sub, within the block."""
    guard = Guard(vertex)
    ask, publish = requests.Session.request, PublisherClient.publish

    def asked(session: requests.Session, method: str, url: str, **rest: Any) -> requests.Response:
        if "/token" in url:
            return ask(session, method, url, **rest)
        lacking = guard.lacking(guard.needs(method, url, rest.get("data"))) if guard.grants is not None else set()
        return _refusal(method, url, lacking) if lacking else ask(session, method, url, **rest)

    def published(client: PublisherClient, *args: Any, **rest: Any) -> Any:
        topic = str(rest.get("topic") or rest["request"].topic).rsplit("/", 1)[-1]
        if guard.lacking({f"publish {topic}"}):
            raise api.PermissionDenied(f"lacks pubsub.topics.publish on {topic}")
        return publish(client, *args, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "request", asked)
        patch.setattr(PublisherClient, "publish", published)
        yield guard


def _covers(right: str, need: str) -> bool:
    """A right on a dataset is one on each of its tables."""
    return need == right or need.startswith(f"{right} ")


def _short(dataset: str) -> str:
    return "ledger" if dataset.endswith("_ledger") else "deals"


def _refusal(method: str, url: str, lacking: set[str]) -> requests.Response:
    told = f"lacks {', '.join(sorted(lacking))}"
    answer = requests.Response()
    answer.request = requests.Request(method, url).prepare()
    answer.status_code = 403
    answer.url = url
    answer.headers["Content-Type"] = "application/json"
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": told}
    error["errors"] = [{"reason": "accessDenied", "message": told}]  # type: ignore[assignment] # as BigQuery tells it
    answer._content = json.dumps({"error": error}).encode()
    return answer

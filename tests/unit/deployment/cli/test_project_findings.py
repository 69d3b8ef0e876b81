"""What doctor says about a Google Cloud project: whole, with one part after the other broken, and where it may not look.

Google's administrative APIs are a server that answers as they do: what is asked of it, and what it answers, is held
against their discovery documents.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployment.cli import google_apis
from deployment.cli.google_apis import GoogleApis
from deployment.cli.installation import Finding
from deployment.cli.project import APIS, PERMISSIONS, examine_project
from etl.errors import ConfigurationError
from etl.settings import Settings, load_settings
from infra.local.credentials import LocalCredentials
from tests.unit.infra.gcp.discovery import faults, recording

PROJECT, COMMIT = "example-project-1", "a" * 40
ROOT = Path(__file__).resolve().parents[4]
DOCUMENTS = {
    "serviceusage/v1": "serviceusage.v1",
    "serviceusage/v1beta1": "serviceusage.v1beta1",
    "cloudresourcemanager/v3": "cloudresourcemanager.v3",
    "bigquery/bigquery": "bigquery.v2",
    "cloudfunctions/v2": "cloudfunctions.v2",
    "cloudscheduler/v1": "cloudscheduler.v1",
    "run/v2": "run.v2",
}
QUERIES = "bigquery.googleapis.com%2Fquota%2Fquery%2Fusage"
CPUS = "aiplatform.googleapis.com%2Fcustom_model_serving_cpus"


class Google:
    """The administrative APIs: an answer by the end of a path; a number is a status."""

    def __init__(self, settings: Settings) -> None:
        place = f"projects/{PROJECT}/locations/{settings.region}"
        stages = [n for n, f in settings.functions.items() if f.trigger == "pubsub"]
        function = {"state": "ACTIVE", "serviceConfig": {"environmentVariables": {"BQLOOP_GIT_SHA": COMMIT}}}
        self.answers: dict[str, Any] = {
            "services:batchGet": {
                "services": [{"name": f"projects/1/services/{api}.googleapis.com", "state": "ENABLED"} for api in APIS]
            },
            ":testIamPermissions": {"permissions": list(PERMISSIONS)},
            QUERIES: {
                "consumerQuotaLimits": [
                    {"unit": "1/d/{project}", "quotaBuckets": [{"effectiveLimit": str(2**63 - 1)}]},
                    {"unit": "1/d/{project}/{user}", "quotaBuckets": [{"effectiveLimit": "1"}]},
                ]
            },
            CPUS: {
                "consumerQuotaLimits": [
                    {
                        "unit": "1/{project}/{region}",
                        "quotaBuckets": [
                            {"effectiveLimit": "20"},
                            {"effectiveLimit": "200", "dimensions": {"region": settings.region}},
                            {"effectiveLimit": "1", "dimensions": {"region": "mars-west1"}},
                        ],
                    }
                ]
            },
            f"datasets/{settings.dataset}": {"location": settings.location},
            "/functions": [
                {"functions": [{"name": f"{place}/functions/bqloop-{s}", **function} for s in part]}
                for part in (stages[:5], stages[5:])
            ],
            "/jobs": {
                "jobs": [
                    {"name": f"{place}/jobs/bqloop-{n}-deal-duplicates", "state": "ENABLED", "schedule": s.cron}
                    for n, s in settings.schedules.items()
                ]
            },
            "services/bqloop-service": {
                "uri": "https://bqloop-service.example",
                "terminalCondition": {"state": "CONDITION_SUCCEEDED"},
            },
        }
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def address(self, api: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{api}"

    def answer(self, path: str) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        found = next(a for end, a in self.answers.items() if path.endswith(end))
        if isinstance(found, list):  # pages
            page = int(query.removeprefix("pageToken=") or 0)
            found = {**found[page], **({"nextPageToken": str(page + 1)} if page + 1 < len(found) else {})}
        if isinstance(found, int):
            return found, {"error": {"code": found, "message": f"Status {found}, says Google.", "status": "X"}}
        return 200, found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        google = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = google.answer(self.path)
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 -- the name that http.server asks for

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = LocalCredentials(tmp_path_factory.mktemp("credentials"), project=PROJECT)
    made.start()
    yield made.path
    made.stop()


@pytest.fixture
def settings() -> Settings:
    return load_settings("dev", project=PROJECT)


@pytest.fixture
def google(settings: Settings, credentials: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    made = Google(settings)
    yield made
    made.server.shutdown()
    made.server.server_close()


def findings(settings: Settings, google: Google, git_sha: str = COMMIT) -> dict[str, Finding]:
    apis = GoogleApis(settings.project, google.address)
    return {f.what: f for f in examine_project(settings, apis, git_sha=git_sha)}


def test_a_whole_project_has_nothing_to_mend_and_is_asked_only_what_google_knows(
    settings: Settings, google: Google
) -> None:
    with recording() as sent:
        found = findings(settings, google)
    assert {f.what: f.found for f in found.values() if not (f.ok and f.looked)} == {}
    assert {f.mend for f in found.values()} == {""}
    assert found["quota of serving"].found == "200 CPUs in us-central1; a rollout takes up to 4"
    assert found["quota of queries"].found == "no limit of bytes a day"
    assert found["functions"].found == f"10 of commit {COMMIT[:12]}"
    asked = [r for r in sent if r.path.split("/")[1] in {name.split("/")[0] for name in DOCUMENTS}]
    assert len(asked) == 9
    for request in asked:
        api, version = request.path.split("/")[1:3]
        real = replace(request, api=DOCUMENTS[f"{api}/{version}"], path=request.path.removeprefix(f"/{api}"))
        assert faults(real) == []


def without(field: str, name: str) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        for page in answer if isinstance(answer, list) else [answer]:
            page[field] = [e for e in page[field] if name not in (e if isinstance(e, str) else e["name"])]
        return answer

    return change


def changed(field: str, name: str, **values: Any) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        for page in answer if isinstance(answer, list) else [answer]:
            for entry in page[field]:
                if entry["name"].endswith(name):
                    entry.update(values)
        return answer

    return change


def limit(value: str) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        for bucket in answer["consumerQuotaLimits"][0]["quotaBuckets"]:
            bucket["effectiveLimit"] = value
        return answer

    return change


OTHER = {"serviceConfig": {"environmentVariables": {"BQLOOP_GIT_SHA": "b" * 40}}}


@pytest.mark.parametrize(
    ("end", "change", "what", "told", "mend"),
    [
        (
            "services:batchGet",
            changed("services", "pubsub.googleapis.com", state="DISABLED"),
            "APIs",
            "not enabled: pubsub.googleapis.com",
            f"gcloud services enable pubsub.googleapis.com --project {PROJECT}",
        ),
        (
            ":testIamPermissions",
            without("permissions", "aiplatform.endpoints"),
            "permissions",
            "you lack aiplatform.endpoints.deploy, aiplatform.endpoints.predict",
            "ask for roles/aiplatform.user;",
        ),
        (":testIamPermissions", lambda _: {}, "permissions", "you lack", "roles/bigquery.jobUser"),
        (
            QUERIES,
            limit("1000"),
            "quota of queries",
            "1,048,576,000 bytes a day, and one query may take 50,000",
            "raise it",
        ),
        (CPUS, limit("3"), "quota of serving", "3 CPUs in us-central1, and a rollout takes up to 4", "raise it"),
        (
            "datasets/bqloop",
            lambda _: {"location": "EU"},
            "dataset's location",
            "EU, and the environment says US",
            "cannot be moved",
        ),
        ("datasets/bqloop", lambda _: 404, "dataset's location", "missing", "bqloop deploy"),
        ("/functions", without("functions", "bqloop-train"), "functions", "train is missing", "bqloop deploy"),
        ("/functions", changed("functions", "-score", state="FAILED"), "functions", "score is FAILED", "bqloop deploy"),
        ("/functions", changed("functions", "-score", **OTHER), "functions", "of different commits", "bqloop deploy"),
        ("/jobs", without("jobs", "-monitor-"), "schedules", "bqloop-monitor-deal-duplicates is missing", "deploy"),
        (
            "/jobs",
            changed("jobs", "check-deal-duplicates", state="PAUSED"),
            "schedules",
            "bqloop-check-deal-duplicates is PAUSED",
            "gcloud scheduler jobs resume bqloop-check-deal-duplicates",
        ),
        (
            "/jobs",
            changed("jobs", "check-deal-duplicates", schedule="0 6 * * *"),
            "schedules",
            "runs at '0 6",
            "deploy",
        ),
        ("services/bqloop-service", lambda _: 404, "prediction service", "missing", "bqloop deploy"),
        (
            "services/bqloop-service",
            lambda _: {"terminalCondition": {"state": "CONDITION_FAILED", "message": "no image"}},
            "prediction service",
            "it is not ready: no image",
            "see its log",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_is_broken_is_named_with_its_mend_and_nothing_else_is(
    end: str, change: Callable[[Any], Any], what: str, told: str, mend: str, settings: Settings, google: Google
) -> None:
    google.answers[end] = change(deepcopy(google.answers[end]))
    (broken,) = [f for f in findings(settings, google).values() if not f.ok or not f.looked]
    assert (broken.what, broken.ok, broken.looked) == (what, False, True)
    assert told in broken.found
    assert mend in broken.mend


def test_functions_of_another_commit_than_the_checkout_are_told(settings: Settings, google: Google) -> None:
    found = findings(settings, google, git_sha="c" * 40)["functions"]
    assert not found.ok
    assert found.found == f"they run {'a' * 12}, and this checkout is {'c' * 12}"


def test_what_may_not_be_seen_is_told_as_not_looked_at_with_the_role_that_lets_look(
    settings: Settings, google: Google
) -> None:
    google.answers = dict.fromkeys(google.answers, 403)
    found = findings(settings, google)
    assert not any(f.looked for f in found.values())
    assert all(f.found == "not looked at: Status 403, says Google." for f in found.values())
    assert all(re.fullmatch(r"to look at it, roles/[\w.]+", f.mend) for f in found.values())


@pytest.mark.parametrize("status", [500, 429])
def test_an_api_that_is_away_is_told_as_not_looked_at(
    status: int, settings: Settings, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.answers["/jobs"] = status
    found = findings(settings, google)["schedules"]
    assert (found.ok, found.looked) == (True, False)
    assert str(status) in found.found
    monkeypatch.setattr(google_apis, "_TIMEOUT", 0.5)
    apis = GoogleApis(settings.project, lambda _: "http://127.0.0.1:9")
    assert not any(f.looked for f in examine_project(settings, apis))


def test_a_quota_that_google_does_not_tell_is_not_taken_for_enough(settings: Settings, google: Google) -> None:
    google.answers[CPUS] = 404
    google.answers[QUERIES] = {"consumerQuotaLimits": []}
    found = findings(settings, google)
    for what in ("quota of serving", "quota of queries"):
        assert not found[what].looked
        assert "iam-admin/quotas" in found[what].found


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(ConfigurationError):
        GoogleApis(PROJECT)


def test_doctor_wants_the_apis_that_terraform_enables() -> None:
    text = (ROOT / "infra/gcp/modules/continuous_training/project.tf").read_text()
    enabled = re.search(r"toset\(\[(.*?)\]\)", text[text.index('"google_project_service" "used"') :], re.DOTALL)
    assert enabled is not None
    # A budget belongs to the billing account; it is made only where one is given.
    assert set(re.findall(r'"(\w+)"', enabled[1])) - {"billingbudgets"} == set(APIS)

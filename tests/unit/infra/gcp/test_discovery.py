"""What Google's own clients send, and what the local cloud answers, is what Google's discovery documents allow.

A challenger's whole way is walked, forth and back, with production code on the local BigQuery and Vertex AI; what a run
sends from check to deploy, and the prediction service, is held against the same documents by test_role_matrix.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from deployment.rollback import roll_back
from etl.ingest import import_deals
from infra.local.credentials import LocalCredentials
from tests.unit.deployment.rollout_world import MODEL, RolloutWorld
from tests.unit.infra.gcp.discovery import Request, departures, faults, method_id, recording

DEALS = '{"deal_id": "1", "source": "a", "title": "Kettle"}\n{"deal_id": "2", "source": "a"}\n'


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Request]]:
    """Every request of an import, two training runs, a rollout to the end, and the way back."""
    folder = tmp_path_factory.mktemp("discovery")
    credentials = LocalCredentials(folder, project="bqloop-local")
    credentials.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials.path))
        with recording() as requests, RolloutWorld.running(folder) as world:
            app = world.app
            (folder / "deals.ndjson").write_text(DEALS)
            import_deals(app.warehouse(MODEL), app.templates(MODEL), folder / "deals.ndjson")
            app.registry.put_evaluation(MODEL, world.versions[1], "validation", {"log_loss": 0.1, "precision": 0.9})
            world.start_canary(share=50)
            for minutes in (15, 30):
                world.serve(40)
                world.tick(minutes=minutes)
            roll_back(app, MODEL)
            app.warehouse(MODEL).cancel_jobs(world.run_id(2))
            list(app.bigquery.list_tables(app.settings.dataset))
            endpoints = app.settings.endpoints
            apis = {endpoints.bigquery: "bigquery.v2", endpoints.vertex: "aiplatform.v1"}
            yield [dataclasses.replace(r, api=apis[r.api]) for r in requests if r.api in apis]
    credentials.stop()


def test_no_request_and_no_answer_has_anything_that_google_does_not_know(story: list[Request]) -> None:
    assert len(story) > 200
    assert departures(story) == {}


def test_the_story_calls_every_method_that_a_rollout_needs(story: list[Request]) -> None:
    assert {method_id(request).replace("projects.locations.", "") for request in story} >= {
        "bigquery.datasets.insert",
        "bigquery.jobs.insert",
        "bigquery.jobs.get",
        "bigquery.jobs.getQueryResults",
        "bigquery.jobs.list",
        "bigquery.tables.get",
        "bigquery.tables.list",
        "aiplatform.models.get",
        "aiplatform.models.patch",
        "aiplatform.models.mergeVersionAliases",
        "aiplatform.models.evaluations.import",
        "aiplatform.models.evaluations.list",
        "aiplatform.endpoints.create",
        "aiplatform.endpoints.get",
        "aiplatform.endpoints.deployModel",
        "aiplatform.endpoints.undeployModel",
        "aiplatform.endpoints.predict",
    }


JOBS = "/bigquery/v2/projects/p/jobs"
ENDPOINT = "/v1/projects/p/locations/us-central1/endpoints/e"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request("bigquery.v2", "POST", "/bigquery/v2/projects/p/job"), "no such method"),
        (Request("bigquery.v2", "PATCH", JOBS), "no such method"),
        (Request("bigquery.v2", "GET", f"{JOBS}?maxResult=5"), "unknown parameter 'maxResult'"),
        (Request("bigquery.v2", "GET", f"{JOBS}?maxResults=five"), "'five' is no integer"),
        (Request("bigquery.v2", "GET", f"{JOBS}?allUsers=1"), "'1' is no boolean"),
        (Request("bigquery.v2", "GET", f"{JOBS}?projection=half"), "'half' is none of"),
        (Request("bigquery.v2", "POST", JOBS, {"config": {}}), "Job has no field 'config'"),
        (Request("bigquery.v2", "POST", JOBS, {"configuration": {"query": {"quer": ""}}}), "has no field 'quer'"),
        (Request("bigquery.v2", "POST", JOBS, {"configuration": {"dryRun": "yes"}}), "'yes' is no boolean"),
        (Request("bigquery.v2", "POST", JOBS, {"configuration": {"jobTimeoutMs": "1 s"}}), "'1 s' is no integer"),
        (Request("bigquery.v2", "POST", JOBS, {"configuration": {"labels": {"a": 1}}}), "labels.a: 1 is no text"),
        (Request("bigquery.v2", "POST", JOBS, {"configuration": []}), "an object is wanted"),
        (Request("bigquery.v2", "GET", JOBS, None, {"jobz": []}), "answer: JobList has no field 'jobz'"),
        (Request("aiplatform.v1", "POST", f"{ENDPOINT}:deploy", {}), "no such method"),
        (Request("aiplatform.v1", "POST", f"{ENDPOINT}:predict", {"instances": {}}), "a list is wanted"),
        (Request("aiplatform.v1", "GET", ENDPOINT, {"name": "x"}), "body: it takes none"),
        (
            Request("aiplatform.v1", "POST", f"{ENDPOINT}:deployModel", {"trafficSplit": {"0": "all"}}),
            "'all' is no integer",
        ),
        (Request("aiplatform.v1", "PATCH", "/v1/projects/p/locations/l/models/m", {"labels": 3}), "object is wanted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_google_would_not_take_is_seen(request_: Request, told: str) -> None:
    found = faults(request_)
    assert len(found) == 1, found
    assert told in found[0]


def test_a_departure_that_no_client_makes_any_more_is_taken_off_the_list(story: list[Request]) -> None:
    assert departures(story, ignoring_the_known=False).keys() >= {
        "bigquery.jobs.get: query: unknown parameter 'projection'"
    }


def test_an_enum_may_come_as_its_number_and_no_other_word(story: list[Request]) -> None:
    del story
    model: dict[str, Any] = {"supportedDeploymentResourcesTypes": [1]}
    path = "/v1/projects/p/locations/l/models/m"
    assert faults(Request("aiplatform.v1", "PATCH", path, model)) == []
    assert (
        "is none of" in faults(Request("aiplatform.v1", "PATCH", path, {"supportedDeploymentResourcesTypes": ["X"]}))[0]
    )

"""Rollouts driven as in earnest: topics, functions, scheduler ticks and the traffic that the service logs of itself.

A champion meets challengers that fail, are slow, or score upside down, one that a person takes back on its way, and one that
is sound; what Vertex AI says of each chapter is read with Google's own clients.
"""

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from google.api_core.client_options import ClientOptions
from google.cloud import aiplatform_v1
from google.cloud.pubsub_v1 import PublisherClient

from deployment.application import Application
from etl.ingest import import_deals, import_labels
from etl.names import Naming, run_slug
from etl.sample_deals import World, generate_labels, write_day
from infra.local.cloud import LocalCloud
from infra.local.vertex import Fault
from tests.e2e.conftest import Starter
from tests.e2e.test_bad_input import bqloop
from tests.e2e.test_loop import MODEL, PATIENCE, models_client, post, runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

FIRST_SHARE = 10
# A fifth of the first share of so many requests is beyond chance: 30 failures, where the rule forgives 15.
ENOUGH_TO_FAIL = 1500
# The first share of these is 15; the challenger has to have answered 5 before its health counts.
ENOUGH, MINIMUM = 150, 5
# Of the fifth of the answers that a shadow may contradict, what differing statistics alone may take.
SHADOW_ROOM = 0.05
DEALS_PER_DAY, FEW_LABELS, MANY_LABELS = 2000, 400, 2800


class Story:
    """One local cloud, and what the test does to it and asks of it."""

    def __init__(self, cloud: LocalCloud, app: Application, folder: Path) -> None:
        self.cloud, self.app, self.folder = cloud, app, folder
        self.world = World(7, DEALS_PER_DAY, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=3))
        self.random = random.Random(7)
        self.parent = f"projects/{app.settings.project}/locations/{app.settings.region}"
        options = ClientOptions(api_endpoint=app.settings.endpoints.vertex)
        self.endpoints = aiplatform_v1.EndpointServiceClient(transport="rest", client_options=options)
        self.models = models_client(app)

    def import_day(self, day: int, labels: int) -> None:
        deals, judged = self.folder / f"deals-{day}.parquet", self.folder / f"labels-{day}.parquet"
        write_day(self.world, day, deals)
        pq.write_table(generate_labels(self.world, day, labels), judged)
        warehouse, templates = self.app.warehouse(MODEL), self.app.templates(MODEL)
        assert import_deals(warehouse, templates, deals).rejected == 0
        assert import_labels(warehouse, templates, judged).rejected == 0

    def train(self, name: str, *, until: str) -> str:
        """Ask for a run through its topic; the version that its evidence sends on its way."""
        run_id = f"{MODEL}-{name}"
        now = dt.datetime.now(dt.UTC).isoformat()
        asked = {"model": MODEL, "run_id": run_id, "stage": "check", "as_of": now, "options": {"force": True}}
        PublisherClient().publish(self.app.settings.stage_topic("check"), json.dumps(asked).encode()).result(timeout=30)
        self.wait(lambda: runs(self.app).get(run_id, {}).get("state") not in {None, "RUNNING"}, PATIENCE)
        row = runs(self.app)[run_id]
        assert row["state"] == until, row["reason"]
        return str(self.history[-1]["version"])

    def traffic(self, requests: int) -> int:
        """Send requests to the service and wait until it has logged them; how many failed."""
        table = f"{self.app.settings.project}.{self.app.settings.dataset}.inference_log"
        labels = list(self.app.bigquery.list_rows(table.replace("inference_log", "labels"), max_results=500))
        before = self.app.bigquery.get_table(table).num_rows or 0

        def ask(row: Any) -> int:
            left, right = (
                {"source": row[f"{side}_source"], "deal_id": row[f"{side}_id"]} for side in ("left", "right")
            )
            status, _ = post(self.app, "/score", {"pairs": [{"left": left, "right": right}]})
            return status

        with ThreadPoolExecutor(6) as threads:
            said = list(threads.map(ask, self.random.choices(labels, k=requests)))
        assert set(said) <= {200, 503}
        self.wait(lambda: (self.app.bigquery.get_table(table).num_rows or 0) >= before + requests, 90)
        return said.count(503)

    def roll_back(self, reason: str) -> dict[str, Any]:
        """What `bqloop rollback` prints, in a process of its own."""
        done = bqloop(self.folder, "rollback", "--reason", reason, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def tick(self) -> dict[str, Any]:
        """What the scheduler's next tick does with the challenger, as production_history has it."""
        before = len(self.history)
        self.cloud.trigger("rollout")
        self.wait(lambda: len(self.history) > before, 60)
        return self.history[-1]

    def wait(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                told = [(e.run_id, e.stage, e.status, e.details.get("reason")) for e in self.events[-6:]]
                raise AssertionError(f"still waiting; last events: {told}; history: {self.history[-3:]}")
            time.sleep(0.3)

    @property
    def events(self) -> list[Any]:
        return [e for run_id in runs(self.app) for e in self.app.ledger(MODEL).events(run_id)]

    @property
    def history(self) -> list[dict[str, Any]]:
        """Changes of what serves, oldest first."""
        return list(reversed(self.app.ledger(MODEL).read("production_history")))

    @property
    def chapters(self) -> list[tuple[str, str, int]]:
        """The story in short: action, version and share of each change."""
        return [(row["action"], row["version"], row["share"]) for row in self.history]

    def answers_by_the_champions_statistics(self, name: str) -> tuple[int, int]:
        """To how many validation pairs a run's winner answers otherwise when the champion computed their features, of how many."""
        run_id = f"{MODEL}-{name}"
        decided = next(
            e for e in self.app.ledger(MODEL).events(run_id) if e.stage == "decide" and e.details.get("decision")
        )
        naming, slug = Naming.of(self.app.settings, MODEL), run_slug(MODEL, run_id)
        winner, threshold = (decided.details["decision"][key] for key in ("winner", "threshold"))
        model = naming.candidate_model(slug, winner)

        def said(tables: str) -> dict[tuple[str, ...], bool]:
            rows = self.app.bigquery.query(
                "SELECT left_source, left_id, right_source, right_id, (SELECT p.prob FROM "
                f"UNNEST(predicted_is_duplicate_probs) AS p WHERE p.label) >= {threshold} AS answer "
                f"FROM ML.PREDICT(MODEL `{model}`, TABLE `{naming.run_table(tables, 'validation_set')}`)"
            ).result()
            return {tuple(row.values()[:4]): row["answer"] for row in rows}

        own, champions = said(slug), said(f"{slug}_champion")
        assert own.keys() == champions.keys()
        return sum(own[pair] != champions[pair] for pair in own), len(own)

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by deployed version, as Google's client reads it."""
        (endpoint,) = [
            e for e in self.endpoints.list_endpoints(parent=self.parent) if e.display_name == f"bqloop-{MODEL}"
        ]
        return {d.model_version_id: endpoint.traffic_split.get(d.id, 0) for d in endpoint.deployed_models}

    @property
    def aliases(self) -> dict[str, str]:
        """Version by alias, those of single runs aside, as Google's client reads them."""
        versions = self.models.list_model_versions(name=f"{self.parent}/models/{MODEL}")
        moving = {"champion", "challenger", "default"}
        return {alias: v.version_id for v in versions for alias in v.version_aliases if alias in moving}

    def evaluations(self, version: str) -> list[str]:
        """Names of the evaluations beside a version."""
        parent = f"{self.parent}/models/{MODEL}@{version}"
        return [e.display_name for e in self.models.list_model_evaluations(parent=parent)]


@pytest.fixture
def story(start_cloud: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    # The functions' process inherits these, as a Cloud Function is given them by its configuration.
    monkeypatch.setenv("BQLOOP_ROLLOUT__STEPS", f"[{FIRST_SHARE}, 50, 100]")
    monkeypatch.setenv("BQLOOP_ROLLOUT__HOLD_MINUTES", "0")
    monkeypatch.setenv("BQLOOP_ROLLOUT__MINIMUM_REQUESTS", str(MINIMUM))
    with start_cloud(tmp_path) as (cloud, app):
        yield Story(cloud, app, tmp_path)


def promoted_champion(story: Story) -> str:
    """A champion of few labels that has served; what comes after has many more to learn from."""
    story.import_day(0, FEW_LABELS)
    champion = story.train("first", until="PROMOTED")
    assert (story.shares, story.aliases) == ({champion: 100}, {"champion": champion, "default": champion})
    assert {name.rsplit("-", 1)[1] for name in story.evaluations(champion)} == {"validation", "test"}
    assert story.traffic(20) == 0
    story.import_day(1, MANY_LABELS)
    return champion


def test_challengers_that_fail_a_fifth_of_their_requests_or_are_slow_go_back_by_themselves(story: Story) -> None:
    champion = promoted_champion(story)
    all_the_champions = {champion: 100}, {"champion": champion, "default": champion}
    failing = story.train("failing", until="CANARY")
    assert story.shares == {champion: 100 - FIRST_SHARE, failing: FIRST_SHARE}
    assert story.aliases == {"champion": champion, "default": champion, "challenger": failing}
    story.cloud.vertex.faults.set(f"{MODEL}@{failing}", Fault(error_share=0.2))
    failed = story.traffic(ENOUGH_TO_FAIL)
    assert 0 < failed <= ENOUGH_TO_FAIL * FIRST_SHARE / 100  # nobody suffers for its sake beyond its share
    back = story.tick()
    assert (back["action"], back["version"], back["previous_version"]) == ("roll_back", champion, failing)
    assert "requests failed" in back["reason"]
    assert (story.shares, story.aliases) == all_the_champions

    slow = story.train("slow", until="CANARY")
    story.cloud.vertex.faults.set(f"{MODEL}@{slow}", Fault(delay_seconds=2.0))
    assert story.traffic(ENOUGH) == 0
    back = story.tick()
    assert (back["action"], back["version"], back["previous_version"]) == ("roll_back", champion, slow)
    assert "too slow" in back["reason"]
    assert (story.shares, story.aliases) == all_the_champions
    assert story.chapters == [
        ("promote", champion, 100),
        ("canary", failing, FIRST_SHARE),
        ("roll_back", champion, 100),
        ("canary", slow, FIRST_SHARE),
        ("roll_back", champion, 100),
    ]


def test_one_upside_down_goes_back_and_a_sound_one_reaches_all_traffic_until_a_person_goes_back(story: Story) -> None:
    champion = promoted_champion(story)
    all_the_champions = {champion: 100}, {"champion": champion, "default": champion}

    inverted = story.train("inverted", until="CANARY")
    story.cloud.vertex.faults.set(f"{MODEL}@{inverted}", Fault(invert_scores=True))
    assert story.traffic(ENOUGH) == 0
    back = story.tick()
    assert (back["action"], back["version"], back["previous_version"]) == ("roll_back", champion, inverted)
    assert "away from" in back["reason"] or "disagrees" in back["reason"]
    assert (story.shares, story.aliases) == all_the_champions

    odd = story.train("odd", until="CANARY")
    assert story.shares == {champion: 100 - FIRST_SHARE, odd: FIRST_SHARE}
    told = story.roll_back("looks odd")
    assert (told["version"], told["previous_version"]) == (champion, odd)
    assert (story.shares, story.aliases) == all_the_champions

    sound = story.train("sound", until="CANARY")
    for share, requests in ((50, ENOUGH), (100, ENOUGH // 3)):
        assert story.traffic(requests) == 0
        step = story.tick()
        assert (step["version"], step["share"]) == (sound, share), step["reason"]
    assert (story.shares, story.aliases) == ({sound: 100}, {"champion": sound, "default": sound})

    assert story.roll_back("customers complain")["version"] == champion
    assert (story.shares, story.aliases) == all_the_champions
    assert story.chapters == [
        ("promote", champion, 100),
        ("canary", inverted, FIRST_SHARE),
        ("roll_back", champion, 100),
        ("canary", odd, FIRST_SHARE),
        ("roll_back", champion, 100),
        ("canary", sound, FIRST_SHARE),
        ("advance", sound, 50),
        ("promote", sound, 100),
        ("roll_back", champion, 100),
    ]
    assert [row["reason"] for row in story.history if row["action"] == "roll_back"][1:] == [
        "looks odd",
        "customers complain",
    ]
    states = {run_id.removeprefix(f"{MODEL}-"): row["state"] for run_id, row in runs(story.app).items()}
    assert {states[name] for name in ("inverted", "odd", "sound")} == {"ROLLED_BACK"}

    # A shadow is given features that the other version's statistics went into: that alone must not look like contradiction.
    otherwise, of_all = story.answers_by_the_champions_statistics("sound")
    print(f"{otherwise} of {of_all} validation pairs answered otherwise with the champion's statistics")
    assert of_all > 100
    assert otherwise <= SHADOW_ROOM * of_all

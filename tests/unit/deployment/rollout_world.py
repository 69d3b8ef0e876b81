"""A model with a champion and a challenger on the local BigQuery and Vertex AI, and the traffic that they answer.

The features are two numbers, so that a test is quick; the stages, the ledger, the registry and the endpoint are the real ones.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from google.cloud import bigquery

from deployment.application import Application
from deployment.endpoint import Endpoint, probability_of
from deployment.registry import version_labels
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.rollout import rollout_message, tick
from deployment.stages.run import Run
from deployment.stages.train import candidate_alias
from etl.errors import BqloopError
from etl.ledger import Event
from etl.settings import load_settings
from infra.local.bigquery import BigQueryServer
from infra.local.bqml import Model
from infra.local.vertex import Fault, VertexServer

MODEL = "deal_duplicates"
CANDIDATE = "logistic_reg"


class RolloutWorld:
    """Two runs have trained a version each; the first is champion, the second may be put beside it."""

    def __init__(self, app: Application, vertex: VertexServer) -> None:
        self.app = app
        self.vertex = vertex
        self.endpoint = Endpoint(app.settings, MODEL)
        self.random = random.Random(7)
        self.requests = 0
        self.refused = 0
        self.versions = [self._train(day) for day in (1, 2)]
        self._promote_first()

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[RolloutWorld]:
        project = "bqloop-local"
        vertex = VertexServer(folder / "vertex", project=project, load_model=Model.load)
        vertex.start()
        warehouse = BigQueryServer(
            folder / "bigquery", project=project, registry=vertex.registry, storage_root=folder / "storage"
        )
        warehouse.start()
        try:
            settings = load_settings(
                "local",
                endpoints={"bigquery": warehouse.endpoint, "vertex": vertex.endpoint},
                rollout={"steps": [10, 50, 100], "hold_minutes": 10, "minimum_requests": 10},
            )
            app = Application(settings)
            prepare(app)
            yield cls(app, vertex)
        finally:
            warehouse.stop()
            vertex.stop()

    def run(self, day: int, stage: str = "rollout") -> Run:
        return self.app.run(StageMessage(model=MODEL, run_id=self.run_id(day), stage=stage, as_of=self.as_of(day)))

    @staticmethod
    def run_id(day: int) -> str:
        return f"{MODEL}-2026-11-{day:02d}"

    @staticmethod
    def as_of(day: int) -> dt.datetime:
        return dt.datetime(2026, 11, day, 5, tzinfo=dt.UTC)

    def record(self, day: int, stage: str, details: dict[str, Any], attempt: int = 1) -> None:
        event = Event(self.run_id(day), stage, "SUCCEEDED", attempt, self.as_of(day), details)
        self.app.ledger(MODEL).append(event)

    def start_canary(self, share: int = 10) -> None:
        """Put the second version beside the champion, as the stage `deploy` records it."""
        version = self.versions[1]
        self.app.registry.put_challenger(MODEL, version)
        self.endpoint.deploy(version, share=share)
        self.decide_for_challenger()
        self.record(2, "deploy", {"run_state": "CANARY", "production": self._production(2, share, "canary")})

    def decide_for_challenger(self) -> None:
        """The gate's verdict for the second version, as the stage `decide` records it."""
        decision = {"verdict": "PROMOTE", "winner": CANDIDATE, "threshold": 0.5}
        self.record(2, "decide", {"decision": decision, "champion": self.versions[0]})

    def serve(self, requests: int, *, pairs: int = 3) -> None:
        """Send requests through the endpoint and log the answers as the service does, at once."""
        rows = []
        for _ in range(requests):
            self.requests += 1
            pairs_asked = [self._pair() for _ in range(pairs)]
            try:
                answer = self.endpoint.predict(pairs_asked)
                chances = [probability_of(p, "is_duplicate", True) for p in answer.predictions]
                version: str | None = answer.version_id
            except BqloopError:
                self.refused += 1
                chances, version = [None] * pairs, None
            took = self._milliseconds(version)
            rows += [
                {
                    "inference_id": f"{self.requests}/{place}",
                    "request_id": str(self.requests),
                    "answered_at": dt.datetime.now(dt.UTC).isoformat(),
                    "route": "score",
                    "model": MODEL,
                    "version": version,
                    "left_source": "a",
                    "left_id": str(self.requests),
                    "right_source": "b",
                    "right_id": str(place),
                    "features": features,
                    "probability": chance,
                    "threshold": 0.5,
                    "is_duplicate": None if chance is None else chance >= 0.5,
                    "latency_ms": took,
                    "endpoint_ms": took,
                }
                for place, (features, chance) in enumerate(zip(pairs_asked, chances, strict=True))
            ]
        table = self.app.bigquery.get_table(f"{self.app.settings.dataset}.inference_log")
        self.app.bigquery.load_table_from_json(
            rows, table, job_config=bigquery.LoadJobConfig(schema=table.schema)
        ).result()

    def tick(self, *, minutes: float = 15) -> Event | None:
        """A tick of the scheduler, that many minutes from now; None where there was nothing to do or it waits."""
        message = rollout_message(self.app.ledger(MODEL), MODEL)
        if message is None:
            return None
        return tick(self.app.run(message), dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))

    def _milliseconds(self, version: str | None) -> float:
        """What an answer is said to have taken: a busy machine's hiccups would bring a healthy challenger down."""
        fault = self.vertex.faults.of("", f"{MODEL}@{version}")
        return 5.0 + 1000 * (fault.delay_seconds if fault else 0.0)

    def ail(self, **fault: Any) -> None:
        self.vertex.faults.set(f"{MODEL}@{self.versions[1]}", Fault(**fault))

    @property
    def shares(self) -> dict[str, int]:
        return {version: deployed.share for version, deployed in self.endpoint.deployed().items()}

    @property
    def aliases(self) -> dict[str, str]:
        moving = {"champion", "challenger", "default"}
        return {
            alias: version.version_id
            for version in self.app.registry.versions(MODEL)
            for alias in version.aliases
            if alias in moving
        }

    @property
    def state(self) -> str:
        rows = self.app.ledger(MODEL).read("recent_runs")
        return str(next(row["state"] for row in rows if row["run_id"] == self.run_id(2)))

    @property
    def history(self) -> list[tuple[str, str, int]]:
        rows = self.app.ledger(MODEL).read("production_history")
        return [(row["action"], row["version"], row["share"]) for row in reversed(rows)]

    def _pair(self) -> dict[str, float]:
        same = self.random.random() < 0.3
        return {"f1": self.random.gauss(2.0 if same else -2.0, 1.0), "f2": self.random.random()}

    def _train(self, day: int) -> str:
        run = self.run(day)
        pairs = [self._pair() for _ in range(300)]
        frame = pd.DataFrame(pairs).assign(is_duplicate=[p["f1"] > 0 for p in pairs])
        client = self.app.bigquery
        client.load_table_from_dataframe(frame, run.naming.run_table(run.slug, "training_features")).result()
        model = run.naming.candidate_model(run.slug, CANDIDATE)
        alias = candidate_alias(run.slug, CANDIDATE)
        client.query(
            f"CREATE MODEL `{model}` OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['is_duplicate'], "
            f"model_registry = 'vertex_ai', vertex_ai_model_id = '{MODEL}', vertex_ai_model_version_aliases = ['{alias}']) "
            f"AS SELECT * FROM `{run.naming.run_table(run.slug, 'training_features')}`"
        ).result()
        client.query(
            f"CREATE TABLE `{run.naming.run_table(run.slug, 'predictions')}` AS "
            f"SELECT '{CANDIDATE}' AS name, 'validation' AS split, "
            "(SELECT said.prob FROM UNNEST(predicted_is_duplicate_probs) AS said WHERE said.label) AS probability "
            f"FROM ML.PREDICT(MODEL `{model}`, TABLE `{run.naming.run_table(run.slug, 'training_features')}`)"
        ).result()
        version = self.app.registry.get(MODEL, alias).version_id
        self.app.registry.put_labels(MODEL, version, version_labels(run=run.slug, candidate=CANDIDATE))
        self.record(day, "evaluate", {"metrics": [{"name": CANDIDATE, "split": "validation", "threshold": 0.5}]})
        return version

    def _promote_first(self) -> None:
        version = self.versions[0]
        self.endpoint.deploy(version, share=100)
        self.app.registry.put_champion(MODEL, version)
        self.record(1, "deploy", {"run_state": "PROMOTED", "production": self._production(1, 100, "promote")})

    def _production(self, day: int, share: int, action: str) -> dict[str, Any]:
        run = self.run(day)
        return {
            "action": action,
            "version": self.versions[day - 1],
            "previous_version": self.versions[0] if day == 2 else None,
            "share": share,
            "threshold": 0.5,
            "bigquery_model": run.naming.candidate_model(run.slug, CANDIDATE),
        }

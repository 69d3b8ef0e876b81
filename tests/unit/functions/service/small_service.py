"""The service with its real SQL and index, and with an endpoint, a log and a warehouse that the test has made up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from flask import Flask, Response, request

from deployment.endpoint import Answer
from deployment.stages.run import policy_of
from etl.templates import Templates
from functions.service import routes
from functions.service.asking import Asker
from functions.service.compact_index import CompactIndex
from functions.service.feature_program import FeatureProgram
from functions.service.payloads import FeedbackAnswer, FeedbackRequest
from functions.service.policy import serving_policy
from functions.service.scoring import Scorer
from functions.service.service import Service
from functions.service.versions import ServedVersion, Traffic
from tests.unit.functions.service.first_guess import weights_of_the_first_guess

MODEL = "deal_duplicates"
SEEN = dt.datetime(2026, 11, 20, 8)  # noqa: DTZ001 -- the service's engine holds UTC without a zone
KNOWN = [
    {"source": source, "deal_id": str(n), "title": title, "ingested_at": SEEN}
    for n, title in enumerate(
        ("sony pslx350h turntable", "Sony PS-LX350H turntable black", "apple iphone 15 256gb", "dyson v15 vacuum")
    )
    for source in ("a", "b")
]


class Log:
    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def confirm(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows += rows


class Versions:
    def __init__(self, version: ServedVersion) -> None:
        self._version = version

    def traffic(self, *, look: bool = False) -> Traffic:
        del look
        return Traffic({"1": self._version}, {"1": 100}, {"1": "1"})


class Keeper:
    def __init__(self, index: CompactIndex) -> None:
        self._index = index
        self.deals = index.deals

    def index(self, _version: ServedVersion) -> CompactIndex:
        return self._index


class Feedback:
    def keep(self, body: FeedbackRequest, request_id: str) -> FeedbackAnswer:
        del body
        return FeedbackAnswer(feedback_id="1", request_id=request_id)


def small_service() -> tuple[Service, Log]:
    """A service that knows eight deals."""
    templates = Templates.from_tree(MODEL)
    policy = policy_of(templates)
    serving = serving_policy(policy)
    frozen = {
        "token_stats": pa.table({"field": ["", "word"], "token": ["", "sony"], "deals": [8, 4]}),
        "key_stats": pa.table({"key": ["sony"], "deals": [4]}),
        "guess_weights": weights_of_the_first_guess(),
    }
    program = FeatureProgram(templates, policy, serving, frozen)
    assert program.compiled is not None
    index = CompactIndex.of(program.compiled, KNOWN)
    (row,) = index.request([]).features(program, [(("a", "0"), ("b", "0"))])
    names = tuple(name for name in row if name not in policy.not_features)
    champion: Any = SimpleNamespace(version="1", threshold=0.5, policy=policy)
    version = ServedVersion(champion, program, names, "r", dict.fromkeys(names[:5], 0.5), serving)
    made = Service.__new__(Service)
    log, versions = Log(), Versions(version)
    made.model, made.policy = MODEL, serving
    made.versions = versions  # type: ignore[assignment]
    made._scorer = Scorer(MODEL, Asker(versions, answer), log)  # type: ignore[arg-type]
    made._keeper = Keeper(index)  # type: ignore[assignment]
    made._feedback = Feedback()  # type: ignore[assignment]
    return made, log


def answer(instances: Sequence[Mapping[str, Any]]) -> Answer:
    """Says how much of the titles is shared."""
    chances = [min(max(float(one["title_cosine"]), 0.0), 1.0) for one in instances]
    label = "is_duplicate"
    return Answer("1", [{f"{label}_values": ["true", "false"], f"{label}_probs": [c, 1 - c]} for c in chances])


def wsgi_app() -> Flask:
    """The service's routes as an application."""
    app = Flask(__name__)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    def everything(path: str) -> Response:
        del path
        return routes.answer(request)

    return app

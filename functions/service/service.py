"""The prediction service of one model: its parts, made once an instance, and what it does with each kind of request."""

from __future__ import annotations

import time
from http import HTTPStatus

from deployment.application import Application
from deployment.endpoint import Endpoint
from functions.service.asking import Asker
from functions.service.inference_log import InferenceLog
from functions.service.known_deals import WarehouseDeals
from functions.service.payloads import ScoreAnswer, ScoreRequest
from functions.service.problems import Fault, of_fields
from functions.service.scoring import Scorer, ordered, whole_deals
from functions.service.versions import Versions, serving_policy_of


class Service:
    """One model's service.

    Args:
        app: bqloop in this environment.
        model: The model.
    """

    def __init__(self, app: Application, model: str) -> None:
        self.model = model
        self.policy = serving_policy_of(app, model)
        endpoint = Endpoint(app.settings, model)
        self.versions = Versions(app, model, endpoint)
        self._log = InferenceLog(app.settings)
        self._scorer = Scorer(model, Asker(self.versions, endpoint.predict), self._log, self.policy)
        self._known = WarehouseDeals(app, model)

    def score(self, request: ScoreRequest, request_id: str) -> ScoreAnswer:
        """Score pairs.

        Raises:
            Problem: A deal is not known, or there are too many pairs.
            BqloopError: No version is deployed, or something that is needed cannot be reached.
        """
        started = time.perf_counter()
        if len(request.pairs) > self.policy.max_pairs:
            raise of_fields([Fault("/pairs", f"at most {self.policy.max_pairs} pairs a request")], _TOO_LARGE)
        given = [
            (f"/pairs/{place}/{side}", deal)
            for place, pair in enumerate(request.pairs)
            for side, deal in (("left", pair.left), ("right", pair.right))
        ]
        deals = whole_deals(given, self._known)
        asked = [ordered(pair.left.key, pair.right.key) for pair in request.pairs]
        pairs = list(dict.fromkeys(asked))
        prediction = self._scorer.predict(deals, pairs)
        self._scorer.record(request_id, "score", started, prediction)
        explain = range(len(pairs)) if request.explain else ()
        by_pair = dict(
            zip(pairs, self._scorer.scored(prediction, explain=explain, features=request.features), strict=True)
        )
        return ScoreAnswer(
            request_id=request_id,
            model=self.model,
            version=prediction.version.version,
            deployed_model=prediction.deployed_model,
            threshold=prediction.version.threshold,
            results=[by_pair[pair] for pair in asked],
        )


_TOO_LARGE = HTTPStatus.UNPROCESSABLE_ENTITY

"""The prediction service of one model: its parts, made once an instance, and what it does with each kind of request."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from deployment.application import Application
from deployment.endpoint import Endpoint
from functions.service.asking import Asker, Prediction
from functions.service.candidate_index import CandidateIndex
from functions.service.feedback import FeedbackKeeper
from functions.service.index_keeper import IndexKeeper, in_utc
from functions.service.inference_log import InferenceLog
from functions.service.payloads import (
    DealRef,
    DuplicatesAnswer,
    DuplicatesRequest,
    FeedbackAnswer,
    FeedbackRequest,
    Found,
    ScoreAnswer,
    ScoreRequest,
)
from functions.service.problems import Fault, of_fields
from functions.service.scoring import Compute, Scorer, pair_of, whole_deals
from functions.service.values import Pair, ordered
from functions.service.versions import Versions, serving_policy_of

# A request makes some ten thousand objects, hardly any of them in a circle; by default each would set off several collections.
_COLLECTOR = (50_000, 20, 100)


class Service:
    """One model's service.

    Args:
        app: bqloop in this environment.
        model: The model.
    """

    def __init__(self, app: Application, model: str) -> None:
        self.model = model
        gc.set_threshold(*_COLLECTOR)
        self.policy = serving_policy_of(app, model)
        endpoint = Endpoint(app.settings, model)
        self.versions = Versions(app, model, endpoint)
        self._scorer = Scorer(model, Asker(self.versions, endpoint.predict), InferenceLog(app.settings))
        self._keeper = IndexKeeper(app, model, self.policy)
        self._feedback = FeedbackKeeper(app, model, self.policy.feedback)

    def score(self, request: ScoreRequest, request_id: str) -> ScoreAnswer:
        """Score pairs.

        Raises:
            Problem: A deal is not known, or there are too many pairs.
            BqloopError: No version is deployed, or something that is needed cannot be reached.
        """
        started = time.perf_counter()
        self._check_count("/pairs", len(request.pairs), self.policy.max_pairs)
        index = self.index() if request.rivals == "index" else None
        given = [
            (f"/pairs/{place}/{side}", deal)
            for place, pair in enumerate(request.pairs)
            for side, deal in (("left", pair.left), ("right", pair.right))
        ]
        deals = whole_deals(given, self._keeper)
        asked = [ordered(pair.left.key, pair.right.key) for pair in request.pairs]
        pairs = list(dict.fromkeys(asked))
        rivals: Collection[Pair] = ()
        compute: Compute
        if index is None:
            rows = [in_utc(row) for row in deals.values()]
            compute = _of_these(rows)
        else:
            named = [key for key in deals if key not in {deal.key for _, deal in given if deal.title is not None}]
            known = index.deals(named)
            beside = index.request([in_utc(row) for key, row in deals.items() if key not in known])
            rivals = _rivals(index, pairs, beside.candidates())
            compute = beside.features
        prediction = self._scorer.predict(request_id, "score", started, compute, pairs, rivals)
        explain = range(len(pairs)) if request.explain else ()
        scored = self._scorer.scored(prediction, explain=explain, features=request.features)
        by_pair = dict(zip(pairs, scored, strict=True))
        return ScoreAnswer(
            request_id=request_id,
            model=self.model,
            version=prediction.version.version,
            deployed_model=prediction.deployed_model,
            threshold=prediction.version.threshold,
            results=[by_pair[pair] for pair in asked],
        )

    def duplicates(self, request: DuplicatesRequest, request_id: str) -> DuplicatesAnswer:
        """Find the duplicates of new deals among the known ones and among themselves.

        Raises:
            Problem: A deal is not known, or there are too many.
            BqloopError: No version is deployed, or something that is needed cannot be reached.
        """
        started = time.perf_counter()
        self._check_count("/deals", len(request.deals), self.policy.max_deals)
        index = self.index()
        given = [(f"/deals/{place}", deal) for place, deal in enumerate(request.deals)]
        deals = whole_deals(given, self._keeper)
        beside = index.request([in_utc(row) for row in deals.values()])
        pairs = sorted(set(beside.candidates()))
        mine = {key: [pair for pair in pairs if key in pair] for key in deals}
        prediction: Prediction | None = None
        if pairs:
            rivals = index.rivals(pairs)
            prediction = self._scorer.predict(
                request_id, "duplicates", started, beside.features, pairs, rivals, candidates=len(pairs)
            )
        for key, found in mine.items():
            if not found:
                self._scorer.record_nothing_found(request_id, "duplicates", started, key)
        return self._told(request, request_id, prediction, mine)

    def feedback(self, request: FeedbackRequest, request_id: str) -> FeedbackAnswer:
        """Keep a person's verdict.

        Raises:
            UnavailableError: BigQuery cannot be reached.
        """
        return self._feedback.keep(request, request_id)

    def index(self) -> CandidateIndex:
        """The index of the version with most of the traffic.

        Raises:
            BqloopError: No version is deployed, or BigQuery cannot be reached.
        """
        return self._keeper.index(self.versions.traffic().main)

    def _told(
        self,
        request: DuplicatesRequest,
        request_id: str,
        prediction: Prediction | None,
        mine: dict[tuple[str, str], list[Pair]],
    ) -> DuplicatesAnswer:
        shown = {}
        if prediction is not None:
            sure = [p >= prediction.version.threshold for p in prediction.probabilities]
            explain = [place for place, yes in enumerate(sure) if yes] if request.explain else ()
            scored = self._scorer.scored(prediction, explain=explain, features=request.features)
            rows = zip(prediction.rows, scored, sure, strict=True)
            shown = {pair_of(row): one for row, one, yes in rows if yes or request.all_candidates}
        results = []
        for deal in request.deals:
            found = [shown[pair] for pair in mine[deal.key] if pair in shown]
            results.append(
                Found(
                    deal=DealRef(source=deal.source, deal_id=deal.deal_id),
                    candidates=len(mine[deal.key]),
                    duplicates=sorted(found, key=lambda one: -one.probability),
                )
            )
        return DuplicatesAnswer(
            request_id=request_id,
            model=self.model,
            version=prediction.version.version if prediction else None,
            deployed_model=prediction.deployed_model if prediction else None,
            threshold=prediction.version.threshold if prediction else None,
            results=results,
        )

    def _check_count(self, pointer: str, count: int, most: int) -> None:
        if count > most:
            fault = Fault(pointer, f"at most {most} a request, there are {count}")
            raise of_fields([fault], HTTPStatus.UNPROCESSABLE_ENTITY)


def _of_these(rows: list[dict[str, Any]]) -> Compute:
    """The features of pairs of these deals, no others looked at."""
    return lambda program, pairs, _rivals: program.compute(rows, pairs)


def _rivals(index: CandidateIndex, pairs: Sequence[Pair], candidates: Iterable[Pair]) -> Collection[Pair]:
    """The pairs that share a deal with an asked one: compared before, or candidates of a new deal that is asked about."""
    involved = {key for pair in pairs for key in pair}
    return index.rivals(pairs) | {pair for pair in candidates if not involved.isdisjoint(pair)}

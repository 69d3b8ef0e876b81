"""From pairs of deals to answers: look up, compute, ask, log, answer; in this order, and nothing leaves unlogged."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from etl.strict_json import strict_json
from functions.service.asking import Asker, NotAnsweredError, Prediction
from functions.service.attributions import top_attributions
from functions.service.feature_program import FeatureProgram
from functions.service.inference_log import InferenceLog
from functions.service.known_deals import Key, KnownDeals
from functions.service.payloads import DealIn, DealRef, Scored
from functions.service.problems import Fault, Problem, of_fields
from functions.service.values import PAIR_COLUMNS, Pair
from functions.service.versions import ServedVersion

# Gives a version's features of pairs among their rivals, one row a pair in any order.
Compute = Callable[[FeatureProgram, Sequence[Pair], Collection[Pair]], list[dict[str, Any]]]


def whole_deals(given: Sequence[tuple[str, DealIn]], known: KnownDeals) -> dict[Key, Mapping[str, Any]]:
    """The deals of a request as raw_deals would have them, those named by ID looked up.

    Args:
        given: JSON pointer and deal for each place in the request.
        known: Where named deals are found.

    Raises:
        Problem: 404 for a deal that is not known, 422 for one that is given twice and differently.
    """
    now = dt.datetime.now(dt.UTC)
    found: dict[Key, Mapping[str, Any]] = {}
    named: dict[Key, str] = {}
    for pointer, deal in given:
        if deal.title is None:
            named.setdefault(deal.key, pointer)
            continue
        row = {**deal.row, "ingested_at": now}
        if found.setdefault(deal.key, row) != row:
            raise of_fields([Fault(pointer, "this deal stands elsewhere in the request with other content")])
    missing = [key for key in named if key not in found]
    looked_up = known.deals(missing) if missing else {}
    unknown = [
        Fault(named[key], f"deal {key[1]!r} of source {key[0]!r} is not known")
        for key in missing
        if key not in looked_up
    ]
    if unknown:
        raise of_fields(unknown, HTTPStatus.NOT_FOUND)
    return found | dict(looked_up)


class Scorer:
    """Scores pairs for one model.

    Args:
        model: The model.
        asker: Asks its endpoint.
        log: Keeps every prediction.
    """

    def __init__(self, model: str, asker: Asker, log: InferenceLog) -> None:
        self._model = model
        self._asker = asker
        self._log = log

    def predict(
        self,
        request_id: str,
        route: str,
        started: float,
        compute: Compute,
        pairs: Sequence[Pair],
        rivals: Collection[Pair] = (),
        *,
        candidates: int | None = None,
    ) -> Prediction:
        """Ask about pairs, and have it kept what the answer was or that there was none.

        Args:
            request_id: The request's ID.
            route: score or duplicates.
            started: When the request came, as `time.perf_counter` tells.
            compute: Gives a version's features of pairs.
            pairs: What is asked, each once, as `ordered` gives them.
            rivals: Pairs, these or others, among which the pairs' standing is judged.
            candidates: How many candidates there were, where candidates were looked for.

        Raises:
            Problem: A pair has nothing that could be compared.
            BqloopError: No version is deployed, or the endpoint or the log cannot be reached.
        """

        def rows_of(version: ServedVersion) -> list[dict[str, Any]]:
            rows = compute(version.program, pairs, rivals)
            by_pair = {pair_of(row): row for row in rows}
            for (source, deal_id), other in pairs:
                if ((source, deal_id), other) not in by_pair:
                    text = (
                        f"deal {deal_id!r} of {source!r} and deal {other[1]!r} of {other[0]!r} have no text to compare"
                    )
                    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, text)
            return [by_pair[pair] for pair in pairs]

        try:
            prediction = self._asker.ask(rows_of)
        except NotAnsweredError:
            self._record_failure(request_id, route, started, pairs)
            raise
        self._record(request_id, route, started, prediction, candidates)
        return prediction

    def _record(
        self, request_id: str, route: str, started: float, prediction: Prediction, candidates: int | None
    ) -> None:
        """Have every prediction of a request kept.

        Raises:
            UnavailableError: They cannot be kept.
        """
        facts = self._facts(request_id, route, started, candidates) | self._version_facts(prediction)
        self._log.confirm(
            [
                {
                    **facts,
                    "inference_id": f"{request_id}/{place}",
                    **{column: row[column] for column in PAIR_COLUMNS},
                    "features": strict_json(instance).decode(),
                    "probability": probability,
                    "is_duplicate": probability >= prediction.version.threshold,
                }
                for place, (row, instance, probability) in enumerate(
                    zip(prediction.rows, prediction.instances, prediction.probabilities, strict=True)
                )
            ]
        )

    def _record_failure(self, request_id: str, route: str, started: float, pairs: Sequence[Pair]) -> None:
        """Have it kept that the endpoint gave no answer: a rollout looks at the share of these."""
        facts = self._facts(request_id, route, started, None)
        self._log.confirm(
            [
                {
                    **facts,
                    "inference_id": f"{request_id}/{place}",
                    **dict(zip(PAIR_COLUMNS, (*left, *right), strict=True)),
                }
                for place, (left, right) in enumerate(pairs)
            ]
        )

    def record_nothing_found(self, request_id: str, route: str, started: float, deal: Key) -> None:
        """Have it kept that a deal had no candidates at all."""
        facts = self._facts(request_id, route, started, 0)
        self._log.confirm(
            [
                {
                    **facts,
                    "inference_id": f"{request_id}/none/{deal[0]}/{deal[1]}",
                    "left_source": deal[0],
                    "left_id": deal[1],
                }
            ]
        )

    def scored(self, prediction: Prediction, *, explain: Sequence[int] = (), features: bool = False) -> list[Scored]:
        """The answer's rows, in the order of the prediction's.

        Args:
            prediction: What the version said.
            explain: Places of the rows whose attributions are wanted.
            features: Whether the features are wanted.
        """
        instances = prediction.instances
        told = {}
        if explain:
            lists = top_attributions(
                [instances[i] for i in explain],
                [prediction.probabilities[i] for i in explain],
                prediction.version.means,
                lambda variants: self._asker.ask_again(prediction.version, variants),
            )
            told = dict(zip(explain, lists, strict=True))
        return [
            Scored(
                left=DealRef(source=row["left_source"], deal_id=row["left_id"]),
                right=DealRef(source=row["right_source"], deal_id=row["right_id"]),
                probability=probability,
                is_duplicate=probability >= prediction.version.threshold,
                top_attributions=told.get(place),
                features=instances[place] if features else None,
            )
            for place, (row, probability) in enumerate(zip(prediction.rows, prediction.probabilities, strict=True))
        ]

    def _facts(self, request_id: str, route: str, started: float, candidates: int | None) -> dict[str, Any]:
        return {
            "request_id": request_id,
            "answered_at": dt.datetime.now(dt.UTC).isoformat(),
            "route": route,
            "model": self._model,
            "candidates": candidates,
            "latency_ms": round((time.perf_counter() - started) * 1e3, 3),
        }

    def _version_facts(self, prediction: Prediction) -> dict[str, Any]:
        return {
            "version": prediction.version.version,
            "deployed_model_id": prediction.deployed_model,
            "run_id": prediction.version.run_id,
            "threshold": prediction.version.threshold,
            "endpoint_ms": round(prediction.endpoint_ms, 3),
        }


def pair_of(row: Mapping[str, Any]) -> Pair:
    """The pair that a row of the feature table is about."""
    return (row["left_source"], row["left_id"]), (row["right_source"], row["right_id"])

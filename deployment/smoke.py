"""The smoke test before a version gets traffic: known rows through an endpoint must equal ML.PREDICT.

Vertex AI has no way to ask a deployed version that gets no traffic, so the version is deployed alone on an endpoint of
its own, asked there, and taken away again; nobody else speaks to that endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deployment.endpoint import Endpoint, number_of, probability_of
from etl.errors import StateError
from etl.warehouse import Deadline


def smoke_test(
    endpoint: Endpoint,
    version: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    label: str,
    positive: bool | int | str | None,
    tolerance: float,
    deadline: Deadline | None = None,
) -> float:
    """Deploy a version on its own endpoint, ask it about known rows, and take it away.

    Args:
        endpoint: The model's second endpoint, which gets no traffic.
        version: Its version in the registry.
        rows: Rows with `expected`, what ML.PREDICT said, and `instance`, the features as JSON.
        label: Name of the label column.
        positive: The positive class; None where the label is a number.
        tolerance: Greatest difference between the two answers that is none; of numbers above 1 as a share of them.
        deadline: Until when to wait.

    Returns:
        The greatest difference that was seen.

    Raises:
        StateError: The answers differ, or the endpoint refuses the rows; the version is taken away all the same.
        StillRunning: Deploying goes on beyond the deadline; the same call attaches to it.
        UnavailableError: Vertex AI cannot be reached.
    """
    if not rows:
        raise StateError(f"there is no scored validation row to try version {version} with")
    endpoint.deploy(version, share=100, deadline=deadline)
    try:
        with endpoint.unless_taken_away(version):
            answer = endpoint.predict([json.loads(row["instance"]) for row in rows])
        if answer.version_id != version:
            raise StateError(f"version {answer.version_id} answered the smoke test of version {version}")
        said = [
            number_of(one, label) if positive is None else probability_of(one, label, positive)
            for one in answer.predictions
        ]
        worst = max(
            abs(one - float(row["expected"])) / max(1.0, abs(float(row["expected"])))
            for one, row in zip(said, rows, strict=True)
        )
        if not worst <= tolerance:
            raise StateError(
                f"version {version} failed its smoke test: of {len(rows)} known rows one got an answer that is "
                f"{worst:.3g} away from what ML.PREDICT says (at most {tolerance:g} is allowed). It got no traffic"
            )
    finally:
        # Also what a call that was killed has left there: Vertex AI takes the one with the traffic away only as the last.
        endpoint.clear(deadline=deadline)
    return worst

"""What people say about answers: every verdict is kept, and SQL decides which of them become labels."""

from __future__ import annotations

import uuid

from deployment.application import Application
from etl.names import Naming
from etl.query_parameters import Null
from etl.warehouse import JobKey
from functions.service.payloads import FeedbackAnswer, FeedbackRequest
from functions.service.policy import Feedback
from functions.service.values import ordered

# Two like verdicts of one person on one answer are one: a caller that tries again does no harm.
_NAMESPACE = uuid.UUID("6f1f4c0e-2d0b-4bb4-9d1e-0d5a3c9a7c11")


class FeedbackKeeper:
    """Keeps the verdicts on one model's answers.

    Args:
        app: bqloop in this environment.
        model: The model.
        policy: What becomes of verdicts.
    """

    def __init__(self, app: Application, model: str, policy: Feedback) -> None:
        templates = app.templates(model)
        tables = {"table": Naming.of(app.settings, model).tables(templates.stems(f"{model}/tables"))}
        self._model = model
        self._policy = policy
        self._warehouse = app.warehouse(model)
        self._insert = templates.render(f"{model}/serve/insert_feedback.sql", tables)
        self._make_labels = templates.render(f"{model}/serve/labels_from_feedback.sql", tables)

    def keep(self, request: FeedbackRequest, request_id: str) -> FeedbackAnswer:
        """Keep a verdict and make labels of what is settled; the same verdict again is the same feedback.

        Raises:
            UnavailableError: BigQuery cannot be reached.
        """
        left, right = ordered(request.left.key, request.right.key)
        verdict = "\n".join(
            [*left, *right, str(request.is_duplicate), request.given_by, request.request_id or request_id]
        )
        feedback_id = str(uuid.uuid5(_NAMESPACE, verdict))
        parameters = {
            "feedback_id": feedback_id,
            "left_source": left[0],
            "left_id": left[1],
            "right_source": right[0],
            "right_id": right[1],
            "is_duplicate": request.is_duplicate,
            "given_by": request.given_by,
            "reason": request.reason or Null("STRING"),
            "request_id": request.request_id or Null("STRING"),
            "origin": "review" if request.asked else "feedback",
        }
        run = f"{self._model}-feedback"
        self._warehouse.run(self._insert, JobKey(run, "feedback", feedback_id), parameters)
        labels = {"labels_per_voice": self._policy.labels_per_voice}
        self._warehouse.run(self._make_labels, JobKey(run, "labels", feedback_id), labels)
        return FeedbackAnswer(feedback_id=feedback_id, request_id=request_id)

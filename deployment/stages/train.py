"""Stage `train`: one `CREATE MODEL` a candidate, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deployment.stages.run import Outcome, Run
from deployment.stages.tables import of_run
from etl.errors import BqloopError, StatementError


@dataclass(frozen=True)
class Candidate:
    """What a template in `train/` may ask about the model that it makes.

    Attributes:
        name: The template's name.
        model: Back-quoted full name of the BigQuery model.
        vertex_ai_model_id: The one ID under which all versions stand in the registry; "" for a model that is only tried.
        aliases: Aliases of this version.
    """

    name: str
    model: str
    vertex_ai_model_id: str
    aliases: tuple[str, ...]


def candidate_alias(slug: str, candidate: str) -> str:
    """The alias of a run's candidate in the registry: letters, digits and hyphens, a letter first."""
    return re.sub(r"[^a-z0-9]+", "-", f"run-{slug}-{candidate}".lower()).strip("-")[:128]


def train(run: Run) -> Outcome:
    """Train every candidate; one that fails does not stop the others, but all of them failing does."""
    trained, failed = train_candidates(run, lambda name: _registered(run, name))
    reason = f"trained {', '.join(trained)}" + (f"; failed: {', '.join(failed)}" if failed else "")
    return Outcome(reason, next_stage="evaluate", details={"candidates": trained, "failed": failed})


def train_candidates(
    run: Run, candidate_of: Callable[[str], Candidate]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Train every candidate of the model, side by side.

    Returns:
        By name, what was trained: model, job_id, statement; and why the others failed.

    Raises:
        StatementError: Not one of them could be trained.
    """
    candidates = [candidate_of(name) for name in run.candidates]
    trained: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(candidates)), thread_name_prefix="train") as pool:
        futures = {candidate.name: pool.submit(_train_one, run, candidate) for candidate in candidates}
    for name, future in futures.items():
        error = future.exception()
        if error is None:
            trained[name] = future.result()
        elif isinstance(error, BqloopError) and not error.retryable:
            failed[name] = str(error)
        else:
            raise error
    if not trained:
        told = "\n".join(f"{name}: {why}" for name, why in failed.items())
        raise StatementError(f"no candidate could be trained:\n{told}")
    return trained, failed


def _registered(run: Run, name: str) -> Candidate:
    model = run.naming.candidate_model(run.slug, name)
    return Candidate(name, f"`{model}`", run.message.model, (candidate_alias(run.slug, name),))


def _train_one(run: Run, candidate: Candidate) -> dict[str, Any]:
    statement = of_run(run, candidate=candidate).render(f"{run.message.model}/train/{candidate.name}.sql")
    job = run.execute(statement, candidate.name)
    return {"model": candidate.model.strip("`"), "job_id": job.job_id, "statement": statement.text}

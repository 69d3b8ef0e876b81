"""Stage `train`: one `CREATE MODEL` a candidate, side by side."""

from __future__ import annotations

import re
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
        vertex_ai_model_id: The one ID under which all versions stand in the registry.
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
    candidates = list(run.candidates)
    trained: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(candidates)), thread_name_prefix="train") as pool:
        futures = {name: pool.submit(_train_one, run, name) for name in candidates}
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
    reason = f"trained {', '.join(trained)}" + (f"; failed: {', '.join(failed)}" if failed else "")
    return Outcome(reason, next_stage="evaluate", details={"candidates": trained, "failed": failed})


def _train_one(run: Run, name: str) -> dict[str, Any]:
    model = run.naming.candidate_model(run.slug, name)
    candidate = Candidate(name, f"`{model}`", run.message.model, (candidate_alias(run.slug, name),))
    statement = of_run(run, candidate=candidate).render(f"{run.message.model}/train/{name}.sql")
    job = run.execute(statement, name)
    return {"model": model, "job_id": job.job_id, "statement": statement.text}

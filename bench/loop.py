"""bqloop in one process for measurements: a throw-away local cloud, stages carried out here instead of by functions.

The stages, the SQL and the clients are the ones that serve; what is left out is Pub/Sub between them.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from deployment.application import Application
from deployment.cli.session import application
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from deployment.stages.train import candidate_alias
from etl.names import run_slug
from etl.sample_deals import World, day_batches, generate_labels
from etl.templates import Templates

MODEL = "deal_duplicates"


def ask_for_the_share(app: Application) -> None:
    """Let thresholds be chosen for the share of duplicates that is estimated among the candidates.

    The labels of the generated world are a selection, four duplicates in ten, as those of most reviewers are.
    """
    templates = app.templates(MODEL)
    policy = f"{MODEL}/model.yml"
    sources = {**templates.sources, policy: f"asked: sampled_features\n{templates.sources[policy]}"}
    # As if model.yml said so; only measurements have a policy of their own.
    app._templates[MODEL] = Templates(MODEL, sources)  # noqa: SLF001


class _Silent:
    """A publisher that leaves the successor to us."""

    def publish(self, message: StageMessage) -> str:
        return ""


@contextmanager
def throw_away_cloud() -> Iterator[Application]:
    """A local cloud on a temporary folder, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="bqloop-bench-") as folder:
        os.environ["BQLOOP_STATE"] = str(Path(folder) / "state")
        with application() as app:
            yield app


def carry_out(app: Application, run_id: str, as_of: dt.datetime, stages: tuple[str, ...]) -> dict[str, Any]:
    """Carry out stages of a run one after another.

    Returns:
        What the last one recorded.

    Raises:
        RuntimeError: A stage did not end well.
    """
    details: dict[str, Any] = {}
    for stage in stages:
        message = StageMessage(model=MODEL, run_id=run_id, stage=stage, as_of=as_of, options={"force": True})
        event = run_stage(app.run(message), _Silent())
        if event is None or event.status != "SUCCEEDED":
            raise RuntimeError(f"{run_id} {stage}: {event and event.status} {event and event.details.get('reason')}")
        details = dict(event.details)
    return details


def crown(app: Application, run_id: str, metrics: list[dict[str, Any]]) -> str:
    """Make the candidate that is best on validation champion, without a rollout; gives its version.

    Args:
        app: bqloop.
        run_id: The run that trained it.
        metrics: What the stage `evaluate` of that run recorded under that name.
    """
    judged = {row["name"]: row["average_precision"] for row in metrics if row["split"] == "validation"}
    alias = candidate_alias(run_slug(MODEL, run_id), max(judged, key=lambda name: judged[name]))
    return app.registry.put_champion(MODEL, alias).version_id


def load_day(app: Application, world: World, day: int, calendar_day: int, labels: int) -> None:
    """Put a generated day's deals and labels straight into the tables, as an import would in the end."""
    for batch in day_batches(world, day):
        arrived = dt.datetime.combine(world.first_day, dt.time(4), dt.UTC) + dt.timedelta(days=calendar_day)
        stamp = pa.array([arrived] * len(batch.deals), pa.timestamp("us", "UTC"))
        load(app, batch.deals.append_column("ingested_at", stamp), "raw_deals")
    if labels:
        rows = generate_labels(world, day, labels)
        rows = rows.append_column("origin", pa.array(["import"] * len(rows)))
        load(app, rows.append_column("ingested_at", rows["labelled_at"]), "labels")


def load(app: Application, rows: pa.Table, table: str) -> None:
    """Append rows to a table by a load job."""
    with tempfile.TemporaryFile() as file:
        pq.write_table(rows, file)
        file.seek(0)
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        target = f"{app.settings.project}.{app.settings.dataset}.{table}"
        app.bigquery.load_table_from_file(file, target, job_config=config).result()

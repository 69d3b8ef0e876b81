"""A local cloud that is stopped and started between stages: the run goes on where it was."""

import datetime as dt
import time
from pathlib import Path

from deployment.application import Application
from tests.e2e.conftest import Starter
from tests.e2e.test_loop import MODEL, PATIENCE, import_generated, publish_check, runs, wait_for

RUN = f"{MODEL}-restarted"


def wait_for_stage(app: Application, stage: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if any(e.stage == stage for e in app.ledger(MODEL).events(RUN)):
            return
        time.sleep(0.1)
    raise AssertionError(f"stage {stage} was not reached: {app.ledger(MODEL).events(RUN)}")


def test_a_run_goes_on_after_the_cloud_was_stopped_between_each_two_stages(
    start_cloud: Starter, tmp_path: Path
) -> None:
    with start_cloud(tmp_path) as (_, app):
        import_generated(app, tmp_path, 0, labels=700)
        publish_check(app, RUN, dt.datetime.now(dt.UTC))
        wait_for_stage(app, "features")
    for stage in ("train", "evaluate", "decide"):
        with start_cloud(tmp_path) as (_, app):
            wait_for_stage(app, stage)
    with start_cloud(tmp_path) as (_, app):
        row = wait_for(app, RUN)
        assert row["state"] == "PROMOTED", row["reason"]
        ended = [e.stage for e in app.ledger(MODEL).events(RUN) if e.status == "SUCCEEDED"]
        assert ended == ["check", "features", "train", "evaluate", "decide", "deploy"]
        assert list(runs(app)).count(RUN) == 1
        models = [m.model_id for m in app.bigquery.list_models(app.settings.dataset)]
        assert sorted(models) == [
            f"{MODEL}__restarted__{name}" for name in ("boosted_tree", "boosted_tree_shallow", "logistic_reg")
        ]

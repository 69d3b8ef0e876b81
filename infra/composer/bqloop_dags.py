"""The loop as Airflow DAGs, for a team that has Cloud Composer: the same stages, one task each, on the same schedules.

It stands beside a folder `bqloop`, which holds what the functions' archive holds; `bqloop package` puts both into
dist/composer.zip. The stages run in an environment of their own, made from the archive's locked requirements, so that
Composer's packages and theirs never meet. Either these DAGs or the functions' scheduler jobs drive a loop; where both do,
they find each other's runs in the ledger, and nothing is done twice.

BQLOOP_ENV names the environment, as everywhere; BQLOOP_PROJECT and the like are heeded too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from airflow.providers.standard.operators.python import PythonVirtualenvOperator, ShortCircuitOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, chain

SOURCE = Path(__file__).with_name("bqloop")
LOCK = SOURCE / "requirements.txt"
CHAIN = ("check", "features", "train", "evaluate", "decide", "deploy")
NOTHING_FOLLOWS = 99

SETTINGS = yaml.safe_load((SOURCE / "infra" / "environments" / f"{os.environ['BQLOOP_ENV']}.yaml").read_text())
# The instant up to which a scheduled run sees the data; a run that a person starts sees it up to now.
AS_OF = "{{ (data_interval_end or dag_run.run_after).isoformat() }}"
TRIES = {
    "retries": 3,
    "retry_delay": dt.timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": dt.timedelta(minutes=10),
}


def run_stage(
    source: str, stage: str, model: str, as_of: str, run: dict[str, Any] | None, follows: bool
) -> dict[str, Any] | None:
    """Carry out a stage; this function is copied into the stages' own environment, and knows nothing of this module."""
    import sys

    sys.path.insert(0, source)
    from functions.task import carry_out

    handed_on = carry_out(stage, model, as_of, run)
    if follows and handed_on is None:
        sys.exit(99)  # skipped, rejected, or held for a person: what follows is skipped, and nothing has failed
    return handed_on


def was_asked_for(message: dict[str, Any] | None) -> bool:
    """Whether the monitor handed a message to `check` on."""
    return message is not None


def task(stage: str, model: str, *, follows: bool = False) -> PythonVirtualenvOperator:
    """The task of one stage."""
    return PythonVirtualenvOperator(
        task_id=stage,
        python_callable=run_stage,
        op_args=[str(SOURCE), stage, model, AS_OF, "{{ dag_run.conf or None }}", follows],
        # Airflow reads requirements itself, and knows neither hashes nor other files; a changed lock is another comment.
        requirements=[f"# {hashlib.sha256(LOCK.read_bytes()).hexdigest()}"],
        pip_install_options=["--require-hashes", "--only-binary=:all:", "-r", str(LOCK)],
        venv_cache_path=os.environ.get("BQLOOP_ENVIRONMENTS") or f"{tempfile.gettempdir()}/bqloop-environments",
        system_site_packages=False,
        expect_airflow=False,
        skip_on_exit_code=NOTHING_FOLLOWS if follows else None,
        **TRIES,
    )


def dag(name: str, schedule: str, model: str) -> DAG:
    """A DAG on one of the environment's schedules, all of them in UTC."""
    return DAG(
        dag_id=name,
        schedule=SETTINGS["schedules"][schedule]["cron"],
        start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        catchup=False,
        max_active_runs=1,
        render_template_as_native_obj=True,
        tags=["bqloop", model],
    )


for model in SETTINGS["models"]:
    with dag(f"bqloop_{model}", "check", model) as loop:
        chain(*[task(stage, model, follows=stage != CHAIN[-1]) for stage in CHAIN])
    globals()[loop.dag_id] = loop
    for stage in ("rollout", "score", "monitor"):
        with dag(f"bqloop_{model}_{stage}", stage, model) as single:
            done = task(stage, model)
            if stage == "monitor":  # past its limits, drift asks for a run
                asked = ShortCircuitOperator(task_id="drifted", python_callable=was_asked_for, op_args=[done.output])
                run = TriggerDagRunOperator(task_id="retrain", trigger_dag_id=loop.dag_id, conf=done.output)
                asked >> run
        globals()[single.dag_id] = single

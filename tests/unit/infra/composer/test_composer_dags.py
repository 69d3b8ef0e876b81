"""The DAGs that Composer gets: every stage is in them, on the environment's schedules, in the order of the messages.

Airflow is not among this project's packages. Here a stand-in of four classes takes down what the file asks of it; Airflow
itself parses and runs the same file in test_airflow_runs.py.
"""

from __future__ import annotations

import ast
import hashlib
import runpy
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, get_args

import pytest
import yaml

from deployment.packaging.archives import write_zip
from deployment.packaging.contents import composer_files
from deployment.stages.message import Stage

ROOT = Path(__file__).resolve().parents[4]


class Dag:
    now: ClassVar[list[Dag]] = []

    def __init__(self, **given: Any) -> None:
        self.dag_id, self.given, self.tasks, self.order = given["dag_id"], given, {}, []  # type: ignore[var-annotated]

    def __enter__(self) -> Dag:
        Dag.now.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Dag.now.pop()


class Task:
    def __init__(self, *, task_id: str, **given: Any) -> None:
        self.task_id, self.given = task_id, given
        self.output = self
        self.dag = Dag.now[-1]
        self.dag.tasks[task_id] = self
        self.dag.order += [(a.task_id, task_id) for a in given.get("op_args", ()) if isinstance(a, Task)]

    def __rshift__(self, other: Task) -> Task:
        self.dag.order.append((self.task_id, other.task_id))
        return other


def chain(*tasks: Task) -> None:
    for place, task in enumerate(tasks[1:]):
        tasks[place] >> task


@pytest.fixture(scope="module", params=["dev", "prod"])
def dags(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dag]:
    folder = tmp_path_factory.mktemp("dags")
    with zipfile.ZipFile(write_zip(composer_files(ROOT), folder / "composer.zip").path) as packed:
        packed.extractall(folder)
    stand_ins = {
        "airflow.sdk": {"DAG": Dag, "chain": chain},
        "airflow.providers.standard.operators.python": {"PythonVirtualenvOperator": Task, "ShortCircuitOperator": Task},
        "airflow.providers.standard.operators.trigger_dagrun": {"TriggerDagRunOperator": Task},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BQLOOP_ENV", request.param)
        for name, content in stand_ins.items():
            module = ModuleType(name)
            vars(module).update(content)
            for parent in [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]:
                patch.setitem(sys.modules, parent, ModuleType(parent))
            patch.setitem(sys.modules, name, module)
        found = runpy.run_path(str(folder / "bqloop_dags.py"))
    made = {dag.dag_id: dag for dag in found.values() if isinstance(dag, Dag)}
    file = yaml.safe_load((ROOT / "infra" / "environments" / f"{request.param}.yaml").read_text())
    for dag in made.values():
        dag.given["environment"] = file
    return made


def stage_tasks(dags: dict[str, Dag]) -> dict[str, Task]:
    return {
        t.task_id: t
        for dag in dags.values()
        for t in dag.tasks.values()
        if "python_callable" in t.given and "requirements" in t.given
    }


def test_every_stage_is_a_task_of_one_dag(dags: dict[str, Dag]) -> None:
    tasks = [t for dag in dags.values() for t in dag.tasks if t in get_args(Stage)]
    assert sorted(tasks) == sorted(get_args(Stage))


def test_the_stages_of_a_run_follow_each_other_as_their_messages_do(dags: dict[str, Dag]) -> None:
    announced = {
        (path.stem, node.value.value)
        for path in (ROOT / "deployment" / "stages").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "next_stage" and isinstance(node.value, ast.Constant)
    }
    assert set(dags["bqloop_deal_duplicates"].order) | {("monitor", "check")} == announced
    assert dags["bqloop_deal_duplicates_monitor"].order == [("monitor", "drifted"), ("drifted", "retrain")]
    retrain = dags["bqloop_deal_duplicates_monitor"].tasks["retrain"]
    assert retrain.given["trigger_dag_id"] == "bqloop_deal_duplicates"


def test_schedules_are_the_environments(dags: dict[str, Dag]) -> None:
    for name, dag in dags.items():
        schedules = dag.given["environment"]["schedules"]
        schedule = schedules[name.removeprefix("bqloop_deal_duplicates").lstrip("_") or "check"]
        assert dag.given["schedule"] == schedule["cron"]
        assert schedule["time_zone"] == "Etc/UTC", "the DAGs' schedules are in UTC"
        assert dag.given["catchup"] is False
        assert dag.given["max_active_runs"] == 1


def test_a_stage_runs_with_locked_packages_alone_and_is_skipped_where_nothing_follows(dags: dict[str, Dag]) -> None:
    for name, task in stage_tasks(dags).items():
        *options, _, lock = task.given["pip_install_options"]
        assert {"--require-hashes", "--only-binary=:all:"} == set(options)
        assert task.given["requirements"] == [f"# {hashlib.sha256(Path(lock).read_bytes()).hexdigest()}"]
        assert task.given["system_site_packages"] is False
        follows = task.given["op_args"][-1]
        assert follows is (name in {"check", "features", "train", "evaluate", "decide"})
        assert task.given["skip_on_exit_code"] == (99 if follows else None)

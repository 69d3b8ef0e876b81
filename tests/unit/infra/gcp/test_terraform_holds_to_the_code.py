"""Terraform and Python read the same environment file; here what each makes of it is held against the other."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from deployment.application import Application
from deployment.packaging.contents import runtime_files
from deployment.setup import definitions
from deployment.stages.message import Stage
from etl.settings import Settings, load_settings
from functions import main as entry_points
from functions.service.feedback import FeedbackKeeper
from infra.local.provisioning import function_subscription, table_subscription
from tests.unit.infra.gcp.conftest import ENVIRONMENTS, GCP, PROJECT, ROOT, Evaluate

pytestmark = pytest.mark.parametrize("environment", ENVIRONMENTS)


def constants_of(call: ast.Call, keyword: str) -> list[str]:
    return [str(k.value.value) for k in call.keywords if k.arg == keyword and isinstance(k.value, ast.Constant)]


def announced_by_the_code() -> dict[str, list[str]]:
    """`next_stage="..."` in each stage's module: whom it announces its success to."""
    found = {}
    for path in (ROOT / "deployment" / "stages").glob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        if named := sorted({name for call in calls for name in constants_of(call, "next_stage")}):
            found[path.stem] = named
    return found


def environment_file(environment: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "infra" / "environments" / f"{environment}.yaml").read_text()))


def test_every_stage_has_its_function_and_its_entry_point_imports(environment: str, evaluated: Evaluate) -> None:
    stages = evaluated(environment)["stages"]
    assert set(stages) == {*get_args(Stage), "dead-letter"}
    for function in environment_file(environment)["functions"].values():
        assert callable(getattr(entry_points, function["entry_point"]))


def test_every_environment_has_the_functions_of_the_laptop(environment: str) -> None:
    assert environment_file(environment)["functions"] == environment_file("local")["functions"]


def test_every_topic_that_python_publishes_to_is_made(environment: str, evaluated: Evaluate) -> None:
    settings = load_settings(environment)
    wanted = {f.topic for f in settings.functions.values() if f.trigger == "pubsub"}
    wanted |= {s.topic for s in settings.schedules.values()}
    wanted |= {settings.delivery.dead_letter_topic, settings.inference_log.topic}
    assert set(evaluated(environment)["topics"]) == wanted


def test_a_scheduled_job_tells_the_model_to_a_stage_that_listens(environment: str, evaluated: Evaluate) -> None:
    here = evaluated(environment)
    listening = {stage["topic"] for stage in here["stages"].values()}
    assert {(j["topic"], j["model"]) for j in here["scheduled"].values()} == {
        (s["topic"], m) for s in here["file"]["schedules"].values() for m in here["file"]["models"]
    }
    assert {job["topic"] for job in here["scheduled"].values()} <= listening


def test_every_function_has_an_account_of_its_own_with_a_name_that_google_takes(
    environment: str, evaluated: Evaluate
) -> None:
    here = evaluated(environment)
    accounts = here["accounts"]
    assert set(accounts) == {*here["file"]["functions"], "delivery"}
    assert len(set(accounts.values())) == len(accounts)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", account) for account in accounts.values())


def test_a_stage_may_announce_exactly_the_stages_that_its_code_announces(environment: str, evaluated: Evaluate) -> None:
    assert evaluated(environment)["announces"] == announced_by_the_code()


def test_every_stage_may_hand_on_what_it_cannot_read(environment: str, evaluated: Evaluate) -> None:
    here = evaluated(environment)
    dead_letters = here["file"]["delivery"]["dead_letter_topic"]
    allowed = {p["from"] for p in here["publishes"].values() if p["topic"] == dead_letters}
    assert allowed == set(get_args(Stage))


def test_only_the_service_may_publish_predictions(environment: str, evaluated: Evaluate) -> None:
    here = evaluated(environment)
    topic = here["file"]["inference_log"]["topic"]
    assert [p["from"] for p in here["publishes"].values() if p["topic"] == topic] == ["service"]


def test_roles_are_given_for_functions_that_exist(environment: str, evaluated: Evaluate) -> None:
    here = evaluated(environment)
    functions = set(here["file"]["functions"])
    assert set(here["deals_role"]) == functions
    assert set(here["vertex_role"]) <= functions


def test_stages_that_build_tables_may_write_the_deals_and_no_other_may(environment: str, evaluated: Evaluate) -> None:
    roles = evaluated(environment)["deals_role"]
    stages = ROOT / "deployment" / "stages"
    # A stage builds a run's tables, or its models; single tables are test_role_matrix.py's matter.
    builds = {s for s in get_args(Stage) if ".build(" in (stages / f"{s}.py").read_text()} | {"train"}
    assert {name for name, role in roles.items() if role == "roles/bigquery.dataEditor"} == builds


def test_every_variable_is_a_setting_and_only_what_the_file_cannot_know_is_set(
    environment: str, evaluated: Evaluate
) -> None:
    variables = evaluated(environment)["variables"]
    keys = {f"BQLOOP_{name.upper()}" for name in Settings.model_fields}
    assert set(variables) <= keys | read_from_the_environment()
    assert variables == {
        "BQLOOP_ENV": environment,
        "BQLOOP_PROJECT": PROJECT,
        "BQLOOP_BUCKET": f"{PROJECT}-bqloop",
        "BQLOOP_GIT_SHA": "abc123",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
    }


def read_from_the_environment() -> set[str]:
    """Names that what is shipped reads by `os.environ`, settings aside."""
    texts = [content.decode() for name, content in runtime_files(ROOT).items() if name.endswith(".py")]
    return set(re.findall(r"os\.environ(?:\.get\(|\[)\"(\w+)\"", "\n".join(texts)))


def test_every_variable_that_python_reads_is_set(environment: str, evaluated: Evaluate) -> None:
    # Where the buffer lies is told for tests and other machines; without it, it lies below the temporary folder.
    optional = {"BQLOOP_INFERENCE_BUFFER"}
    of_the_image = set(re.findall(r"\b([A-Z_]+)=", (ROOT / "deployment/packaging/Dockerfile").read_text()))
    here = set(evaluated(environment)["variables"])
    assert read_from_the_environment() - optional <= here | of_the_image
    assert optional <= read_from_the_environment()


def test_settings_read_with_terraforms_variables_are_those_of_the_project(
    environment: str, evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in evaluated(environment)["variables"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.env, settings.project, settings.bucket) == (environment, PROJECT, f"{PROJECT}-bqloop")
    assert not any(settings.endpoints.model_dump().values()), "on Google Cloud the clients know the addresses"


def test_tables_that_must_exist_early_come_from_the_ddl_that_python_runs(environment: str, evaluated: Evaluate) -> None:
    settings = load_settings(environment, project=PROJECT)
    app = Application(settings)
    by_python = {text.text.strip() for text in definitions(app, "deal_duplicates")}
    by_terraform = evaluated(environment)["early_tables"]
    assert set(by_terraform) == {
        f"deal_duplicates_{t}" for t in ("inference_log", "feedback", "labels", "quarantined_rows")
    }
    for ddl in by_terraform.values():
        assert "{{" not in ddl
        assert ddl.strip() in by_python


def test_a_placeholder_is_no_project(environment: str) -> None:
    project = environment_file(environment)["project"]
    pattern = re.search(r'can\(regex\("(.+?)"', (GCP / "modules/continuous_training/project.tf").read_text())
    assert pattern is not None
    assert re.fullmatch(pattern[1], PROJECT)
    assert not re.fullmatch(pattern[1], project)


def test_subscriptions_are_called_as_on_the_laptop(environment: str, module: dict[str, Any]) -> None:
    subscriptions = module["resource"]["google_pubsub_subscription"]
    assert subscriptions["stage"]["name"] == "${each.value.topic}"
    assert function_subscription("a-topic") == "a-topic"
    told = subscriptions["inference_log"]["name"].replace("${local.file.inference_log.topic}", "a-topic")
    assert told == table_subscription("a-topic")


def test_the_root_passes_every_variable_of_its_own_to_the_module(environment: str, module: dict[str, Any]) -> None:
    root = GCP / "environments" / environment
    declared = set(re.findall(r'^variable "(\w+)"', (root / "variables.tf").read_text(), re.MULTILINE))
    text = (root / "main.tf").read_text()
    passed = dict(re.findall(r"^  (\w+) += (.+)$", text[text.index("module ") : text.index("output ")], re.MULTILINE))
    assert {name for name, value in passed.items() if value == f"var.{name}"} == declared
    assert set(passed) - {"source"} <= set(module["variable"])
    assert (passed["environment"], passed["deletion_protection"]) == ("local.environment", "local.deletion_protection")
    assert not set(re.findall(r"\blocal\.(\w+)", text)) - set(own_locals(root))


def test_a_root_says_of_its_own_only_what_differs(environment: str) -> None:
    root = GCP / "environments" / environment
    protected = "false" if environment == "dev" else "true"
    assert own_locals(root) == {"environment": f'"{environment}"', "deletion_protection": protected}
    assert {path.name for path in root.glob("*.tf") if not path.is_symlink()} == {"environment.tf"}


def own_locals(root: Path) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+) += (.+)$", (root / "environment.tf").read_text(), re.MULTILINE))


def test_terraform_is_formatted(environment: str) -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    folders: list[Path] = [GCP / "environments" / environment, GCP / "modules" / "continuous_training"]
    for folder in folders:
        done = subprocess.run(["terraform", "fmt", "-check", folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_service_writes_only_the_tables_that_verdicts_go_to(environment: str, evaluated: Evaluate) -> None:
    source = Path(FeedbackKeeper.__init__.__code__.co_filename).read_text()
    templates = re.findall(r"serve/(\w+)\.sql", source)
    texts = [(ROOT / "sql" / "deal_duplicates" / "serve" / f"{t}.sql").read_text() for t in templates]
    written = {name for text in texts for name in re.findall(r"INSERT INTO \{\{ table\.(\w+) \}\}", text)}
    assert set(evaluated(environment)["table_writes"]["service"]) == written


def test_there_is_an_alert_for_everything_that_must_wake_somebody(environment: str, evaluated: Evaluate) -> None:
    alerts = evaluated(environment)["alerts"]
    assert set(alerts) == {
        "failed-stage",
        "dead-letter",
        "stale-champion",
        "loop-stands-still",
        "canary-rolled-back",
        "no-prediction-logged",
        "predictions-not-landing",
        "service-errors",
        "cost",
    }
    for name, alert in alerts.items():
        assert (alert["limit"] is None) != (alert["silence"] is None), name
        assert alert["text"], name
    assert alerts["cost"]["limit"] == 10 * environment_file(environment)["budgets"]["maximum_bytes_billed"]


def test_every_log_metric_is_alerted_on_and_every_alert_on_a_log_has_its_metric(
    environment: str, evaluated: Evaluate
) -> None:
    here = evaluated(environment)
    prefix = "logging.googleapis.com/user/bqloop_"
    counted = {a["metric"].removeprefix(prefix) for a in here["alerts"].values() if a["metric"].startswith(prefix)}
    assert counted == set(here["log_metrics"])

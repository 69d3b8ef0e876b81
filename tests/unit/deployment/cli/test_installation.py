"""What doctor says about an installation: whole, and with one part after the other broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from google.cloud.pubsub_v1 import SubscriberClient

from deployment.application import Application
from deployment.cli.installation import Finding, examine_credentials, examine_installation, examine_names
from deployment.setup import prepare
from etl.settings import Settings, environment_file, load_settings
from infra.local.cloud import LocalCloud

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An installation whose functions answer nowhere: it is looked at, and not used."""
    config = yaml.safe_load(environment_file("local").read_text())
    state = tmp_path_factory.mktemp("cloud")
    cloud = LocalCloud(config, state, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        app = Application(load_settings("local"))
        prepare(app)
        for name in app.settings.functions:
            if app.settings.functions[name].trigger == "pubsub":
                push(app.settings, app.settings.functions[name].topic, "http://127.0.0.1:9/")
        yield app
    cloud.stop()


def push(settings: Settings, topic: str, endpoint: str) -> None:
    name = f"projects/{settings.project}/subscriptions/{topic}"
    with SubscriberClient() as subscriber:
        subscriber.modify_push_config(subscription=name, push_config={"push_endpoint": endpoint})


def broken(app: Application) -> dict[str, Finding]:
    return {f.what: f for f in examine_installation(app) if not f.ok}


def test_a_whole_installation_has_nothing_to_mend(app: Application) -> None:
    found = {f.what: f for f in examine_installation(app)}
    assert {f.what: f.found for f in found.values() if not f.ok} == {}
    assert {"tables", "delivery to check", "delivery to dead-letter", "inference log"} <= set(found)


def test_a_table_that_is_missing_is_named_with_its_mend(app: Application) -> None:
    app.bigquery.delete_table("bqloop.feedback")
    try:
        (finding,) = broken(app).values()
        assert (finding.what, finding.found, finding.mend) == ("tables", "missing: bqloop.feedback", "bqloop deploy")
    finally:
        prepare(app)


def test_a_stage_that_nothing_is_pushed_to_is_named(app: Application) -> None:
    push(app.settings, "bqloop-train", "")
    try:
        (finding,) = broken(app).values()
        assert (finding.what, finding.found) == ("delivery to train", "nothing is pushed to a function")
    finally:
        push(app.settings, "bqloop-train", "http://127.0.0.1:9/")


def test_a_subscription_that_is_gone_is_missing(app: Application) -> None:
    elsewhere = app.settings.model_copy(
        update={"inference_log": app.settings.inference_log.model_copy(update={"topic": "bqloop-nowhere"})}
    )
    (finding,) = broken(Application(elsewhere)).values()
    assert (finding.what, finding.found, finding.mend) == ("inference log", "missing", "bqloop deploy")


def test_a_log_that_lands_elsewhere_is_told(app: Application) -> None:
    elsewhere = app.settings.model_copy(
        update={"inference_log": app.settings.inference_log.model_copy(update={"table": "labels"})}
    )
    (finding,) = broken(Application(elsewhere)).values()
    assert "not to bqloop-local.bqloop.labels" in finding.found


def test_a_placeholder_and_regions_that_do_not_go_together_are_told() -> None:
    shipped = {f.what: f for f in examine_names(load_settings("prod"))}
    assert not shipped["project"].ok
    assert "BQLOOP_PROJECT" in shipped["project"].mend
    assert shipped["regions"].ok
    for location, region, fits in [
        ("EU", "europe-west4", True),
        ("EU", "us-central1", False),
        ("US", "us-east1", False),
    ]:
        settings = load_settings("prod", project="example-project-1", location=location, region=region)
        assert [f.ok for f in examine_names(settings)] == [True, fits]


def test_missing_credentials_are_told_with_their_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    finding = examine_credentials()
    assert not finding.ok
    assert finding.mend == "gcloud auth application-default login"

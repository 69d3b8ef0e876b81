"""What `bqloop deploy` should have left in an environment, looked at through Google's clients: is it there, is it whole?

Nothing is made or changed here: a look at prod must be safe at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import google.auth
from google.api_core import exceptions as api
from google.api_core import retry as api_retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1 import SubscriberClient

from deployment.application import Application
from etl.settings import Settings

_MEND = "bqloop deploy"
# A service that is away for longer is told as such.
_PATIENCE: dict[str, Any] = {"retry": api_retry.Retry(timeout=10.0), "timeout": 10.0}
_PLACEHOLDER = re.compile(r"[A-Z]")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What was looked at.
        ok: Whether it is as it should be.
        found: What there is.
        mend: What to do where it is not; "" where it is.
        looked: Whether it could be looked at; else `ok` says nothing.
    """

    what: str
    ok: bool
    found: str
    mend: str = ""
    looked: bool = True


def examine_names(settings: Settings) -> Iterator[Finding]:
    """Is the project named, and do BigQuery's location and the region of all the rest go together?"""
    named = not _PLACEHOLDER.search(settings.project)
    mend = "" if named else f"write its ID into infra/environments/{settings.env}.yaml, or set BQLOOP_PROJECT"
    yield Finding("project", named, settings.project, mend)
    fits = _goes_with(settings.location, settings.region)
    found = f"BigQuery in {settings.location}, all the rest in {settings.region}"
    # BigQuery registers a model in the one region of Vertex AI that goes with its dataset's location.
    mend = "" if fits else "US goes with us-central1, EU with europe-west4, and a region with itself"
    yield Finding("regions", fits, found, mend)


def examine_credentials() -> Finding:
    """Are there Application Default Credentials?"""
    try:
        credentials, _ = google.auth.default()
    except GoogleAuthError as error:
        return Finding(
            "credentials", False, str(error).split(".", maxsplit=1)[0], "gcloud auth application-default login"
        )
    return Finding("credentials", True, getattr(credentials, "service_account_email", "") or "a person's")


def examine_installation(app: Application) -> Iterator[Finding]:
    """Are the tables there, and does every stage's message reach its function, with back-off and dead letters?"""
    yield _look("tables", lambda: _tables(app))
    with SubscriberClient() as subscriber:
        for name, function in app.settings.functions.items():
            if function.trigger == "pubsub":
                yield _look(f"delivery to {name}", partial(_delivery, app.settings, subscriber, function.topic))
        log = app.settings.inference_log
        yield _look("inference log", lambda: _log(app.settings, subscriber, f"{log.topic}-bigquery"))


def _look(what: str, look: Callable[[], tuple[str, str]]) -> Finding:
    """A finding, from what there is and what is wrong with it."""
    try:
        found, wrong = look()
    except api.NotFound:
        return Finding(what, False, "missing", _MEND)
    except api.PermissionDenied as error:
        return Finding(what, False, str(error.message), "ask for a role that may look at it")
    except (api.GoogleAPICallError, api.RetryError) as error:
        return Finding(what, False, str(error), "is the service up, and its API enabled?")
    return Finding(what, not wrong, wrong or found, _MEND if wrong else "")


def _tables(app: Application) -> tuple[str, str]:
    settings = app.settings
    missing, there = [], 0
    wanted = {settings.ledger_dataset: {"events", "sources", "runs"}}
    for model in settings.models:
        wanted.setdefault(settings.dataset, set()).update(app.templates(model).stems(f"{model}/tables"))
    for dataset, tables in wanted.items():
        listed = app.bigquery.list_tables(f"{settings.project}.{dataset}", **_PATIENCE)
        names = {table.table_id for table in listed}
        there += len(tables & names)
        missing += [f"{dataset}.{table}" for table in sorted(tables - names)]
    return f"{there} tables and views", f"missing: {', '.join(missing)}" if missing else ""


def _delivery(settings: Settings, subscriber: SubscriberClient, topic: str) -> tuple[str, str]:
    subscription = subscriber.get_subscription(subscription=_path(settings, topic), **_PATIENCE)
    wrong = []
    if not subscription.push_config.push_endpoint:
        wrong.append("nothing is pushed to a function")
    letters = settings.delivery.dead_letter_topic
    if topic != letters and subscription.dead_letter_policy.dead_letter_topic != settings.topic_path(letters):
        wrong.append(f"no dead letters to {letters}")
    return subscription.push_config.push_endpoint, "; ".join(wrong)


def _log(settings: Settings, subscriber: SubscriberClient, name: str) -> tuple[str, str]:
    subscription = subscriber.get_subscription(subscription=_path(settings, name), **_PATIENCE)
    table = f"{settings.project}.{settings.dataset}.{settings.inference_log.table}"
    found = subscription.bigquery_config.table
    return f"lands in {found}", "" if found == table else f"it writes to {found or 'no table'}, not to {table}"


def _path(settings: Settings, subscription: str) -> str:
    return f"projects/{settings.project}/subscriptions/{subscription}"


def _goes_with(location: str, region: str) -> bool:
    return {"US": "us-central1", "EU": "europe-west4"}.get(location, location) == region

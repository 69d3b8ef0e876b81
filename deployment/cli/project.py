"""The Google Cloud project behind an environment, for `bqloop doctor`: APIs, permissions, quotas, what is installed.

Nothing is changed. What an account may not see is told as not looked at, with the role that would let it look: a doctor
that takes its own blindness for health, or for illness, is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from deployment.cli.google_apis import GoogleApis, MayNotLookError, NotThereError
from deployment.cli.installation import Finding
from etl.errors import UnavailableError
from etl.settings import Settings

# What the loop calls, and what installing it calls; infra/gcp enables them.
APIS = (
    "aiplatform",
    "artifactregistry",
    "bigquery",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "storage",
)
# What the command line needs to run, review, roll back and import, by a role that gives it.
PERMISSIONS = {
    "aiplatform.endpoints.deploy": "roles/aiplatform.user",
    "aiplatform.endpoints.predict": "roles/aiplatform.user",
    "aiplatform.models.update": "roles/aiplatform.user",
    "bigquery.jobs.create": "roles/bigquery.jobUser",
    "bigquery.tables.getData": "roles/bigquery.dataEditor",
    "bigquery.tables.updateData": "roles/bigquery.dataEditor",
    "pubsub.subscriptions.get": "roles/pubsub.viewer",
    "pubsub.topics.publish": "roles/pubsub.publisher",
}
_DEPLOY = "bqloop deploy"
_QUOTAS = "https://console.cloud.google.com/iam-admin/quotas"
_MIB = 2**20
_CPUS = re.compile(r"-(\d+)$")

Look = Callable[[], tuple[str, str, str]]


def examine_project(settings: Settings, apis: GoogleApis, *, git_sha: str = "") -> Iterator[Finding]:
    """Look at one thing after the other.

    Args:
        settings: The environment.
        apis: The way to Google's APIs.
        git_sha: The commit of this checkout; "" where it is not known.
    """
    for what, role, look in (
        ("APIs", "roles/serviceusage.serviceUsageViewer", partial(_enabled, settings, apis)),
        ("permissions", "roles/browser", partial(_permissions, settings, apis)),
        ("quota of queries", "roles/servicemanagement.quotaViewer", partial(_query_quota, settings, apis)),
        ("quota of serving", "roles/servicemanagement.quotaViewer", partial(_serving_quota, settings, apis)),
        ("dataset's location", "roles/bigquery.metadataViewer", partial(_location, settings, apis)),
        ("functions", "roles/cloudfunctions.viewer", partial(_functions, settings, apis, git_sha)),
        ("schedules", "roles/cloudscheduler.viewer", partial(_schedules, settings, apis)),
        ("prediction service", "roles/run.viewer", partial(_service, settings, apis)),
    ):
        yield _finding(what, role, look)


def _finding(what: str, role: str, look: Look) -> Finding:
    try:
        found, wrong, mend = look()
    except NotThereError:
        return Finding(what, False, "missing", _DEPLOY)
    except MayNotLookError as error:
        return Finding(what, True, f"not looked at: {error}", f"to look at it, {role}", looked=False)
    except UnavailableError as error:
        return Finding(
            what, True, f"not looked at: {error}", "ask again from where Google can be reached", looked=False
        )
    return Finding(what, not wrong, wrong or found, mend if wrong else "")


def _enabled(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    parent = f"projects/{settings.project}"
    names = [f"{parent}/services/{api}.googleapis.com" for api in APIS]
    told = apis.get("serviceusage", f"/v1/{parent}/services:batchGet", {"names": names})
    enabled = {s["name"].rsplit("/", 1)[1] for s in told.get("services", ()) if s.get("state") == "ENABLED"}
    missing = [f"{api}.googleapis.com" for api in APIS if f"{api}.googleapis.com" not in enabled]
    mend = f"gcloud services enable {' '.join(missing)} --project {settings.project}"
    return f"{len(APIS)} enabled", f"not enabled: {', '.join(missing)}" if missing else "", mend


def _permissions(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    path = f"/v3/projects/{settings.project}:testIamPermissions"
    told = apis.post("cloudresourcemanager", path, {"permissions": sorted(PERMISSIONS)})
    missing = sorted(set(PERMISSIONS) - set(told.get("permissions", ())))
    roles = ", ".join(sorted({PERMISSIONS[name] for name in missing}))
    mend = f"ask for {roles}; a role on a dataset or topic alone does as well, but is not seen from here"
    return f"all {len(PERMISSIONS)} of the command line", f"you lack {', '.join(missing)}" if missing else "", mend


def _query_quota(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    limit = _limit(settings, apis, "bigquery", "quota/query/usage", "1/d/{project}", {})
    budget = settings.budgets.maximum_bytes_billed
    if limit is None:
        return "no limit of bytes a day", "", ""
    wrong = f"{limit * _MIB:,} bytes a day, and one query may take {budget:,}" if limit * _MIB < budget else ""
    mend = f"raise it at {_QUOTAS}, or lower budgets.maximum_bytes_billed"
    return f"{limit * _MIB:,} bytes a day", wrong, mend


def _serving_quota(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    cpus = _CPUS.search(settings.serving.machine_type)
    # Champion and challenger side by side, each with all its replicas.
    wanted = 2 * settings.serving.max_replica_count * int(cpus[1]) if cpus else 0
    dimensions = {"region": settings.region}
    limit = _limit(settings, apis, "aiplatform", "custom_model_serving_cpus", "1/{project}/{region}", dimensions)
    if limit is None:
        return f"no limit; a rollout takes up to {wanted} CPUs", "", ""
    wrong = f"{limit} CPUs in {settings.region}, and a rollout takes up to {wanted}" if limit < wanted else ""
    mend = f"raise it at {_QUOTAS}, or lower serving.max_replica_count"
    return f"{limit} CPUs in {settings.region}; a rollout takes up to {wanted}", wrong, mend


def _limit(
    settings: Settings, apis: GoogleApis, service: str, metric: str, unit: str, dimensions: dict[str, str]
) -> int | None:
    """The limit in force; None where there is none. Of several buckets the narrowest that fits counts."""
    name = quote(f"{service}.googleapis.com/{metric}", safe="")
    path = f"/v1beta1/projects/{settings.project}/services/{service}.googleapis.com/consumerQuotaMetrics/{name}"
    try:
        told = apis.get("serviceusage", path)
    except NotThereError as error:
        raise UnavailableError(f"Google tells no quota {metric}; see {_QUOTAS}") from error
    buckets: list[dict[str, Any]] = [
        bucket
        for limit in told.get("consumerQuotaLimits", ())
        if limit.get("unit") == unit
        for bucket in limit.get("quotaBuckets", ())
        if bucket.get("dimensions", {}).items() <= dimensions.items()
    ]
    if not buckets:
        raise UnavailableError(f"Google tells no quota {metric} for {unit}; see {_QUOTAS}")
    narrowest = max(buckets, key=lambda bucket: len(bucket.get("dimensions", {})))
    # A value of zero is left out of JSON; -1 and the largest integer both mean no limit.
    value = int(narrowest.get("effectiveLimit", 0))
    return None if value < 0 or value == 2**63 - 1 else value


def _location(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    found = apis.get("bigquery", f"/bigquery/v2/projects/{settings.project}/datasets/{settings.dataset}")
    there = str(found.get("location", ""))
    wrong = (
        "" if there.upper() == settings.location.upper() else f"{there}, and the environment says {settings.location}"
    )
    return (
        there,
        wrong,
        "a dataset cannot be moved: write its location into the environment file, or take another dataset",
    )


def _functions(settings: Settings, apis: GoogleApis, git_sha: str) -> tuple[str, str, str]:
    parent = f"projects/{settings.project}/locations/{settings.region}"
    listed = apis.list("cloudfunctions", f"/v2/{parent}/functions", "functions")
    there = {f["name"].rsplit("/", 1)[1].removeprefix("bqloop-"): f for f in listed}
    stages = [name for name, f in settings.functions.items() if f.trigger == "pubsub"]
    wrong = [f"{name} is missing" for name in stages if name not in there]
    wrong += [
        f"{name} is {there[name].get('state')}"
        for name in stages
        if name in there and there[name].get("state") != "ACTIVE"
    ]
    commits = {
        str(there[name].get("serviceConfig", {}).get("environmentVariables", {}).get("BQLOOP_GIT_SHA", "unknown"))
        for name in stages
        if name in there
    }
    if len(commits) > 1:
        wrong.append(f"they are of different commits: {', '.join(sorted(c[:12] for c in commits))}")
    elif git_sha and commits and commits != {git_sha}:
        wrong.append(f"they run {commits.pop()[:12]}, and this checkout is {git_sha[:12]}")
    return f"{len(stages)} of commit {next(iter(commits), 'unknown')[:12]}", "; ".join(wrong), _DEPLOY


def _schedules(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    parent = f"projects/{settings.project}/locations/{settings.region}"
    there = {job["name"].rsplit("/", 1)[1]: job for job in apis.list("cloudscheduler", f"/v1/{parent}/jobs", "jobs")}
    wrong, mend = [], _DEPLOY
    for name, schedule in settings.schedules.items():
        for model in settings.models:
            job_id = f"bqloop-{name}-{model.replace('_', '-')}"
            job = there.get(job_id)
            if job is None:
                wrong.append(f"{job_id} is missing")
            elif job.get("state") != "ENABLED":
                wrong.append(f"{job_id} is {job.get('state')}")
                mend = (
                    f"gcloud scheduler jobs resume {job_id} --location {settings.region} --project {settings.project}"
                )
            elif job.get("schedule") != schedule.cron:
                wrong.append(f"{job_id} runs at {job.get('schedule')!r}, the environment says {schedule.cron!r}")
    return f"{len(settings.schedules) * len(settings.models)} on their schedules", "; ".join(wrong), mend


def _service(settings: Settings, apis: GoogleApis) -> tuple[str, str, str]:
    parent = f"projects/{settings.project}/locations/{settings.region}"
    told = apis.get("run", f"/v2/{parent}/services/bqloop-service")
    state = str(told.get("terminalCondition", {}).get("state", ""))
    wrong = (
        ""
        if state == "CONDITION_SUCCEEDED"
        else f"it is not ready: {told.get('terminalCondition', {}).get('message', state)}"
    )
    return str(told.get("uri", "")), wrong, "see its log; then bqloop deploy --service-image IMAGE@sha256:…"

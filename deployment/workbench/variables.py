"""What a template is given, for statements that are looked at and not run: names, and the types of parameters.

The parts of the loop that run a statement give it its values; here stand their types alone, by folder. A folder that is
not listed may use the loop's own parameters and those of model.yml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl.model_policy import ModelPolicy
from etl.names import Naming, run_slug
from etl.settings import Settings
from etl.templates import Templates

EXAMPLE_DATE = "2026-01-01"
LOOP = {"as_of": "TIMESTAMP", "run_id": "STRING", "model": "STRING"}
_FOLDERS: dict[str, dict[str, str]] = {
    "evaluate": {"champion_threshold": "FLOAT64"},
    "predict": {"threshold": "FLOAT64", "version": "STRING"},
    "monitor": {
        "since": "TIMESTAMP",
        "until": "TIMESTAMP",
        "days": "INT64",
        "drift_limit": "FLOAT64",
        "skew_limit": "FLOAT64",
        "version": "STRING",
        "champion": "STRING",
        "candidate": "STRING",
        "shadow_threshold": "FLOAT64",
        "inference_log_days": "INT64",
        "check_name": "STRING",
    },
    "import": {
        "import_id": "STRING",
        "ingested_at": "TIMESTAMP",
        "sources": "ARRAY<STRING>",
        "kind": "STRING",
        "file": "STRING",
    },
    "serve": {
        "since": "TIMESTAMP",
        "sources": "ARRAY<STRING>",
        "deal_ids": "ARRAY<STRING>",
        "keys": "ARRAY<STRING>",
        "labels_per_voice": "INT64",
    },
    "write": {
        "paths": "ARRAY<STRING>",
        "contents": "ARRAY<STRING>",
        "job_ids": "ARRAY<STRING>",
        "attempt": "INT64",
        "bytes_billed": "INT64",
        "slot_ms": "INT64",
        "turn": "INT64",
        "succession": "INT64",
        "claimant": "STRING",
        **dict.fromkeys(
            ("event_id", "stage", "status", "git_sha", "sql_sha", "details", "version", "instead_of"), "STRING"
        ),
    },
}
# Folders whose statements a part of the loop runs with parameters of its own; Google's analyzer infers their types.
LENIENT = frozenset({"monitor", "serve", "read", "review"})
_SCALARS = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}


def parameter_types(policy: ModelPolicy, path: str) -> dict[str, str]:
    """BigQuery type by name of the query parameters that the template at `path` may use."""
    found = dict(LOOP)
    for name, value in policy.parameters.items():
        if isinstance(value, list):
            found[name] = f"ARRAY<{_SCALARS[type(value[0])] if value else 'STRING'}>"
        else:
            found[name] = _SCALARS[type(value)]
    return found | _FOLDERS.get(path.split("/")[-2], {})


def staging_name(settings: Settings, model: str) -> str:
    """Full name of the table that an import's rows wait in."""
    return Naming.of(settings, model).table("import__example")


def request_name(settings: Settings, model: str) -> str:
    """Full name of the table of pairs that the prediction service is asked about."""
    return Naming.of(settings, model).table("request__pairs")


def context_of(
    settings: Settings,
    templates: Templates,
    path: str,
    tables: Mapping[str, Mapping[str, str]],
    policy: ModelPolicy,
    example: Mapping[str, Any],
) -> dict[str, Any]:
    """Every variable that the template at `path` may use, with feature columns as the analysed tables have them.

    Args:
        settings: The environment.
        templates: The model's SQL.
        path: The template, below `sql/`.
        tables: Types by column, by full name, of what has been analysed already.
        policy: The model's policy.
        example: What `example_context` gives.
    """
    model = templates.model
    naming = Naming.of(settings, model)
    training = naming.run_table(run_slug(model, f"{model}-{EXAMPLE_DATE}"), "training_features")
    features = {n: kind for n, kind in tables.get(training, {}).items() if n not in policy.not_features}
    context = dict(example)
    if features:
        context["feature_columns"] = list(features)
    typed = [(name, {"FLOAT64": "FLOAT", "INT64": "INTEGER"}.get(k, k)) for name, k in features.items()]
    context["features"] = typed or context["features"]
    context["shadow"] = {
        "model": f"`{naming.candidate_model('2026_01_01', 'shadow')}`",
        "features": typed,
    }
    target = policy.rows or ("labels" if "labels" in path.rsplit("/", 1)[-1] else "raw_deals")
    context["keys"] = policy.keys
    own = {"attributes", "content_hash", "import_id", "ingested_at", "labelled_at", "origin"}
    context["staging"] = f"`{staging_name(settings, model)}`"
    context["target"] = f"`{naming.table(target)}`"
    context["columns"] = [c for c in tables.get(naming.table(target), {"deal_id": ""}) if c not in own]
    return context


def given_tables(
    settings: Settings, policy: ModelPolicy, tables: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """The tables that no template builds: what an import and a request bring along."""
    naming = Naming.of(settings, policy.model)
    staged = {"line": "INT64", "reason": "STRING", "content": "STRING"}
    for name in (policy.rows,) if policy.rows else ("raw_deals", "labels"):
        staged |= dict(tables.get(naming.table(name), {}))
    staged |= {"attributes": "STRING", "content_hash": "INT64"}
    return {
        staging_name(settings, policy.model): staged,
        request_name(settings, policy.model): dict.fromkeys(policy.keys, "STRING"),
    }

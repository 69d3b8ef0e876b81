"""What would be dangerous in the Terraform, and is not in it."""

from __future__ import annotations

import re
from typing import Any

from tests.unit.infra.gcp.conftest import GCP, ROOT

_TEXT = "\n".join(p.read_text() for p in sorted(GCP.rglob("*.tf")))
_TOO_MUCH = ("roles/owner", "roles/editor", "roles/viewer", ".admin", "allUsers", "allAuthenticatedUsers")


def test_nobody_gets_a_role_that_can_do_everything_and_nothing_is_open_to_all(module: dict[str, Any]) -> None:
    granted = {
        f"{kind}.{name}": f"{body.get('role', '')} {body.get('member', '')}"
        for kind, named in module["resource"].items()
        if kind.endswith("_iam_member")
        for name, body in named.items()
    }
    assert len(granted) > 10
    assert not {where: grant for where, grant in granted.items() if any(word in grant for word in _TOO_MUCH)}
    roles = re.findall(r'"(roles/[\w.]+)"', _TEXT)
    assert not {role for role in roles if any(word in role for word in _TOO_MUCH)}


def test_no_grant_replaces_what_others_granted(module: dict[str, Any]) -> None:
    kinds = set(module["resource"])
    assert not {kind for kind in kinds if kind.endswith(("_iam_binding", "_iam_policy"))}


def test_no_key_of_an_account_is_made_and_no_secret_stands_in_a_file(module: dict[str, Any]) -> None:
    assert "google_service_account_key" not in module["resource"]
    environments = "".join(p.read_text() for p in (ROOT / "infra" / "environments").glob("*.yaml"))
    assert not re.search(r"(?i)(password|secret|private_key|api_key|token)\s*[:=]", _TEXT + environments)


def test_every_push_carries_a_token_for_exactly_that_function(module: dict[str, Any]) -> None:
    (push,) = module["resource"]["google_pubsub_subscription"]["stage"]["push_config"]
    (token,) = push["oidc_token"]
    assert token["service_account_email"] == '${google_service_account.function["delivery"].email}'
    assert push["push_endpoint"].startswith(token["audience"])


def test_a_stage_is_reached_from_inside_alone_and_opened_by_one_account_alone(module: dict[str, Any]) -> None:
    (config,) = module["resource"]["google_cloudfunctions2_function"]["stage"]["service_config"]
    assert config["ingress_settings"] == "ALLOW_INTERNAL_ONLY"
    invokers = [
        (kind, body["member"])
        for kind, named in module["resource"].items()
        for body in named.values()
        if body.get("role") == "roles/run.invoker"
    ]
    assert sorted(invokers) == [
        ("google_cloud_run_service_iam_member", '${google_service_account.function["delivery"].member}'),
        ("google_cloud_run_v2_service_iam_member", "${each.key}"),
    ]


def test_the_service_has_no_way_to_deploy_or_to_move_an_alias(module: dict[str, Any]) -> None:
    permissions = module["resource"]["google_project_iam_custom_role"]["asks"]["permissions"]
    assert permissions == [
        "aiplatform.endpoints.get",
        "aiplatform.endpoints.predict",
        "aiplatform.models.get",
        "aiplatform.models.list",
    ]


def test_every_function_runs_as_its_own_account(module: dict[str, Any]) -> None:
    (config,) = module["resource"]["google_cloudfunctions2_function"]["stage"]["service_config"]
    (template,) = module["resource"]["google_cloud_run_v2_service"]["service"]["template"]
    assert config["service_account_email"] == "${google_service_account.function[each.key].email}"
    assert template["service_account"] == "${google_service_account.function[each.key].email}"


def test_the_bucket_can_never_be_public(module: dict[str, Any]) -> None:
    bucket = module["resource"]["google_storage_bucket"]["artifacts"]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True


def test_what_alerts_count_is_what_the_code_logs() -> None:
    code = "".join(p.read_text() for folder in ("functions", "deployment") for p in (ROOT / folder).rglob("*.py"))
    counted = re.findall(r'jsonPayload\.(\w+)=\\"(\w+)\\"', _TEXT)
    assert {("alert", "dead_letter"), ("alert", "rolled_back"), ("alert", "stale_champion")} <= set(counted)
    for field, value in counted:
        assert field == "stage" or f'{field}="{value}"' in code, f"nothing logs {field}={value}"


def test_whatever_checkov_may_not_say_is_explained_where_it_is_silenced() -> None:
    skips = re.findall(r"checkov:skip=(\w+)(:?)(.*)", _TEXT)
    assert skips
    assert [name for name, _, why in skips if len(why.split()) < 5] == []
    assert not list(GCP.rglob(".checkov*")), "what is not looked at stands beside what it is about"

"""Resource types and arguments, held against what the provider itself declares (extract_provider_schema.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.gcp.conftest import MODULE

SCHEMA = json.loads((Path(__file__).parent / "provider_schema.json").read_text())
META = {"for_each", "count", "depends_on", "lifecycle", "provider"}


def faults(where: str, given: dict[str, Any], declared: dict[str, Any]) -> Iterator[str]:
    dynamic = {
        name: [block["content"]] if isinstance(block["content"], dict) else block["content"]
        for entry in given.get("dynamic", ())
        for name, block in entry.items()
    }
    arguments = {k: v for k, v in given.items() if k not in META | {"dynamic"}} | dynamic
    for name, value in arguments.items():
        if name not in declared:
            yield f"{where}: the provider has no argument {name!r}"
        elif inner := declared[name]["block"]:
            for block in value if isinstance(value, list) else [value]:
                if isinstance(block, dict):
                    yield from faults(f"{where}.{name}", block, inner)
    for name, told in declared.items():
        if told["required"] and name not in arguments:
            yield f"{where}: {name!r} is missing"


def test_every_argument_is_one_that_the_provider_has_and_none_that_it_wants_is_missing(module: dict[str, Any]) -> None:
    found = [
        fault
        for section in ("resource", "data")
        for kind, named in module[section].items()
        if kind.startswith("google_")
        for name, body in named.items()
        for fault in faults(f"{kind}.{name}", body, SCHEMA[section][kind])
    ]
    assert found == []


def test_every_reference_leads_to_something_that_is_declared(module: dict[str, Any]) -> None:
    text = "\n".join(re.sub(r"(?m)#.*$", "", p.read_text()) for p in MODULE.glob("*.tf"))
    declared = (module["resource"] | module["data"]).items()
    resources = {f"{kind}.{name}" for kind, named in declared for name in named}
    assert set(re.findall(r"\b((?:google|terraform)_\w+\.\w+)", text)) <= resources
    locals_ = set(re.findall(r"(?m)^  (\w+) += ", text))
    assert set(re.findall(r"\blocal\.(\w+)", text)) <= locals_
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(module["variable"])


def test_the_schema_is_of_the_provider_line_that_is_pinned() -> None:
    pinned = re.search(r'version = "~> ([0-9.]+)"', (MODULE / "versions.tf").read_text())
    assert pinned is not None
    assert SCHEMA["provider"].startswith(pinned[1] + ".")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "a", "topic": "b", "push": 1}, "no argument 'push'"),
        ({"name": "a"}, "'topic' is missing"),
        ({"name": "a", "topic": "b", "push_config": [{}]}, "push_config: 'push_endpoint' is missing"),
    ],
)
def test_the_check_sees_a_wrong_argument(given: dict[str, Any], told: str) -> None:
    found = list(faults("s", given, SCHEMA["resource"]["google_pubsub_subscription"]))
    assert len(found) == 1
    assert told in found[0]

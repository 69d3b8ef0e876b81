"""Writes provider_schema.json: the arguments of the resources that infra/gcp uses, as Google's own provider declares them.

The source is the PyPI package cdktf-cdktf-provider-google (49 MB, generated from the provider's schema), which is too large
to be a dependency of every checkout:

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1
    python tests/unit/infra/gcp/extract_provider_schema.py cdktf_cdktf_provider_google-16.12.1-py3-none-any.whl
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import hcl2

HERE = Path(__file__).parent
MODULE = HERE.parents[3] / "infra" / "gcp" / "modules" / "continuous_training"
Types = dict[str, dict[str, Any]]


def assembly(wheel: Path) -> tuple[str, Types]:
    """The provider's version and the types that the package declares."""
    with zipfile.ZipFile(wheel) as package:
        inner = next(n for n in package.namelist() if n.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(inner))) as archive:
            member = archive.extractfile("package/.jsii")
            assert member is not None
            content = json.loads(member.read())
    version = re.search(r"hashicorp/google/([0-9.]+)", json.dumps(content["readme"]))
    assert version is not None
    return version[1], content["types"]


def arguments(types: Types, type_name: str) -> dict[str, Any]:
    """Every argument of a block: whether it must be given, and the arguments inside where it is a block itself."""
    found = {}
    for declared in types[type_name].get("properties", ()):
        # The documentation's link ends with the argument's name in Terraform.
        told = re.search(r"docs/(?:resources|data-sources)/\w+#(\w+)", json.dumps(declared["docs"]))
        if told is None:
            continue
        inner = [t for t in re.findall(r'"fqn": "([^"]+)"', json.dumps(declared["type"])) if t in types]
        found[told[1]] = {
            "required": not declared.get("optional", False),
            "block": arguments(types, inner[0]) if inner else None,
        }
    return found


def type_of(types: Types, kind: str, *, data: bool) -> str:
    """The declared type of a resource's arguments."""
    words = kind.removeprefix("google_").split("_")
    camel = "".join(w[:1].upper() + w[1:] for w in words)
    ending = f".{'DataGoogle' if data else ''}{camel}"
    for suffix in ("Config", "AConfig"):
        for name in types:
            if name.endswith(ending + suffix):
                return name
    raise SystemExit(f"{kind} is not declared")


def main() -> None:
    """Write the file."""
    version, types = assembly(Path(sys.argv[1]))
    schema: dict[str, Any] = {"provider": version, "resource": {}, "data": {}}
    for path in MODULE.glob("*.tf"):
        parsed = hcl2.loads(path.read_text(encoding="utf-8"))
        for section in ("resource", "data"):
            for block in parsed.get(section, ()):
                kind = next(iter(block)).strip('"')
                if kind.startswith("google_"):
                    name = type_of(types, kind, data=section == "data")
                    schema[section][kind] = arguments(types, name)
    text = json.dumps(schema, indent=0, sort_keys=True)
    (HERE / "provider_schema.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

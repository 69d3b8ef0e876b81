"""The archives that are shipped: what is in them, what is not, and that they come out the same every time."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from deployment.packaging.archives import write_tar_gz, write_zip
from deployment.packaging.contents import composer_files, imported_modules, runtime_files, service_files
from etl.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[4]


def house(root: Path, **modules: str) -> Path:
    for name, text in modules.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for package in path.relative_to(root).parents[:-1]:
            (root / package / "__init__.py").touch()
    return root


def test_the_same_content_gives_the_same_bytes_at_another_time_in_another_order(tmp_path: Path) -> None:
    files = {"b.py": b"2", "a/c.py": b"3" * 100_000, "a.py": b"1"}
    for write in (write_zip, write_tar_gz):
        first = write(files, tmp_path / "first")
        time.sleep(1.1)  # the formats' clocks tick in seconds
        second = write(dict(reversed(files.items())), tmp_path / "elsewhere" / "second")
        assert first.sha256 == second.sha256
        assert (tmp_path / "first").read_bytes() == (tmp_path / "elsewhere" / "second").read_bytes()


def test_other_content_gives_another_hash(tmp_path: Path) -> None:
    assert write_zip({"a": b"1"}, tmp_path / "a").sha256 != write_zip({"a": b"2"}, tmp_path / "b").sha256


def test_archives_unpack_to_what_was_put_in(tmp_path: Path) -> None:
    files = {"main.py": b"x = 1\n", "sql/ä.sql": b"SELECT 1"}
    with zipfile.ZipFile(write_zip(files, tmp_path / "f.zip").path) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == files
    with tarfile.open(write_tar_gz(files, tmp_path / "f.tar.gz").path) as packed_tar:
        members = packed_tar.getmembers()
        assert {m.name: packed_tar.extractfile(m).read() for m in members} == files  # type: ignore[union-attr] # regular files
        assert {(m.uid, m.gid, m.mtime, m.mode) for m in members} == {(0, 0, 0, 0o644)}


def test_nothing_of_the_laptop_the_command_line_or_the_tests_is_shipped() -> None:
    names = set(service_files(ROOT))
    unwanted = ("infra/local", "deployment/cli", "tests/", "bench/", "etl/ingest", "etl/sample_deals")
    assert not [n for n in names if n.startswith(unwanted)]
    assert "infra/environments/local.yaml" not in names
    locked = runtime_files(ROOT)["requirements.txt"].decode()
    assert not [p for p in ("bqemulator", "scikit-learn", "xgboost", "pandas=", "typer") if f"\n{p}" in locked]


def test_every_sql_file_and_every_cloud_environment_is_shipped() -> None:
    names = set(runtime_files(ROOT))
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "sql").rglob("*.sql")} <= names
    assert {f"infra/environments/{env}.yaml" for env in ("dev", "staging", "prod")} <= names
    assert {"main.py", "requirements.txt", "sql/deal_duplicates/model.yml"} <= names


def test_composer_gets_the_dags_beside_what_their_tasks_run_and_looks_for_dags_nowhere_else() -> None:
    files = composer_files(ROOT)
    assert {name.removeprefix("bqloop/") for name in files if name.startswith("bqloop/")} == set(runtime_files(ROOT))
    assert {name for name in files if not name.startswith("bqloop/")} == {"bqloop_dags.py", ".airflowignore"}
    ignored = [re.compile(line) for line in files[".airflowignore"].decode().splitlines()]
    assert {name for name in files if name.endswith(".py") and not any(i.match(name) for i in ignored)} == {
        "bqloop_dags.py"
    }


def test_every_locked_package_has_its_hashes() -> None:
    lock = runtime_files(ROOT)["requirements.txt"].decode()
    entries = [e for e in lock.replace("\\\n", " ").splitlines() if e and not e.lstrip().startswith("#")]
    assert len(entries) > 30
    assert not [e for e in entries if "==" not in e or "--hash=sha256:" not in e]


def test_imports_inside_functions_and_of_modules_by_name_are_followed(tmp_path: Path) -> None:
    root = house(
        tmp_path,
        functions__main="def f():\n    from functions.service import routes\n    import etl.names\n",
        functions__service__routes="",
        functions__service__unused="",
        etl__names="import os\n",
    )
    assert set(imported_modules(root, "functions.main")) == {
        "functions",
        "functions.main",
        "functions.service",
        "functions.service.routes",
        "etl",
        "etl.names",
    }


def test_what_a_package_reads_from_its_own_folder_is_shipped_with_it(tmp_path: Path) -> None:
    pages = {"etl__pages__page": "", "etl__other__page": ""}
    root = house(tmp_path, functions__main="import etl.pages.page\n", functions__task="", **pages)
    for name in ("etl/pages/page.html", "etl/pages/README.md", "etl/other/page.html"):
        (root / name).write_text("x")
    (root / "requirements.lock").touch()
    assert {n for n in runtime_files(root) if not n.endswith(".py")} == {"etl/pages/page.html", "requirements.txt"}


def test_a_module_that_is_imported_but_missing_is_named(tmp_path: Path) -> None:
    root = house(tmp_path, functions__main="import etl.gone\n")
    with pytest.raises(ConfigurationError, match=r"etl\.gone"):
        imported_modules(root, "functions.main")


def test_a_missing_lock_is_named_with_its_mend(tmp_path: Path) -> None:
    house(tmp_path, functions__main="", functions__task="")
    with pytest.raises(ConfigurationError, match=r"requirements\.lock.*make lock"):
        runtime_files(tmp_path)


def test_the_container_runs_as_nobody_special_and_takes_only_locked_wheels() -> None:
    dockerfile = service_files(ROOT)["Dockerfile"].decode()
    assert "--require-hashes --only-binary :all:" in dockerfile
    assert "\nUSER 10001\n" in dockerfile
    assert not [word for word in ("ADD ", "curl", "latest", "sudo") if word in dockerfile]


def test_everything_that_is_imported_is_locked() -> None:
    files = runtime_files(ROOT)
    trees = [ast.parse(content) for name, content in files.items() if name.endswith(".py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    tops = {m.split(".")[0] for m in modules if not m.startswith("google")} - sys.stdlib_module_names
    own = {"sql", "etl", "deployment", "functions"}
    locked = set(re.findall(r"(?m)^([a-z0-9._-]+)==", files["requirements.txt"].decode()))
    providers = importlib.metadata.packages_distributions()
    missing = {
        top for top in tops - own if not {re.sub("[-_.]+", "-", p.lower()) for p in providers.get(top, ())} & locked
    }
    assert missing == set()

"""Which files run on Google Cloud: what the entry points import, the SQL, and the cloud's environment files.

Found by following the imports, so that neither the command line nor the laptop's cloud can slip in, and nothing that
a stage needs can be forgotten.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from etl.errors import ConfigurationError

# What Cloud Functions and Cloud Run start, and what an orchestrator's task calls.
ENTRY_POINTS = ("functions.main", "functions.task")
_DAGS = "infra/composer/bqloop_dags.py"
# Airflow reads every Python file below its folder for DAGs; these hold none.
_IGNORED_BY_AIRFLOW = b"bqloop/.*\n"
LOCK = "requirements.lock"
# Cloud Functions look for main.py at the top; the entry points stay where a reader of the repository expects them.
_MAIN = "from functions.main import *\n"
_PACKAGES = ("sql", "etl", "deployment", "functions", "infra")


def runtime_files(root: Path) -> dict[str, bytes]:
    """What the functions' archive holds: content by name.

    Args:
        root: The repository.

    Raises:
        ConfigurationError: Something that is imported, or the lock, is not there.
    """
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in _paths(root)}
    lock = root / LOCK
    if not lock.is_file():
        raise ConfigurationError(f"{LOCK} is missing in {root}; make it with: make lock")
    return {**files, "main.py": _MAIN.encode(), "requirements.txt": lock.read_bytes()}


def service_files(root: Path) -> dict[str, bytes]:
    """What the container's context holds: the functions' files and the Dockerfile."""
    dockerfile = Path(__file__).with_name("Dockerfile").read_bytes()
    return {**runtime_files(root), "Dockerfile": dockerfile}


def composer_files(root: Path) -> dict[str, bytes]:
    """What goes into the folder `dags/` of a Cloud Composer environment: the DAGs, and what their tasks run."""
    stages = {f"bqloop/{name}": content for name, content in runtime_files(root).items()}
    return {**stages, "bqloop_dags.py": (root / _DAGS).read_bytes(), ".airflowignore": _IGNORED_BY_AIRFLOW}


def imported_modules(root: Path, *start: str) -> Mapping[str, Path]:
    """Every first-party module that `start` imports, directly or through others, inside functions too; and those.

    Raises:
        ConfigurationError: A module that is imported is not there.
    """
    found: dict[str, Path] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _module_path(root, name)
        if path is None:
            raise ConfigurationError(f"{name} is imported by what runs on Google Cloud, but is not in {root}")
        found[name] = path
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)
        waiting += [m for m in _imports(root, path) if m.split(".")[0] in _PACKAGES]
    return found


def _paths(root: Path) -> Iterator[Path]:
    modules = set(imported_modules(root, *ENTRY_POINTS).values())
    yield from modules
    for package in {path.parent for path in modules if path.name == "__init__.py"} - {root / "sql"}:
        # What a package reads from its own folder, such as the templates of a page.
        yield from (p for p in package.iterdir() if p.is_file() and p.suffix not in {".py", ".md", ".pyc"})
    for folder, pattern in (("sql", "*.sql"), ("sql", "*.yml")):
        yield from (root / folder).rglob(pattern)
    for path in (root / "infra" / "environments").glob("*.yaml"):
        if path.stem != "local":  # the laptop's; a function has no business there
            yield path


def _module_path(root: Path, name: str) -> Path | None:
    stem = root.joinpath(*name.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((p for p in candidates if p.is_file()), None)


def _imports(root: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            # `from package import name`: the name may be a module, too.
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in inner if _module_path(root, name) is not None)

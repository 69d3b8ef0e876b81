"""The command `sql test`: the cases of `tests/sql` on a local BigQuery that lives as long as they run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from deployment.cli.session import OPTIONS, ROOT, model_of, print_json
from deployment.cli.sql_files import template_path
from deployment.workbench.cases import Bench, find_cases
from etl.errors import BqloopError, InputError
from etl.settings import load_settings
from etl.templates import Templates

CASES = ROOT / "tests" / "sql"


class _NoRegistry:
    """Takes models that ask to be registered, and forgets them: nothing is deployed from here."""

    def register(
        self,
        *,
        project: str,
        location: str,
        vertex_ai_model_id: str,
        aliases: Sequence[str],
        bigquery_model: str,
        model_dir: Path,
        model_type: str,
        labels: Mapping[str, str],
    ) -> str:
        return "1"

    def unregister(self, bigquery_model: str) -> None:
        pass


@contextmanager
def local_bench(templates: Templates) -> Iterator[Bench]:
    """A bench on a local BigQuery of its own, which is gone afterwards."""
    # Imported here, because the other commands are used where infra.local's packages are not installed.
    from infra.local.bigquery import BigQueryServer

    with tempfile.TemporaryDirectory(prefix="bqloop-cases-") as folder:
        settings = load_settings("local")
        state = Path(folder)
        server = BigQueryServer(
            state / "state", project=settings.project, registry=_NoRegistry(), storage_root=state / "storage"
        )
        server.start()
        try:
            client = bigquery.Client(
                settings.project,
                AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google.auth has no types
                location=settings.location,
                client_options={"api_endpoint": server.endpoint},
            )
            endpoints = settings.endpoints.model_copy(update={"bigquery": server.endpoint})
            yield Bench(client, settings.model_copy(update={"endpoints": endpoints}), templates)
        finally:
            server.stop()


def run_cases(
    files: Annotated[list[Path] | None, typer.Argument(help="Files under sql/; default: all that have cases.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Run the cases of tests/sql: given rows through the SQL, compared with expected rows.

    Example: bqloop sql test deal_duplicates/checks/ends_before_start.sql
    """
    named = [template_path(file) for file in files or ()]
    settings = load_settings("local")
    model = model_of(settings)
    templates = Templates.from_tree(model)
    cases = [case for case in find_cases(CASES, named) if case.path in templates.sources]
    if model != settings.models[0]:
        # The cases of what all models share speak of the first one's tables.
        cases = [case for case in cases if case.path.startswith(f"{model}/")]
    if not cases:
        wanted = f"{named[0].removesuffix('.sql')}/<case>.yml" if named else "<path of the file>/<case>.yml"
        raise InputError(f"there is no case. You can write one in tests/sql/{wanted}; sql/README.md says how")
    told: list[dict[str, object]] = []
    with local_bench(templates) as bench:
        for case in cases:
            try:
                result = bench.run(case)
                passed, message = result.passed, str(result)
            except BqloopError as error:
                passed, message = False, f"{case.file}: {error}"
            shown = message.replace(f"{ROOT}/", "")
            told.append({"case": str(case.file.relative_to(ROOT)), "passed": passed, "message": shown})
            if not as_json:
                OPTIONS.console.print(shown, markup=False, highlight=False, soft_wrap=True)
    failed = sum(not entry["passed"] for entry in told)
    if as_json:
        print_json(told)
    else:
        OPTIONS.errors.print(f"{len(told) - failed} of {len(told)} cases passed")
    if failed:
        raise typer.Exit(1)

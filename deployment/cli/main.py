"""The command line put together: options, commands, and errors as people read them.

Commands only read their arguments, call the loop, and show what came of it.
"""

from __future__ import annotations

import sys
from typing import Annotated

import structlog
import typer

from deployment.cli import (
    delivery,
    demo,
    doctor,
    evaluation,
    export,
    imports,
    index,
    labels,
    loop,
    monitoring,
    new,
    promotion,
    runs,
    sql_case,
    sql_cases,
    sql_files,
    sql_preview,
    try_change,
)
from deployment.cli.session import OPTIONS
from etl.errors import BqloopError

app = typer.Typer(
    name="bqloop",
    help="Keep a BigQuery ML model fresh, and find duplicate deals with it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(loop.up)
app.add_typer(imports.app, name="import")
app.command()(labels.labels)
app.command()(loop.retrain)
app.command()(loop.status)
app.command()(loop.history)
app.command()(loop.cost)
app.command()(evaluation.evaluate)
app.command()(loop.score)
app.command()(monitoring.monitor)
app.command()(export.export)
app.command()(promotion.review)
app.command()(promotion.approve)
app.command()(promotion.reject)
app.command()(promotion.rollback)
app.command()(doctor.doctor)
app.command()(index.index)
app.command()(delivery.package)
app.command()(delivery.deploy)
app.add_typer(runs.app, name="runs")
app.add_typer(new.app, name="new")
sql_files.app.command("test")(sql_cases.run_cases)
sql_files.app.command("case")(sql_case.make_case)
sql_files.app.command()(sql_preview.preview)
app.add_typer(sql_files.app, name="sql")
app.command("try")(try_change.try_sql)


@app.callback()
def _options(
    env: Annotated[
        str, typer.Option(help="The environment: a file in infra/environments/.", envvar="BQLOOP_ENV")
    ] = "local",
    model: Annotated[str, typer.Option(help="The model: a folder in sql/. Default: the environment's first.")] = "",
) -> None:
    OPTIONS.env, OPTIONS.model = env, model


def main() -> None:
    """Run the command line; errors meant for people end it with their text and exit code 1."""
    # What a command prints is for pipes; what is told beside it is not.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except BqloopError as error:
        OPTIONS.errors.print(f"[bold red]{type(error).__name__}[/]", end=" ")
        OPTIONS.errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

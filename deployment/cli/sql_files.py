"""Commands about the SQL: `sql list` and `sql render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.table import Table

import sql
from deployment.cli.session import OPTIONS, model_of, print_json
from deployment.sql_preview import describe_files, render_file
from etl.settings import load_settings
from etl.templates import Templates

app = typer.Typer(help="Look at the SQL: what there is, and what BigQuery gets.", no_args_is_help=True)


@app.command("list")
def list_files(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """List the model's SQL files: what each builds and which tables it needs.

    Example: bqloop sql list
    """
    settings = load_settings(OPTIONS.env)
    rows = describe_files(settings, Templates.from_tree(model_of(settings)))
    if as_json:
        print_json(rows)
        return
    table = Table("file", "builds", "needs", title_justify="left")
    for row in rows:
        table.add_row(row["file"], row["builds"], ", ".join(row["needs"]))
    OPTIONS.console.print(table)


@app.command()
def render(
    file: Annotated[Path, typer.Argument(help="A file under sql/, with or without that prefix.")],
    run: Annotated[str, typer.Option(help="The run whose tables are named.")] = "",
) -> None:
    """Print the statement that BigQuery gets, ready for the console.

    Example: bqloop sql render deal_duplicates/features/clean_deals.sql
    """
    settings = load_settings(OPTIONS.env)
    path = file.resolve().relative_to(sql.ROOT) if file.resolve().is_relative_to(sql.ROOT) else file
    text = render_file(
        settings, Templates.from_tree(model_of(settings)), path.as_posix().removeprefix("sql/"), run
    ).text
    if OPTIONS.console.is_terminal:
        OPTIONS.console.print(Syntax(text, "sql", word_wrap=True))
    else:
        typer.echo(text, nl=False)

"""Commands about the SQL that only look at it: `sql list`, `sql render`, `sql check` and `sql diff`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

import sql
from deployment.cli.session import OPTIONS, ROOT, application, model_of, print_json
from deployment.sql_preview import describe_file, describe_files, render_file
from deployment.workbench.check import check as check_sql
from deployment.workbench.check import readers_of, style
from deployment.workbench.difference import changed_columns, differences, templates_at
from deployment.workbench.lineage import trace_columns
from deployment.workbench.project import analyse_project
from deployment.workbench.query_price import price
from deployment.workbench.rehearsal import rehearse
from deployment.workbench.row_difference import RowDifference, compare_rows
from etl.errors import InputError
from etl.settings import Settings, load_settings
from etl.templates import Templates

# Rows that only one version gives, of which so many are shown.
_SHOWN = 5

app = typer.Typer(help="Look at the SQL: what there is, and what BigQuery gets.", no_args_is_help=True)


@app.command("list")
def list_files(
    file: Annotated[Path | None, typer.Argument(help="A file under sql/; default: all, without their columns.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the model's SQL files: what each builds and which tables it needs.

    With FILE, its columns: what each is, from what it is computed, and from which columns of what came in in the end.

    Example: bqloop sql list deal_duplicates/features/pair_signals.sql
    """
    settings = load_settings(OPTIONS.env)
    templates = Templates.from_tree(model_of(settings))
    rows = describe_files(settings, templates)
    if file is not None:
        _list_columns(settings, templates, template_path(file), as_json)
        return
    if as_json:
        print_json(rows)
        return
    table = Table("file", "builds", "needs", title_justify="left")
    for row in rows:
        table.add_row(row["file"], row["builds"], ", ".join(row["needs"]))
    OPTIONS.console.print(table)


def _list_columns(settings: Settings, templates: Templates, path: str, as_json: bool) -> None:
    known_file(templates, path)
    header = describe_file(templates, path)
    traced = trace_columns(settings, templates, path)
    columns, inputs = traced.columns.get(path, []), traced.inputs.get(path, [])
    if as_json:
        print_json(
            {
                "file": f"sql/{path}",
                "builds": header,
                "inputs": inputs,
                "columns": [asdict(column) for column in columns],
            }
        )
        return
    OPTIONS.console.print(
        f"sql/{path}\n{header}\nreads {', '.join(inputs) or 'no table'}", markup=False, highlight=False
    )
    table = Table("column", "what it is", "computed from", "in the end from")
    for column in columns:
        places = [", ".join(f"{table}.{name}" for table, name in ends) for ends in (column.reads, column.roots)]
        table.add_row(column.name, Text(column.description or column.type), *map(Text, places))
    if columns:
        OPTIONS.console.print(table)
    else:
        OPTIONS.console.print("Its columns cannot be traced: sqlglot does not take the statement.")


def known_file(templates: Templates, path: str) -> None:
    """Refuse a file that there is not.

    Raises:
        InputError: There is none.
    """
    if path not in templates.sources:
        raise InputError(f"file: there is no sql/{path}. You can see those that there are with: bqloop sql list")


@app.command()
def render(
    file: Annotated[Path, typer.Argument(help="A file under sql/, with or without that prefix.")],
    run: Annotated[str, typer.Option(help="The run whose tables are named.")] = "",
) -> None:
    """Print the statement that BigQuery gets, ready for the console.

    Example: bqloop sql render deal_duplicates/features/clean_deals.sql
    """
    settings = load_settings(OPTIONS.env)
    text = render_file(settings, Templates.from_tree(model_of(settings)), template_path(file), run).text
    if OPTIONS.console.is_terminal:
        OPTIONS.console.print(Syntax(text, "sql", word_wrap=True))
    else:
        typer.echo(text, nl=False)


@app.command("check")
def check_files(
    files: Annotated[list[Path] | None, typer.Argument(help="Files under sql/; default: all.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Also let BigQuery say what each file would process; default: not locally."),
    ] = False,
    lint: Annotated[bool, typer.Option("--lint/--no-lint", help="Also run sqlfluff; default: on named files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Find what is wrong with the SQL without running it: Jinja, Google's analyzer, the house rules, sqlfluff.

    With FILE, what is wrong in it and in what reads it. On Google Cloud (--env dev) also a dry run: bytes and price, against the
    tables of the newest run.

    Example: bqloop sql check deal_duplicates/features/clean_deals.sql
    """
    settings = load_settings(OPTIONS.env)
    templates = Templates.from_tree(model_of(settings))
    named = [template_path(file) for file in files or ()]
    for path in named:
        known_file(templates, path)
    with OPTIONS.errors.status("Checking the SQL"):
        project, findings = check_sql(settings, templates)
        if named:
            wanted = {f"sql/{path}" for path in readers_of(project, named)}
            findings = [finding for finding in findings if finding.file in wanted]
        if lint or named:
            findings += style(ROOT, [f"sql/{path}" for path in named] or ["sql"])
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            OPTIONS.console.print(str(finding), markup=False, highlight=False, soft_wrap=True)
        for path, reason in project.unchecked.items():
            if path != reason:
                told = f"sql/{path} was not checked, because sql/{reason} is wrong"
                OPTIONS.errors.print(told, markup=False, highlight=False, soft_wrap=True)
        OPTIONS.errors.print(
            f"{len(project.analyses)} of {len(project.paths)} files are right; {len(findings)} findings"
        )
    if dry_run or OPTIONS.env != "local":
        _dry_run(model_of(settings), named)
    if findings:
        raise typer.Exit(1)


def _dry_run(model: str, named: list[str]) -> None:
    """Print what each file would process and cost; a statement that BigQuery refuses ends with exit code 1."""
    total, refused = 0, 0
    with application() as app_:
        for found in rehearse(app_, model, named):
            total += found.bytes or 0
            refused += found.bytes is None
            told = found.refused if found.bytes is None else f"{found.bytes:,} bytes, {price(found.bytes)}"
            OPTIONS.errors.print(f"sql/{found.path}: {told}", markup=False, highlight=False, soft_wrap=True)
    OPTIONS.errors.print(f"in all {total:,} bytes, {price(total)} on demand", highlight=False)
    if refused:
        raise typer.Exit(1)


@app.command()
def diff(
    file: Annotated[Path | None, typer.Argument(help="A file under sql/; default: all that differ.")] = None,
    to: Annotated[str, typer.Option("--to", help="A commit, branch or tag to compare with.")] = "HEAD",
    rows: Annotated[
        int, typer.Option(min=0, max=100_000, help="Of FILE in features/, also compare so many rows; 0 for none.")
    ] = 0,
) -> None:
    """Show what a change does to the statements that BigQuery gets, to the columns that they give, and to the rows.

    A changed macro shows in every statement that it changes.

    Example: bqloop sql diff deal_duplicates/features/clean_deals.sql --to main --rows 1000
    """
    if to.startswith("-"):
        raise InputError(f"--to: {to!r} is no revision")
    if rows and file is None:
        raise InputError("--rows: rows are compared of one file; name it")
    settings = load_settings(OPTIONS.env)
    model = model_of(settings)
    before = templates_at(ROOT, model, to)
    with OPTIONS.errors.status("Analysing both"):
        now = analyse_project(settings, Templates.from_tree(model))
        then = analyse_project(settings, before)
    changed = differences(now, then, template_path(file) if file else "")
    for path, text in changed.items():
        if OPTIONS.console.is_terminal:
            OPTIONS.console.print(Syntax(text, "diff", word_wrap=True))
        else:
            typer.echo(text)
        for line in changed_columns(now, then, path):
            OPTIONS.console.print(f"column {line}", markup=False, highlight=False)
    OPTIONS.errors.print(f"{len(changed)} statements differ from {to}")
    if rows and file is not None:
        with application() as app_, OPTIONS.errors.status("Building both"):
            found = compare_rows(app_, model, template_path(file), before, rows)
        _show_rows(found, to)


def _show_rows(found: RowDifference, to: str) -> None:
    now, then = found.rows
    OPTIONS.console.print(
        f"{now} rows now, {then} in {to}; {found.compared} compared by {', '.join(found.keys)}, "
        f"{len(found.came)} came, {len(found.went)} went",
        highlight=False,
    )
    for sign, rows in (("+", found.came), ("-", found.went)):
        for row in rows[:_SHOWN]:
            OPTIONS.console.print(Text(f"{sign} {row}"))
    if found.changed:
        table = Table("column", "rows that differ", "for instance", f"in {to}", "now")
        for column, (count, key, old, new) in found.changed.items():
            where = ", ".join(str(value) for value in key.values())
            table.add_row(column, str(count), Text(where), Text(str(old)[:60]), Text(str(new)[:60]))
        OPTIONS.console.print(table)


def template_path(file: Path) -> str:
    """A file as people name it, as the path below `sql/` that templates go by."""
    path = file.resolve().relative_to(sql.ROOT) if file.resolve().is_relative_to(sql.ROOT) else file
    return path.as_posix().removeprefix("sql/")

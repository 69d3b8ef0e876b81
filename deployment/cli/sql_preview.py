"""The command `sql preview`: what a file gives for the data at hand, without leaving anything behind."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.table import Table

from deployment.application import Application
from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.cli.sql_files import template_path
from deployment.stages.message import StageMessage
from deployment.stages.tables import of_run
from deployment.workbench.profile import profile
from etl.errors import InputError

_SHOWN = 8


def preview(
    file: Annotated[Path, typer.Argument(help="A file of features/ or checks/.")],
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="Rows that are fetched and profiled.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Run a file with all that it needs as of now, show some rows and a profile of the columns, and drop it all again.

    Example: bqloop sql preview deal_duplicates/features/clean_deals.sql --rows 500
    """
    with application() as app:
        with OPTIONS.errors.status(f"Building {file}"):
            found, total = preview_rows(app, model_of(app.settings), template_path(file), rows)
        columns = profile(found)
        if as_json:
            shown = found.slice(0, _SHOWN).to_pylist()
            print_json({"rows": total, "columns": [asdict(column) for column in columns], "sample": shown})
            return
        table = Table("column", "type", "NULL", "distinct", "least", "greatest", "", *["example"] * 2)
        for column in columns:
            examples = [str(value)[:30] for value in found.column(column.column).slice(0, 2).to_pylist()]
            ends = ["" if value is None else str(value)[:24] for value in (column.least, column.greatest)]
            distinct = "" if column.distinct is None else str(column.distinct)
            table.add_row(
                column.column, column.type, f"{column.nulls:.1%}", distinct, *ends, column.histogram, *examples
            )
        OPTIONS.console.print(table)
        OPTIONS.console.print(f"{total} rows; {found.num_rows} of them profiled", highlight=False)


def preview_rows(app: Application, model: str, path: str, limit: int) -> tuple[pa.Table, int]:
    """The first rows that a file gives as of now, and how many there are.

    Raises:
        InputError: The file is none that can be run by itself.
        TemplateError: It does not render.
        StatementError: BigQuery refuses it.
    """
    templates = app.templates(model)
    folder = path.split("/")[-2] if "/" in path else ""
    if path not in templates.sources or folder not in {"features", "checks"}:
        raise InputError(f"file: sql/{path} cannot be previewed; only files of {model}/features and {model}/checks can")
    now = dt.datetime.now(dt.UTC)
    run_id = f"{model}-preview-{now:%Y-%m-%d-%H%M%S%f}"
    run = app.run(StageMessage(model=model, run_id=run_id, stage="features", as_of=now))
    tables = of_run(run)
    if folder == "checks":
        found = run.warehouse.read_arrow(tables.render(path), run.parameters())
        return found.slice(0, limit), found.num_rows
    name = path.rsplit("/", 1)[-1].removesuffix(".sql")
    try:
        tables.build((name,))
        table = app.bigquery.get_table(run.naming.run_table(run.slug, name))
        read = app.bigquery.list_rows(table, max_results=limit)
        return read.to_arrow(create_bqstorage_client=False), int(table.num_rows or 0)
    finally:
        run.drop_tables()

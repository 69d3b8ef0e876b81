"""Commands `import deals`, `import labels` and `import rows`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deployment.cli.session import OPTIONS, application, model_of, print_json
from etl.errors import InputError
from etl.ingest import ImportReport, import_deals, import_labels, import_rows

app = typer.Typer(help="Import deals, labelled pairs, and rows of other models from files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="CSV with a header, NDJSON or Parquet; CSV and NDJSON may be gzipped.")]
Map = Annotated[list[str] | None, typer.Option("--map", help="FIELD=COLUMN, where the names differ; repeat as needed.")]
Format = Annotated[str, typer.Option("--format", help="csv, ndjson or parquet; else the name's ending tells.")]
Again = Annotated[bool, typer.Option("--again", help="Import even if this very file was imported before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def deals(
    file: File,
    source: Annotated[str, typer.Option(help="The source of all deals; else a column gives it.")] = "",
    mapping: Map = None,
    file_format: Format = "",
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Import deals. A column that fills no field goes to `attributes`; a row that cannot be taken to `rejected_rows`.

    Example: bqloop import deals offers.csv --source shop --map deal_id=id --map title=name
    """
    with application() as app_, _progress(file) as advance:
        model = model_of(app_.settings)
        report = import_deals(
            app_.warehouse(model),
            app_.templates(model),
            file,
            source=source or None,
            mapping=parse_mapping(mapping),
            file_format=file_format or None,
            again=again,
            progress=advance,
        )
    _tell(report, as_json=as_json)


@app.command()
def labels(
    file: File,
    left_source: Annotated[str, typer.Option(help="The source of all left deals; else a column gives it.")] = "",
    right_source: Annotated[str, typer.Option(help="The source of all right deals; else a column gives it.")] = "",
    split: Annotated[
        str, typer.Option(help="train, validation or test, for all rows; else a column, else by hash.")
    ] = "",
    mapping: Map = None,
    file_format: Format = "",
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Import labelled pairs: fields left_id, right_id, is_duplicate, and optionally split.

    Example: bqloop import labels pairs.csv --left-source a --right-source b --split train
    """
    with application() as app_, _progress(file) as advance:
        model = model_of(app_.settings)
        report = import_labels(
            app_.warehouse(model),
            app_.templates(model),
            file,
            left_source=left_source or None,
            right_source=right_source or None,
            split=split or None,
            mapping=parse_mapping(mapping),
            file_format=file_format or None,
            again=again,
            progress=advance,
        )
    _tell(report, as_json=as_json)


@app.command()
def rows(
    file: File, mapping: Map = None, file_format: Format = "", again: Again = False, as_json: AsJson = False
) -> None:
    """Import rows of a model that `bqloop new model` made. A row that cannot be taken goes to `rejected_rows`.

    The model is that of `--model`, which stands before the command.

    Example: bqloop import rows fares.csv --map fare=price
    """
    with application() as app_, _progress(file) as advance:
        model = model_of(app_.settings)
        report = import_rows(
            app_.warehouse(model),
            app_.templates(model),
            file,
            mapping=parse_mapping(mapping),
            file_format=file_format or None,
            again=again,
            progress=advance,
        )
    _tell(report, as_json=as_json)


def parse_mapping(pairs: list[str] | None) -> dict[str, str]:
    """`FIELD=COLUMN` as given with `--map`.

    Raises:
        InputError: One has no `=`, or names a field twice.
    """
    mapping: dict[str, str] = {}
    for pair in pairs or []:
        field, equals, column = pair.partition("=")
        if not equals or not field or not column:
            raise InputError(f"--map {pair!r}: write it as FIELD=COLUMN, such as --map title=name")
        if field in mapping:
            raise InputError(f"--map {pair!r}: field {field!r} is mapped twice")
        mapping[field.strip()] = column.strip()
    return mapping


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=OPTIONS.errors, transient=True) as bar:
        task = bar.add_task(f"Importing {file.name}", total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _tell(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    out = OPTIONS.console
    out.print(
        f"{report.kind} from {report.file}: {report.rows:,} rows, {report.loaded:,} loaded, "
        f"{report.unchanged:,} unchanged, {report.rejected:,} rejected",
        highlight=False,
        markup=False,
    )
    if report.landed_before:
        out.print(
            f"  This file was imported before, at {report.landed_before:%Y-%m-%d %H:%M} UTC; --again imports it anew."
        )
    if report.other_columns:
        kept = "kept in attributes" if report.others_kept else "left out"
        out.print(
            f"  Columns that fill no field, {kept}: {', '.join(report.other_columns)}", markup=False, highlight=False
        )
    for reason, count in report.reasons.items():
        out.print(f"  rejected {count:,}: {reason}", markup=False, highlight=False)
    for row in report.examples:
        out.print(f"    line {row.line}: {row.content[:120]!r}", markup=False, highlight=False)
    if report.rejected:
        out.print("  All of them stand in the table rejected_rows, with reason, line and content.")

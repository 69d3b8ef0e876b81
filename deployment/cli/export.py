"""The command `export`: duplicates and predictions as files, on this computer or in Cloud Storage."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.export_file import export_to_file
from deployment.exports import FORMATS, Export, export_uri
from deployment.exports import export as export_to_storage
from etl.errors import InputError


def export(
    what: Annotated[str, typer.Argument(help="duplicates, predictions, or another file of sql/<model>/export/.")],
    to: Annotated[str, typer.Option(help="A file, or gs://BUCKET/FOLDER/, or gs://BUCKET/FOLDER/NAME-*.csv.")],
    file_format: Annotated[
        str, typer.Option("--format", help="csv, parquet or avro; else the name's ending tells.")
    ] = "",
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Write the duplicates, or what the champion thinks of each pair, as CSV, Parquet or Avro.

    Example: bqloop export duplicates --to duplicates.csv
    """
    chosen = chosen_format(to, file_format)
    with application() as app:
        model = model_of(app.settings)
        run_id = f"{model}-export-{dt.datetime.now(dt.UTC):%Y-%m-%d-%H%M%S%f}"
        with OPTIONS.errors.status(f"Exporting {what}"):
            if to.startswith("gs://"):
                wanted = Export(export_uri(what, to, chosen), chosen.upper(), overwrite)
                done = export_to_storage(app, model, what, wanted, run_id)
            else:
                done = export_to_file(app, model, what, Path(to), chosen, overwrite=overwrite, run_id=run_id)
    if as_json:
        print_json({"export": what, "format": chosen, "rows": done.rows, "files": done.files})
        return
    OPTIONS.console.print(f"{what}: {done.rows:,} rows", highlight=False)
    for file in done.files:
        OPTIONS.console.print(f"  {file}", markup=False, highlight=False, soft_wrap=True)
    if not done.rows:
        hint = "  Nothing has been scored yet, or nothing was found. You can score with: bqloop score"
        OPTIONS.console.print(hint, highlight=False, soft_wrap=True)


def chosen_format(to: str, given: str) -> str:
    """csv, parquet or avro: as asked for, else by the ending of the destination's name, else csv for a folder.

    Raises:
        InputError: It is another one, or the name does not tell.
    """
    ending = to.rsplit("/", 1)[-1].rpartition(".")[2].lower() if "." in to.rsplit("/", 1)[-1] else ""
    chosen = (given or ending or ("csv" if to.endswith("/") else "")).lower()
    if chosen not in FORMATS:
        asked = f"--format {given}" if given else f"--to {to}"
        raise InputError(f"{asked}: say which format with --format {'|'.join(FORMATS)}")
    return chosen

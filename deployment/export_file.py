"""An export as one file on this computer: exported to the environment's bucket, fetched, joined, and removed there.

BigQuery writes to Cloud Storage alone. The file appears whole or not at all.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq

from deployment.application import Application
from deployment.exports import Export, Exported, export, export_uri
from etl.clients import storage_client
from etl.errors import InputError, StateError


def export_to_file(
    app: Application, model: str, what: str, path: Path, file_format: str, *, overwrite: bool, run_id: str
) -> Exported:
    """Write rows to a file on this computer.

    Raises:
        InputError: Its folder is not there, or there is no such export.
        StateError: The file is there and may not be written over.
        StatementError: BigQuery refuses the statement.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"--to {path}: " + ("that is a folder" if path.is_dir() else f"no folder {path.parent}"))
    if path.exists() and not overwrite:
        raise StateError(f"{path} is there already. You can replace it: --overwrite")
    folder = f"gs://{app.settings.bucket}/exports/{run_id}-{secrets.token_hex(4)}/"
    done = export(app, model, what, Export(export_uri(what, folder, file_format), file_format.upper()), run_id)
    bucket = storage_client(app.settings).bucket(app.settings.bucket)
    blobs = [bucket.blob(uri.split("/", 3)[3]) for uri in done.files]
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            parts = [Path(scratch) / str(number) for number in range(len(blobs))]
            for blob, part in zip(blobs, parts, strict=True):
                blob.download_to_filename(str(part))
            whole = Path(scratch) / "whole"
            join(parts, whole, file_format)
            whole.replace(path)
    finally:
        for blob in blobs:
            blob.delete()
    return Exported(done.rows, (str(path),))


def join(parts: Sequence[Path], whole: Path, file_format: str) -> None:
    """Make one file of the parts of an export, in their order; `file_format` is csv, parquet or avro."""
    if len(parts) == 1:
        parts[0].replace(whole)
    elif file_format == "csv":
        _join_csv(parts, whole)
    elif file_format == "parquet":
        _join_parquet(parts, whole)
    else:
        _join_avro(parts, whole)


def _join_csv(parts: Sequence[Path], whole: Path) -> None:
    with whole.open("wb") as target:
        for number, part in enumerate(parts):
            with part.open("rb") as source:
                if number:
                    source.readline()  # every part has the header
                shutil.copyfileobj(source, target)


def _join_parquet(parts: Sequence[Path], whole: Path) -> None:
    with pq.ParquetWriter(whole, pq.read_schema(parts[0])) as target:
        for part in parts:
            with pq.ParquetFile(part) as source:
                for group in range(source.num_row_groups):
                    target.write_table(source.read_row_group(group))


def _join_avro(parts: Sequence[Path], whole: Path) -> None:
    with parts[0].open("rb") as first:
        reader = fastavro.reader(first)
        schema, codec = reader.writer_schema, reader.metadata.get("avro.codec", "null")
    with whole.open("wb") as target:
        fastavro.writer(target, schema, chain.from_iterable(map(_records, parts)), codec=codec)


def _records(part: Path) -> Iterator[Any]:
    with part.open("rb") as source:
        yield from fastavro.reader(source)

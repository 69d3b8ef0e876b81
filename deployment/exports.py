"""Exports: rows of the warehouse as files in Cloud Storage, through the EXPORT DATA statements of `sql/<model>/export/`.

What can be exported is what stands in that folder. BigQuery writes one or several files, numbered in the place of the
URI's wildcard, and never deletes one; so files of an earlier, larger export are removed here once the new ones stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as api

from deployment.application import Application
from etl.clients import storage_client
from etl.errors import InputError, StateError
from etl.names import Naming
from etl.warehouse import JobKey

FORMATS = ("csv", "parquet", "avro")
_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/(?P<name>[A-Za-z0-9._/=*+-]+)")


@dataclass(frozen=True)
class Export:
    """What a template in `export/` may ask.

    Attributes:
        uri: Where the files go: gs://, with one wildcard in the last part.
        format: CSV, PARQUET or AVRO.
        overwrite: Files that are there may be written over.
    """

    uri: str
    format: str
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        rows: How many rows.
        files: The objects, as gs:// URIs, in the order of their numbers.
    """

    rows: int
    files: tuple[str, ...]


def export_uri(what: str, to: str, file_format: str) -> str:
    """The URI with one wildcard that a destination in Cloud Storage means; a folder gets `<what>-*.<format>`.

    Raises:
        InputError: It is no such destination.
    """
    uri = f"{to}{what}-*.{file_format}" if to.endswith("/") else to
    found = _URI.fullmatch(uri)
    if not found:
        raise InputError(f"--to {to}: write it as gs://BUCKET/FOLDER/ or gs://BUCKET/FOLDER/NAME-*.{file_format}")
    if uri.count("*") != 1 or "*" not in found["name"].rsplit("/", 1)[-1]:
        stem, dot, ending = uri.partition("*")[0].rpartition(".")
        better = f"{stem}-*.{ending}" if dot and "/" not in ending else f"{uri.replace('*', '')}/"
        raise InputError(
            f"--to {to}: BigQuery writes one file or several, so the name needs one *, such as {better}; "
            "a folder ending in / will do, too"
        )
    return uri


def export(app: Application, model: str, what: str, wanted: Export, run_id: str) -> Exported:
    """Write rows to files in Cloud Storage.

    Args:
        app: The environment.
        model: The continuously trained model.
        what: A file in `sql/<model>/export/`, without its ending.
        wanted: Where and how; `export_uri` makes the URI.
        run_id: What the job is called after: the same export again is the same job.

    Raises:
        InputError: There is no such export or no such bucket.
        StateError: Files are there already and may not be written over.
        StatementError: BigQuery refuses the statement.
    """
    templates = app.templates(model)
    known = templates.stems(f"{model}/export")
    if what not in known:
        raise InputError(f"there is no export {what!r} of {model}. Known: {', '.join(known) or 'none'}")
    before = _objects(app, wanted.uri)
    if before and not wanted.overwrite:
        raise StateError(f"{wanted.uri}: there are {len(before)} such files already. You can replace them: --overwrite")
    tables = Naming.of(app.settings, model).tables(templates.stems(f"{model}/tables"))
    statement = templates.render(f"{model}/export/{what}.sql", {"table": tables, "export": wanted})
    job = app.warehouse(model).run(statement, JobKey(run_id, "export", what), {})
    files = []
    for name, blob in _objects(app, wanted.uri).items():
        if name in before and before[name].generation == blob.generation:
            blob.delete()
        else:
            files.append(f"gs://{blob.bucket.name}/{name}")
    return Exported(_rows(job), tuple(files))


def _objects(app: Application, uri: str) -> dict[str, Any]:
    """The objects that an export to a URI wrote, by name."""
    found = _URI.fullmatch(uri)
    assert found is not None, uri  # noqa: S101 -- `export_uri` made it
    start, _, end = found["name"].partition("*")
    numbered = re.compile(rf"{re.escape(start)}\d{{12}}{re.escape(end)}")
    client = storage_client(app.settings)
    try:
        blobs = {blob.name: blob for blob in client.list_blobs(found["bucket"], prefix=start)}
    except api.NotFound as error:
        raise InputError(f"--to {uri}: there is no bucket {found['bucket']}") from error
    except api.Forbidden as error:
        raise InputError(f"--to {uri}: you may not list the bucket {found['bucket']}") from error
    return {name: blobs[name] for name in sorted(blobs) if numbered.fullmatch(name)}


def _rows(job: Any) -> int:
    statistics = job._properties.get("statistics", {}).get("query", {})  # noqa: SLF001 -- the client has no name for it
    return int(statistics.get("exportDataStatistics", {}).get("rowCount", 0))

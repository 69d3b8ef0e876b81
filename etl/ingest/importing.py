"""Import of deals, labels and rows from a file: what `bqloop import` calls.

Nothing is loaded before the whole mapping is settled; a row that cannot be taken goes to `rejected_rows` and the rest
is loaded. The same file imported the same way twice changes nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

from etl.errors import InputError
from etl.ingest.formats import open_rows
from etl.ingest.kinds import DEALS, LABELS, SPLITS, Kind, rows_of, split_name
from etl.ingest.landing import Landing, table_schema
from etl.ingest.mapping import fields_of, map_fields
from etl.ingest.report import ImportReport
from etl.ingest.staging import stage_rows, staging_schema
from etl.model_policy import policy_of_sources
from etl.templates import Templates
from etl.warehouse import Warehouse


class ImportOptions(TypedDict, total=False):
    """What every import can be told.

    Attributes:
        mapping: Column by field, where the names differ.
        file_format: `csv`, `ndjson` or `parquet`; else the name's ending tells.
        ingested_at: When the rows count as having come; now by default.
        again: Import even if the same file was imported before: what changed since goes back to what the file says.
        progress: Called now and then with the number of rows read.
    """

    mapping: Mapping[str, str] | None
    file_format: str | None
    ingested_at: dt.datetime | None
    again: bool
    progress: Callable[[int], None] | None


def import_deals(
    warehouse: Warehouse,
    templates: Templates,
    path: Path | str,
    *,
    source: str | None = None,
    **options: Unpack[ImportOptions],
) -> ImportReport:
    """Import a file of deals.

    Args:
        warehouse: Where to; its tables must be there.
        templates: The model's templates.
        path: CSV (with a header), NDJSON or Parquet; CSV and NDJSON may be packed with gzip.
        source: The source of all rows; else a column gives it.
        **options: See `ImportOptions`.

    Returns:
        What was done.

    Raises:
        InputError: The file or the mapping is wrong; nothing was loaded.
        UnavailableError: BigQuery cannot be reached; the same call again ends what was begun.
    """
    constants = {"source": source} if source else {}
    return _import(warehouse, templates, DEALS, Path(path), constants, options)


def import_labels(
    warehouse: Warehouse,
    templates: Templates,
    path: Path | str,
    *,
    left_source: str | None = None,
    right_source: str | None = None,
    split: str | None = None,
    **options: Unpack[ImportOptions],
) -> ImportReport:
    """Import a file of labelled pairs: `left_id`, `right_id`, `is_duplicate`, and where given `split` and the sources.

    Args:
        warehouse: Where to; its tables must be there.
        templates: The model's templates.
        path: As for `import_deals`.
        left_source: The source of all left deals; else a column gives it.
        right_source: The source of all right deals; else a column gives it.
        split: `train`, `validation` (or `val`, `valid`, `dev`) or `test` for all rows.
        **options: See `ImportOptions`.

    Returns:
        What was done.

    Raises:
        InputError: The file, the mapping or the split is wrong; nothing was loaded.
        UnavailableError: BigQuery cannot be reached; the same call again ends what was begun.
    """
    given = {"left_source": left_source, "right_source": right_source, "split": split_name(split) if split else None}
    constants = {name: value for name, value in given.items() if value}
    if "split" in constants and constants["split"] not in SPLITS:
        raise InputError(f"--split {split}: there is no such split; the splits are: {', '.join(SPLITS)}")
    return _import(warehouse, templates, LABELS, Path(path), constants, options)


def import_rows(
    warehouse: Warehouse, templates: Templates, path: Path | str, **options: Unpack[ImportOptions]
) -> ImportReport:
    """Import a file of raw rows of a model of single rows; its table says which fields there are.

    Args:
        warehouse: Where to; its tables must be there.
        templates: The model's templates.
        path: As for `import_deals`.
        **options: See `ImportOptions`.

    Returns:
        What was done.

    Raises:
        InputError: The model has no such table, or the file or the mapping is wrong; nothing was loaded.
        UnavailableError: BigQuery cannot be reached; the same call again ends what was begun.
    """
    policy = policy_of_sources(templates.model, templates.sources)
    if policy.rows is None:
        raise InputError(f"{templates.model} is no model of single rows: its model.yml names no table under `rows`")
    return _import(warehouse, templates, rows_of(policy.rows), Path(path), {}, options)


def _import(
    warehouse: Warehouse,
    templates: Templates,
    kind: Kind,
    path: Path,
    constants: Mapping[str, str],
    options: ImportOptions,
) -> ImportReport:
    arrived = options.get("ingested_at") or dt.datetime.now(dt.UTC)
    reader = open_rows(path, options.get("file_format"))
    fields = fields_of(table_schema(warehouse, templates, kind.table), own=kind.own, optional=kind.optional)
    plan = map_fields(fields, reader.columns, options.get("mapping") or {}, constants, flags=kind.flags)
    how = {"kind": kind.name, "columns": plan.columns, "constants": plan.constants, "others": plan.others}
    import_id = _import_id(path, {**how, "again": arrived.isoformat() if options.get("again") else None})
    landing = Landing(warehouse, templates, kind, import_id)
    landed_before = landing.landed_at()
    with tempfile.TemporaryDirectory(prefix="bqloop-import-") as folder:
        parquet = Path(folder) / "rows.parquet"
        staged = stage_rows(reader, fields, plan, kind, parquet, options.get("progress"))
        loaded = 0
        if landed_before is None and staged.rows:
            try:
                landing.load(parquet, staging_schema(fields, kind))
                arrival = {"ingested_at": arrived}
                if staged.rejected:
                    landing.insert("insert_rejected_rows", {**arrival, "kind": kind.name, "file": str(path)})
                columns = [f.name for f in fields if f.name not in kind.optional]
                loaded = landing.insert(
                    f"insert_{kind.name}", {**arrival, "sources": sorted(staged.sources)}, columns=columns
                )
            finally:
                landing.clear()
    return ImportReport(
        kind=kind.name,
        file=str(path),
        import_id=import_id,
        rows=staged.rows,
        loaded=loaded,
        unchanged=staged.rows - staged.rejected - loaded,
        rejected=staged.rejected,
        reasons=dict(staged.reasons.most_common()),
        examples=tuple(staged.examples),
        columns=plan.columns,
        other_columns=plan.others,
        others_kept=kind.attributes is not None,
        ingested_at=arrived,
        landed_before=landed_before,
    )


def _import_id(path: Path, how: Mapping[str, object]) -> str:
    """The same content, imported the same way, has the same ID (24 hexadecimal digits)."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(how, sort_keys=True).encode())
    return digest.hexdigest()[:24]

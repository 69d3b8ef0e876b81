"""What an import did, for whoever tells it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from etl.ingest.rows import BrokenRow


@dataclass(frozen=True)
class ImportReport:
    """What an import did; `rows` = `loaded` + `unchanged` + `rejected`.

    Attributes:
        kind: `deals` or `labels`.
        file: The file as it was named.
        import_id: The import; `rejected_rows` and the table hold it.
        rows: Rows of the file.
        loaded: Rows that are new in the table.
        unchanged: Rows that say what the table knew already.
        rejected: Rows that went to `rejected_rows`.
        reasons: How often a row was rejected for what.
        examples: The first few rejected rows.
        columns: Column of the file by field.
        other_columns: Columns that fill no field.
        others_kept: Whether `other_columns` went to `attributes`; else they are left out.
        ingested_at: When the rows count as having come.
        landed_before: When the very same import landed before, if it did.
    """

    kind: str
    file: str
    import_id: str
    rows: int
    loaded: int
    unchanged: int
    rejected: int
    reasons: Mapping[str, int]
    examples: tuple[BrokenRow, ...]
    columns: Mapping[str, str]
    other_columns: tuple[str, ...]
    others_kept: bool
    ingested_at: dt.datetime
    landed_before: dt.datetime | None

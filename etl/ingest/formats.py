"""Which format a file has, and the reader for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from etl.errors import InputError
from etl.ingest.csv_rows import CsvRows
from etl.ingest.ndjson_rows import NdjsonRows
from etl.ingest.parquet_rows import ParquetRows
from etl.ingest.rows import RowReader

READERS: dict[str, Callable[[Path], RowReader]] = {"csv": CsvRows, "ndjson": NdjsonRows, "parquet": ParquetRows}
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def open_rows(path: Path, file_format: str | None = None) -> RowReader:
    """A reader of the file, by the format given or else by the ending of its name (`.gz` aside).

    Raises:
        InputError: There is no such file, its format is not known, or it cannot be read as that format at all.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    wanted = file_format or _ENDINGS.get(suffixes[-1] if suffixes else "")
    if wanted not in READERS:
        said = f"--format {file_format} is unknown" if file_format else "the ending of its name tells no format"
        raise InputError(f"{path}: {said}; pass --format {'|'.join(READERS)}")
    return READERS[wanted](path)

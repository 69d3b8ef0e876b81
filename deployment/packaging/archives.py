"""Archives that come out the same to the byte from the same content, on whatever machine and day.

Names sorted, one fixed time and mode, and no compression: zlib's output differs from build to build, and the whole is
small. Sources of the formats: zipfile's and tarfile's documentation.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_FILE_MODE = 0o644


@dataclass(frozen=True)
class Archive:
    """An archive that was written.

    Attributes:
        path: Where.
        files: How many files it holds.
        bytes: Its size.
        sha256: Its hash, hexadecimal.
    """

    path: Path
    files: int
    bytes: int
    sha256: str


def write_zip(files: Mapping[str, bytes], path: Path) -> Archive:
    """Write a zip of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system = 3  # Unix, wherever it was built
            entry.external_attr = (0o100000 | _FILE_MODE) << 16
            archive.writestr(entry, files[name])
    return _write(buffer.getvalue(), path, len(files))


def write_tar_gz(files: Mapping[str, bytes], path: Path) -> Archive:
    """Write a gzipped tar of files by name, as image builders take it."""
    buffer = io.BytesIO()
    # Stored, not deflated; no time and no file name in the header.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=0, fileobj=buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = _FILE_MODE
            archive.addfile(entry, io.BytesIO(files[name]))
    return _write(buffer.getvalue(), path, len(files))


def _write(content: bytes, path: Path, files: int) -> Archive:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Archive(path, files, len(content), hashlib.sha256(content).hexdigest())

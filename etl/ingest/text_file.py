"""Text files as lines, with what is no text marked instead of raised: one bad byte must not cost the whole file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.errors import InputError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def text_lines(path: Path, *, newline: str | None) -> Iterator[io.TextIOWrapper]:
    """The file's lines as UTF-8, a byte order mark left out, `.gz` unpacked; undecodable bytes become lone surrogates.

    Args:
        path: The file.
        newline: As for `open`.

    Raises:
        InputError: The file is UTF-16, or the packed file is broken.
    """
    with path.open("rb") as head:
        start = head.read(2)
    if start in _UTF16:
        raise InputError(f"{path}: is UTF-16; save it as UTF-8, for example with: iconv -f UTF-16 -t UTF-8")
    opened = gzip.open if start == b"\x1f\x8b" else open
    with opened(path, "rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline) as lines:
        try:
            yield lines
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{path}: the packed file is broken: {error}") from error


def unreadable(text: str) -> str | None:
    """Why a line cannot be stored as text, None if it can."""
    if "\0" in text:
        return f"a NUL character at column {text.index(chr(0)) + 1}"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"not UTF-8: byte 0x{ord(text[error.start]) & 0xFF:02X} at column {error.start + 1}"
    return None


def shown(text: str) -> str:
    r"""A row as it can be stored: without its line end, what is no text as `\xNN`."""
    stripped = text.rstrip("\r\n")
    if unreadable(stripped) is None:
        return stripped
    return stripped.replace("\0", "\\x00").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

"""Texts as whole numbers: equal texts have equal codes, so that joins and groups compare integers.

A pool gives each new text the next code. A pool may stand on another one (a request's on the index's), whose codes it keeps;
what it adds is forgotten with it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
NULL = -1
# Codes of a request's own texts start here, whatever the index learns meanwhile.
_OWN = 1 << 40
# Bytes of a file of an array of nothing, which cannot be mapped.
_HEADER = 128


def mapped(path: Path) -> npt.NDArray[Any]:
    """An array in a file that processes share: a plain one, for NumPy's own class for them makes each slice dear."""
    found = np.lib.format.open_memmap(path, "r") if path.stat().st_size > _HEADER else np.load(path)
    return np.asarray(found)


class Strings(Protocol):
    """Texts by code and codes by text."""

    def find(self, texts: Sequence[str]) -> list[int]:
        """The code of each text, NULL where it has none."""

    def decode(self, codes: Codes) -> list[str | None]:
        """The text of each code."""


class StringFile:
    """Texts in files that processes share.

    Args:
        folder: Where a `StringWriter` put them.
    """

    def __init__(self, folder: Path) -> None:
        self._buffer = np.asarray(np.memmap(folder / "strings-bytes.bin", np.uint8, "r")).data
        self._ends = np.asarray(np.memmap(folder / "strings-ends.bin", np.int64, "r"))
        self._hashes = mapped(folder / "strings-hashes.npy")
        self._by_hash = mapped(folder / "strings-by-hash.npy")

    def __len__(self) -> int:
        return len(self._by_hash)

    def find(self, texts: Sequence[str]) -> list[int]:
        """The code of each text, NULL where it has none."""
        if not len(self) or not texts:
            return [NULL] * len(texts)
        wanted = digests(texts)[:, 0]
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self) - 1)
        codes = np.where(self._hashes[at] == wanted, self._by_hash[at].astype(np.int64), NULL)
        return [
            code if code != NULL and found == text else NULL
            for code, text, found in zip(codes.tolist(), texts, self.decode(codes), strict=True)
        ]

    def decode(self, codes: Codes) -> list[str | None]:
        """The text of each code."""
        safe = np.maximum(codes, 0)
        spans = zip(self._ends[safe].tolist(), self._ends[safe + 1].tolist(), (codes < 0).tolist(), strict=True)
        buffer = self._buffer
        return [None if missing else str(buffer[start:end], "utf-8") for start, end, missing in spans]


def digests(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Two hashed numbers for each text."""
    joined = b"".join([hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts])
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


class Pool:
    """Texts in memory, on top of others. Threads may share it.

    Args:
        below: Texts that have codes already.
        first: The first code that this pool gives; greater than any below it.
    """

    def __init__(self, below: Strings | None = None, first: int = 0) -> None:
        self._below = below
        self.first = first
        self._texts: list[str] = []
        self._codes: dict[str, int] = {}
        self._adding = threading.Lock()

    @property
    def texts(self) -> Sequence[str]:
        """The texts that this pool itself has given codes to."""
        return self._texts

    def child(self) -> Pool:
        """A pool for one request on top of this one."""
        return Pool(self, _OWN)

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, texts: Sequence[str]) -> list[int]:
        """The code of each text, NULL where it has none."""
        found = [self._codes.get(text, NULL) for text in texts]
        if self._below is not None and NULL in found:
            missing = [place for place, code in enumerate(found) if code == NULL]
            for place, code in zip(missing, self._below.find([texts[place] for place in missing]), strict=True):
                found[place] = code
        return found

    def intern(self, texts: Sequence[str | None]) -> Codes:
        """The code of each text, given now where it had none."""
        codes = self._codes
        new = list(dict.fromkeys(text for text in texts if text is not None and text not in codes))
        known: dict[str, int] = {}
        if new:
            if self._below is not None:
                known = {t: c for t, c in zip(new, self._below.find(new), strict=True) if c != NULL}
            with self._adding:
                for text in new:
                    if text not in known and text not in codes:
                        self._texts.append(text)
                        codes[text] = self.first + len(self._texts) - 1
        return np.fromiter(
            (NULL if t is None else known[t] if t in known else codes[t] for t in texts), np.int64, len(texts)
        )

    def decode(self, codes: Codes) -> list[str | None]:
        """The text of each code."""
        first, own = self.first, self._texts
        if self._below is None:
            return [None if code < 0 else own[code] for code in codes.tolist()]
        from_below = self._below.decode(np.where(codes < first, codes, NULL))
        if not len(codes) or codes.max() < first:
            return from_below
        return [
            own[code - first] if code >= first else text for code, text in zip(codes.tolist(), from_below, strict=True)
        ]

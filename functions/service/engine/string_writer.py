"""Texts on their way into the files of an index: each new one gets the next code and is written at once.

What stays in memory of a text is its hash, twenty-four bytes, so that tens of millions of them fit beside a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from functions.service.engine.columns import EngineError
from functions.service.engine.strings import NULL, Codes, digests

_Hashes = npt.NDArray[np.uint64]


class StringWriter:
    """Writes the files that `StringFile` reads.

    Args:
        folder: Where they are put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = (folder / "strings-bytes.bin").open("wb")
        self._ends = (folder / "strings-ends.bin").open("wb")
        # Not from 0 on: a file of no bytes cannot be mapped.
        self._bytes.write(b"\0")
        self._size, self._count = 1, 0
        self._ends.write(np.array([1], np.int64).tobytes())
        # Hashes ascending, the second hash and the code of each; every run less than half of the one before it.
        self._runs: list[tuple[_Hashes, _Hashes, Codes]] = []

    def intern(self, texts: Sequence[str]) -> Codes:
        """The code of each text, given now where it had none; each text once.

        Raises:
            EngineError: Two different texts have the same hash, which one index in a hundred thousand has to expect.
        """
        both = digests(texts)
        hashes, checks = both[:, 0], both[:, 1]
        codes = np.full(len(texts), NULL, np.int64)
        order = np.argsort(hashes)
        wanted = hashes[order]
        for known, known_checks, known_codes in self._runs:
            at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            there = np.flatnonzero(known[at] == wanted)
            if (known_checks[at[there]] != checks[order[there]]).any():
                raise EngineError("two different texts with the same hash")
            codes[order[there]] = known_codes[at[there]]
        new = np.flatnonzero(codes == NULL)
        if len(np.unique(hashes[new])) < len(new):
            raise EngineError("two different texts with the same hash")
        codes[new] = self._count + np.arange(len(new))
        self._append([texts[place] for place in new.tolist()])
        self._add_run(hashes[new], checks[new], codes[new])
        return codes

    def finish(self) -> None:
        """Have the files be read; more texts may follow, which are found once it is called again."""
        self._bytes.flush()
        self._ends.flush()
        while len(self._runs) > 1:
            self._merge()
        hashes, _, codes = self._runs[0] if self._runs else (np.zeros(0, np.uint64), None, np.zeros(0, np.int64))
        np.save(self._folder / "strings-hashes.npy", hashes)
        np.save(self._folder / "strings-by-hash.npy", codes.astype(np.int32))

    def __enter__(self) -> StringWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bytes.close()
        self._ends.close()

    def _append(self, texts: Sequence[str]) -> None:
        raw = [text.encode() for text in texts]
        ends = self._size + np.cumsum([len(one) for one in raw], dtype=np.int64)
        self._bytes.write(b"".join(raw))
        self._ends.write(ends.tobytes())
        self._count += len(raw)
        self._size = int(ends[-1]) if len(raw) else self._size

    def _add_run(self, hashes: _Hashes, checks: _Hashes, codes: Codes) -> None:
        if not len(codes):
            return
        order = np.argsort(hashes)
        self._runs.append((hashes[order], checks[order], codes[order]))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._merge()

    def _merge(self) -> None:
        one, other = self._runs[-2:]
        hashes = np.concatenate([one[0], other[0]])
        order = np.argsort(hashes, kind="stable")
        merged = (hashes[order], np.concatenate([one[1], other[1]])[order], np.concatenate([one[2], other[2]])[order])
        self._runs[-2:] = [merged]

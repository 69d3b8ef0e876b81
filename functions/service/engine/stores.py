"""Where the arrays of an index are put while it is made: in memory, or in the files of a folder that processes then share.

With files, what is in memory at a time is a batch and what is being sorted, however many deals there are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from functions.service.engine.columns import Array
from functions.service.engine.strings import mapped


class Growing:
    """An array to which values are added, batch by batch.

    Args:
        path: The file that takes them; None for memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file = None if path is None else path.open("w+b")
        self._parts: list[Array] = []
        self._kind: np.dtype[Any] | None = None
        self.count = 0

    def add(self, values: Array) -> None:
        """Add the next values; all have the type that holds them all."""
        kind = values.dtype if self._kind is None else np.result_type(self._kind, values.dtype)
        if self._kind is not None and kind != self._kind:
            self._convert(kind)
        self._kind = kind
        self.count += len(values)
        if self._file is None:
            self._parts.append(values.astype(kind))
        else:
            self._file.write(np.ascontiguousarray(values, kind).tobytes())

    def whole(self) -> Array:
        """All values; those in a file stay there until `drop`."""
        kind = self._kind or np.dtype(np.int64)
        if self._file is None or self._path is None:
            return np.concatenate(self._parts) if self._parts else np.zeros(0, kind)
        self._file.flush()
        return np.asarray(np.memmap(self._path, kind, "r")) if self.count else np.zeros(0, kind)

    def drop(self) -> None:
        """Forget them."""
        self._parts = []
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink()

    def _convert(self, kind: np.dtype[Any]) -> None:
        changed = self.whole().astype(kind)
        if self._file is None:
            self._parts = [changed]
        else:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(changed.tobytes())


class Store(Protocol):
    """Where arrays go."""

    def growing(self, name: str) -> Growing:
        """An array for the time of making."""

    def array(self, name: str, kind: Any, count: int) -> Array:
        """An array that stays, to be filled."""

    def keep(self, name: str, values: Array) -> Array:
        """These values, where they stay."""

    def describe(self, name: str, facts: Any) -> None:
        """Keep something that is no array."""


class InMemory:
    """Arrays of this process."""

    def growing(self, name: str) -> Growing:
        """An array for the time of making."""
        del name
        return Growing()

    def array(self, name: str, kind: Any, count: int) -> Array:
        """An array that stays, to be filled."""
        del name
        return np.empty(count, kind)

    def keep(self, name: str, values: Array) -> Array:
        """These values, where they stay."""
        del name
        return values

    def describe(self, name: str, facts: Any) -> None:
        """Nothing: who made it knows."""


class InFolder:
    """Arrays in files.

    Args:
        folder: The folder, which is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def growing(self, name: str) -> Growing:
        """An array for the time of making."""
        return Growing(self.folder / f"{name}.part")

    def array(self, name: str, kind: Any, count: int) -> Array:
        """An array that stays, to be filled."""
        if not count:  # no file of no bytes can be mapped
            return self.keep(name, np.zeros(0, kind))
        made: Array = np.asarray(np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", kind, (count,)))
        return made

    def keep(self, name: str, values: Array) -> Array:
        """These values, where they stay."""
        path = self.folder / f"{name}.npy"
        np.save(path, values)
        return mapped(path) if len(values) else values

    def describe(self, name: str, facts: Any) -> None:
        """Keep something that is no array."""
        (self.folder / f"{name}.json").write_text(json.dumps(facts))

"""One index for all processes of an instance: the first one builds it, the others wait and then read the same files.

`BQLOOP_INDEX` names the folder; without it each process keeps an index of its own in memory. The files of a version say what SQL
and which statistics they were made with, so that those of another one are never read.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from functions.service.compact_index import CompactIndex
from functions.service.compiled_features import CompiledFeatures
from functions.service.values import Deal
from functions.service.workers import ALONE, Workers

# Another number for files of another kind: those of an earlier release are built anew.
_LAYOUT = 2
# The deals and the instant up to which they are known.
Known = tuple[Iterable[Deal], dt.datetime]


class SharedIndexes:
    """The folder of the indexes.

    Args:
        folder: The folder.
        model: The model, one folder below for each.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder / model

    @classmethod
    def of_environment(cls, model: str) -> SharedIndexes | None:
        """Those that `BQLOOP_INDEX` names; None where it names nothing."""
        folder = os.environ.get("BQLOOP_INDEX")
        return cls(Path(folder), model) if folder else None

    def index(
        self, features: CompiledFeatures, version: str, read: Callable[[], Known], workers: Workers = ALONE
    ) -> tuple[CompactIndex, dt.datetime]:
        """The index of a version and the instant up to which it knows deals.

        Args:
            features: The version's SQL.
            version: The version.
            read: Reads the known deals, if nobody has built the index yet.
            workers: Build it then.
        """
        folder = self.folder_of(features, version)
        with self._alone():
            if not folder.is_dir():
                deals, seen = read()
                self._build(features, deals, folder, seen, workers)
        known = json.loads((folder / "known.json").read_text())
        return CompactIndex.read(features, folder), dt.datetime.fromisoformat(known["seen"])

    def folder_of(self, features: CompiledFeatures, version: str) -> Path:
        """Where the index of a version is kept."""
        return self._folder / f"{version}-{features.fingerprint}-{_LAYOUT}"

    @staticmethod
    def _build(
        features: CompiledFeatures, deals: Iterable[Deal], folder: Path, seen: dt.datetime, workers: Workers
    ) -> None:
        """Make an index, which others see when it is whole, and take those of other versions away."""
        draft = folder.with_name(folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        CompactIndex.write(features, deals, draft, workers)
        (draft / "known.json").write_text(json.dumps({"seen": seen.isoformat()}))
        draft.rename(folder)
        for other in folder.parent.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other, ignore_errors=True)  # who still reads its files keeps them until it ends

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "building").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

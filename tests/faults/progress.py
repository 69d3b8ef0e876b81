"""What one sees while the faults are injected: a mark a run, and every so often how many of them and how long it may take yet."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from tests.faults.suite import Result

_MARKS_A_LINE = 50
_WIDTH = 600


class Progress:
    """Tells of runs as they end. Thread-safe.

    Args:
        to: Where to.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._first = self._began
        self._planned = 0
        self._ended = 0
        self._faults = 0
        self._marks = 0

    def planned(self, runs: int) -> None:
        """So many more runs will come."""
        with self._lock:
            self._first = self._first if self._planned else time.monotonic()
            self._planned += runs

    def ended(self, result: Result) -> None:
        """A run has ended: a dot, or a cross and what was wrong."""
        with self._lock:
            self._ended += 1
            self._faults += result.injected
            self._marks += 1
            self._say("." if result.survived else f"x {result.scenario}\n")
            for text in result.wrong:
                self._say(f"    {text[:_WIDTH]}\n")
            if not result.survived or self._marks == _MARKS_A_LINE:
                self._line()

    def done(self) -> None:
        """All have ended."""
        with self._lock:
            self._line()

    def _line(self) -> None:
        minutes = (time.monotonic() - self._began) / 60
        left = (time.monotonic() - self._first) / 60 * (self._planned - self._ended) / max(self._ended, 1)
        told = f" {self._ended} of {self._planned} runs, {self._faults} faults, {minutes:.0f} minutes"
        self._say(told + (f", about {left:.0f} more\n" if self._ended < self._planned else "\n"))
        self._marks = 0

    def _say(self, text: str) -> None:
        self._to.write(text)
        self._to.flush()

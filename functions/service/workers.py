"""Work of several processes, results in the order of the work, no more of either waiting than there are hands for.

They are forked, so that what is in memory is theirs without a copy: for programs that build an index and do nothing else.
"""

from __future__ import annotations

import gc
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Work = TypeVar("Work")
Made = TypeVar("Made")

_TELL_SECONDS = 5.0
# Tells how far a step is: its name, and how many deals are done.
Tell = Callable[[str, int], None]


class Workers:
    """What builds an index: this process, or several side by side.

    Args:
        processes: How many; more than one are for a program that does nothing else.
        tell: Is told now and then how far a step is.
    """

    def __init__(self, processes: int = 1, tell: Tell | None = None) -> None:
        self._processes = processes
        self._tell = tell

    def map(self, make: Callable[[Work], Made], works: Iterable[Work], *, step: str, deals: int) -> Iterator[Made]:
        """What `make` makes of each piece of work, in the order of the work.

        Args:
            make: Makes something that can be sent from process to process.
            works: The work, taken as it is needed.
            step: What is done, for who is told.
            deals: How many deals a piece of work is about.
        """
        told = time.monotonic()
        for done, made in enumerate(self._made(make, works), 1):
            yield made
            if self._tell is not None and time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                self._tell(step, done * deals)

    def _made(self, make: Callable[[Work], Made], works: Iterable[Work]) -> Iterator[Made]:
        if self._processes == 1:
            yield from map(make, works)
            return
        global _make
        _make = make
        gc.collect()
        gc.freeze()  # what is there already need not be looked through after each piece of work
        try:
            yield from _forked(works, self._processes)
        finally:
            gc.unfreeze()


# This process, which tells nobody.
ALONE = Workers()


def _forked(works: Iterable[Any], processes: int) -> Iterator[Any]:
    free = threading.Semaphore(2 * processes)
    stopped = threading.Event()

    def as_needed() -> Iterator[Any]:
        for work in works:
            free.acquire()
            if stopped.is_set():
                return
            yield work

    with multiprocessing.get_context("fork").Pool(processes) as pool:
        try:
            for made in pool.imap(_made, as_needed()):
                yield made
                free.release()
        finally:
            stopped.set()  # or the pool would wait for who waits here for work to be done
            free.release()


_make: Callable[[Any], Any] | None = None


def _made(work: Any) -> Any:
    assert _make is not None  # noqa: S101 -- set before the fork
    made = _make(work)
    gc.collect()  # few objects, which hold much: by itself it would come too late
    return made

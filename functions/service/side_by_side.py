"""Work of several processes, results in the order of the work, no more of either waiting than there are hands for.

They are forked, so that what is in memory is theirs without a copy: for programs that build an index and do nothing else.
"""

from __future__ import annotations

import gc
import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Work = TypeVar("Work")
Made = TypeVar("Made")


def side_by_side(make: Callable[[Work], Made], works: Iterable[Work], processes: int) -> Iterator[Made]:
    """What `make` makes of each piece of work.

    Args:
        make: Makes something that can be sent from process to process.
        works: The work, taken as it is needed.
        processes: How many work; one is this one itself.
    """
    if processes == 1:
        yield from map(make, works)
        return
    global _make
    _make = make
    gc.collect()
    gc.freeze()  # what is there already need not be looked through after each piece of work
    try:
        yield from _forked(works, processes)
    finally:
        gc.unfreeze()


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

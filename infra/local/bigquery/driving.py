"""Runs bqemulator's coroutines on a worker thread, where there is no event loop and none is needed.

They are `async` for their write lock alone, which here is a thread's. A script runs its statements from within such a
coroutine, so `asyncio.run` would not do.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits.

    Raises:
        RuntimeError: it waits after all.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits for an event loop, but there is none")

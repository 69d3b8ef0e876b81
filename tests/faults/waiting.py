"""How the harness waits: for as long as something moves, because a busy machine is slow and that is no fault of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.03) -> bool:
    """Whether the condition came true in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return condition()


def wait_while_moving(
    condition: Callable[[], bool], movement: Callable[[], object], seconds: float, pause: float = 0.03
) -> bool:
    """Whether the condition came true before `movement()` had given the same for so many seconds."""
    last, since = movement(), time.monotonic()
    while not condition():
        now = movement()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > seconds:
            return False
        time.sleep(pause)
    return True

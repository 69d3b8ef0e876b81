"""How the harness waits: for as long as something moves, because a busy machine is slow and that is no fault of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from etl.errors import UnavailableError

Answer = TypeVar("Answer")
_TRIES = 20


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


def patiently(ask: Callable[[], Answer]) -> Answer:
    """The answer, also of a service that a busy machine makes so slow that its client gives up.

    Raises:
        UnavailableError: It never answered.
    """
    for _ in range(_TRIES - 1):
        try:
            return ask()
        except UnavailableError:
            time.sleep(0.5)
    return ask()

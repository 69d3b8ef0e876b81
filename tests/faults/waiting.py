"""How the harness waits: for as long as something moves, because a busy machine is slow and that is no fault of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from etl.errors import UnavailableError

Answer = TypeVar("Answer")
_TRIES = 20
# Of the time between two looks so much counts as silence. What is longer was a machine without time for anybody, and
# whatever is waited for has stood still with it.
_LONGEST_LOOK = 3.0


class Silence:
    """How long nothing has moved, as far as anybody could have seen it move.

    Args:
        clock: The time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._seconds = 0.0

    def look(self, *, moved: bool) -> float:
        """The seconds of silence, at a look that sees whether something has moved since the one before."""
        now = self._clock()
        self._seconds = 0.0 if moved else self._seconds + min(now - self._looked, _LONGEST_LOOK)
        self._looked = now
        return self._seconds


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
    last, silence = movement(), Silence()
    while not condition():
        now = movement()
        if silence.look(moved=now != last) > seconds:
            return False
        last = now
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

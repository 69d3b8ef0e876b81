"""What the functions and Pub/Sub need of their processes, with a module that does nothing but answer."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.child_process import ChildProcess

ECHO = """
import json, os, sys
for line in sys.stdin:
    order = json.loads(line)
    if order.get("die"):
        print("last words", file=sys.stderr)
        os._exit(3)
    print(json.dumps({"pid": os.getpid(), **order}), flush=True)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ChildProcess]:
    (tmp_path / "echo_orders.py").write_text(ECHO)
    made = ChildProcess("echo", "echo_orders", root=tmp_path, log=tmp_path / "logs" / "echo.log", answers=True)
    yield made
    made.stop()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_order_is_answered_and_one_that_killed_it_is_told_with_the_last_words_of_its_log(child):
    child.send({"n": 1})
    assert child.receive() == {"pid": child.pid, "n": 1}
    child.send({"die": True})
    with pytest.raises(RuntimeError, match="echo died:\nlast words"):
        child.receive()
    until(lambda: not child.alive)


def test_one_that_is_killed_is_started_again_and_given_its_orders(child):
    answers = []

    def restarted() -> None:
        child.send({"n": 2})
        answers.append(child.receive())

    first = child.pid
    child.keep_alive(restarted)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(answers) == 1)
    assert answers == [{"pid": child.pid, "n": 2}]
    assert child.pid != first


def test_one_that_cannot_take_up_its_work_is_started_until_it_can(child):
    tried = []

    def restarted() -> None:
        tried.append(child.pid)
        if len(tried) < 3:
            raise OSError("the port is in use")

    child.keep_alive(restarted)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: len(tried) == 3)
    assert len(set(tried)) == 3
    assert child.alive


def test_one_that_is_stopped_stays_dead(child):
    child.keep_alive(lambda: None)
    pid = child.pid
    child.stop()
    child.stop()
    assert not child.alive
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

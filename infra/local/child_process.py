"""A child process of the local cloud: told by its standard input what to do, dead with its parent, alive again after a crash."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
_REPOSITORY = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 5.0
_LONGEST_PAUSE = 10.0


class ChildProcess:
    """One module of this package run as `python -m MODULE ARGUMENTS`, in a process group of its own.

    Args:
        name: What the log calls it.
        module: Reads its orders, lines of JSON, from standard input and ends with its process group at the end of it: see
            `die_with_parent`.
        arguments: The module's.
        root: Where it runs, and where its imports start.
        log: File that its output is appended to.
        answers: Whether its standard output is for `receive` and not for the log.
        pass_fds: Open files that it inherits.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str] = (),
        *,
        root: Path,
        log: Path,
        answers: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._root = root
        self._log = log
        self._answers = answers
        self._pass_fds = tuple(pass_fds)
        self._stopping = threading.Event()
        self._guard: threading.Thread | None = None
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        """Its process ID; its process group has the same number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def send(self, order: Mapping[str, Any]) -> None:
        """Give it an order. One that died already is the guard's to find."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Its next answer, a line of JSON; waits for it.

        Raises:
            RuntimeError: It died before; the text ends with the log's last lines.
        """
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe where there are answers
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} died:\n{self.tail()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def keep_alive(self, restarted: Callable[[], None]) -> None:
        """From now on start it again when it dies, and call `restarted` to give the new one its orders."""
        self._guard = threading.Thread(
            target=self._keep_alive, args=(restarted,), name=f"{self._name}-guard", daemon=True
        )
        self._guard.start()

    def stop(self) -> None:
        """Ask it to end, wait a moment, and kill its group; once."""
        if self._stopping.is_set():
            return  # its number may be another's by now
        self._stopping.set()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._kill_group()
        if self._guard is not None:
            self._guard.join(_STOP_SECONDS)
            self._guard = None

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:]) if self._log.exists() else ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        paths = dict.fromkeys([str(self._root), str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self._answers else output,
                stderr=output,
                cwd=self._root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=self._pass_fds,
                start_new_session=True,
            )

    def _keep_alive(self, restarted: Callable[[], None]) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process.wait()
            if self._stopping.is_set():
                return
            self._kill_group()
            pause = 0.1 if time.monotonic() - started > _LONGEST_PAUSE else min(_LONGEST_PAUSE, pause * 2)
            _log.warning("%s died (exit code %s); started again", self._name, self._process.returncode)
            if self._stopping.wait(pause):
                return
            self._process = self._spawn()
            try:
                restarted()
            except (RuntimeError, OSError):
                _log.warning("%s could not be started again; tried once more in a moment", self._name, exc_info=True)
                self._kill_group()  # it may live, and do nothing
            if self._stopping.is_set():
                self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # All of it may be gone already.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def die_with_parent() -> None:
    """In the child, once its last order is read: end the whole process group when the pipe from the parent breaks.

    A killed cloud must not leave its children behind.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()

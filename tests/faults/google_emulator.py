"""Google's own Pub/Sub emulator, where gcloud has it: the suite over it shows that nothing rests on ours being ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path


def launcher() -> Path | None:
    """The emulator's start script; None where it is not installed."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        return None
    found = Path(gcloud).resolve().parent.parent / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    return found if found.exists() else None


@contextlib.contextmanager
def running_emulator() -> Iterator[str]:
    """Its address, `127.0.0.1:PORT`, for the time of the block.

    Raises:
        FileNotFoundError: It is not installed.
    """
    script = launcher()
    if script is None:
        raise FileNotFoundError("Google's Pub/Sub emulator is missing: gcloud components install pubsub-emulator")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(script), "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if b"listening on" in line:
                break
        # Read on: it tells of every connection, and would stand still once the pipe is full.
        threading.Thread(target=lambda: deque(process.stdout, maxlen=0), name="emulator-log", daemon=True).start()
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the script's child is the emulator
        process.wait()
        process.stdout.close()

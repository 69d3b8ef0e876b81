"""Cloud Scheduler on the laptop: publishes each job's messages when its cron expression says so.

The last fire of every job is kept on disk. Ticks that were missed (the laptop slept, the cloud was down) are not
replayed one by one: the latest is made up for if it is at most an hour old, the others are left out. A job fires at
least once a tick: if the process dies between the publish and the note of it, the message is sent again.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_log = logging.getLogger(__name__)
_GRACE = timedelta(hours=1)
_LONGEST_WAIT = 1.0


@dataclass(frozen=True)
class Job:
    """`cron` (five fields, as Cloud Scheduler takes it) in `time_zone`; every message goes to `topic` at each tick."""

    cron: str
    time_zone: str
    topic: str
    messages: Sequence[bytes]

    def ticks_after(self, instant: datetime) -> CronSim:
        """The ticks after an instant, endless, in the job's own time zone."""
        if len(self.cron.split()) != 5:
            raise CronSimError("a cron expression has five fields")  # CronSim would take a sixth, for seconds.
        return CronSim(self.cron, instant.astimezone(ZoneInfo(self.time_zone)))


class Scheduler:
    """Fires jobs on a thread. `publish(topic, data)` returns when the message is safe; `clock` tells the time in UTC.

    Raises:
        ValueError: A job's cron expression or time zone is wrong; the text names the job.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        publish: Callable[[str, bytes], None],
        state_file: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._jobs = dict(jobs)
        self._publish = publish
        self._state_file = state_file
        self._clock = clock
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._next: dict[str, datetime] = {}
        for name, job in self._jobs.items():
            try:
                job.ticks_after(clock())
            except (CronSimError, ZoneInfoNotFoundError) as error:
                raise ValueError(f"schedule {name!r}: {job.cron!r} in {job.time_zone!r}: {error}") from error

    def start(self) -> None:
        """Begin to fire."""
        self._stopped.clear()
        self.tick()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fire no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None

    def trigger(self, name: str) -> None:
        """Fire a job now, whatever its cron says: what RunJob does on Google Cloud.

        Raises:
            KeyError: There is no such job; the message lists those that there are.
        """
        if name not in self._jobs:
            raise KeyError(f"there is no scheduled job {name!r}; known: {', '.join(sorted(self._jobs))}")
        self._fire(self._jobs[name])

    def tick(self) -> None:
        """Fire what is due by the clock; returns at once if nothing is."""
        with self._lock:
            now = self._clock()
            last = self._last_fires()
            for name, job in self._jobs.items():
                if name not in self._next:
                    since = max(last.get(name, now), now - _GRACE)
                    self._next[name] = next(job.ticks_after(since))
                if self._next[name] > now:
                    continue
                if now - self._latest_tick(job, self._next[name], now) <= _GRACE:
                    self._fire(job)
                last[name] = now
                self._note(last)
                self._next[name] = next(job.ticks_after(now))
            if missing := {name: now for name in self._jobs if name not in last}:
                self._note(last | missing)

    def _latest_tick(self, job: Job, due: datetime, now: datetime) -> datetime:
        latest = due
        for tick in job.ticks_after(max(due, now - _GRACE)):
            if tick > now:
                return latest
            latest = tick
        return latest

    def _fire(self, job: Job) -> None:
        for message in job.messages:
            self._publish(job.topic, message)

    def _run(self) -> None:
        while not self._stopped.wait(_LONGEST_WAIT):
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - logged; the tick is due until its message is published
                _log.exception("A scheduled message could not be published; tried again in a moment")

    def _last_fires(self) -> dict[str, datetime]:
        if not self._state_file.exists():
            return {}
        return {name: datetime.fromisoformat(at) for name, at in json.loads(self._state_file.read_text()).items()}

    def _note(self, last: Mapping[str, datetime]) -> None:
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state_file.with_suffix(".new")
        draft.write_text(json.dumps({name: at.isoformat() for name, at in last.items()}, indent=2))
        draft.replace(self._state_file)

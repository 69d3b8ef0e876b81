"""Carries scenarios out, one after the other on each of several models, and holds what they leave against the undisturbed run."""

from __future__ import annotations

import datetime as dt
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployment.stages.message import StageMessage
from deployment.stages.protocol import message_to_replay
from etl.errors import StateError
from etl.ledger import Event
from etl.names import run_slug
from tests.faults.calls import Fault
from tests.faults.injected_errors import error_named
from tests.faults.picture import Picture, picture_of
from tests.faults.scenarios import ONE_CANDIDATE, Scenario
from tests.faults.waiting import Silence, patiently, wait_until, wait_while_moving
from tests.faults.world import DEAD_LETTER, Message, World

# A run is stuck when no function is at work for it and none was called for so long, however slow the machine is ...
SILENCE_SECONDS = 120.0
# ... or when its messages come and come; a run takes about twenty deliveries, and a dead letter eight more.
_MOST_DELIVERIES = 1_000
_GOING = {"RUNNING", "CANARY"}
_QUIET_SECONDS = 0.3
# The champion's own run is at most a few runs back; its tables are asked for again.
_KEPT_DAYS = 10
# A stage that has ended announces its successor at every repeat, which is repeated in turn: without an end it is a storm.
_MOST_REPEATS = 15
# How often a person may have to replay one run: once for each stage that met an error which no retry mends.
_REPLAYS = 12


@dataclass
class Result:
    """What became of one scenario.

    Attributes:
        scenario: Which.
        injected: How many faults came to pass.
        lost: What is missing or otherwise.
        doubled: What is there more than once.
        stuck: What did not come to its end.
        replays: How often the run had to be replayed by hand.
    """

    scenario: Scenario
    injected: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    replays: int = 0

    @property
    def survived(self) -> bool:
        """Whether the run left what the undisturbed one left."""
        return not self.wrong

    @property
    def wrong(self) -> list[str]:
        """All that is otherwise than after the undisturbed run, in words."""
        kinds = (("lost", self.lost), ("doubled", self.doubled), ("stuck", self.stuck))
        return [f"{kind}: {text}" for kind, texts in kinds for text in texts]

    def as_json(self) -> str:
        """The result in a line, for another process."""
        return json.dumps({**self.__dict__, "scenario": str(self.scenario)})

    @classmethod
    def parse(cls, line: str) -> Result:
        """The result of a line that `as_json` gave."""
        told = json.loads(line)
        return cls(Scenario.parse(told.pop("scenario")), **told)


class Lane:
    """One model of a world, and the runs of it that are disturbed one after the other."""

    def __init__(self, world: World, model: str) -> None:
        self.world = world
        self.model = model
        self._day = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        self._lock = threading.Lock()
        self._scenario = Scenario("undisturbed")
        self._pending: dict[str, Fault] = {}
        self._delivered: list[Message] = []
        self._injected = 0
        self._deliveries = 0
        self._calls: dict[str, list[Mapping[str, Any]]] = {}
        self._draw = random.Random(0)
        self._unacknowledged: set[str] = set()
        self._healed = threading.Event()
        self._moved = threading.Event()
        self._ticking: set[str] = set()
        world.courier(model, self._handle)
        self.undisturbed: dict[str, Picture] = {}
        self.calls: dict[str, list[Mapping[str, Any]]] = {}

    def measure(self) -> None:
        """Let two runs go undisturbed: the first makes a champion, the second is what all others are held against."""
        for _ in range(2):
            result, pictures = self._carry_out(Scenario("undisturbed"))
            if result.wrong:
                raise AssertionError(f"{self.model}: the undisturbed run is broken already: {result.wrong}")
        self.undisturbed, self.calls = pictures, dict(self._calls)

    def run(self, scenario: Scenario) -> Result:
        """Carry a scenario out and compare."""
        result, pictures = self._carry_out(scenario)
        if not pictures:
            return result
        if scenario.kind == ONE_CANDIDATE:
            self._check_the_other_serves(pictures["run"], result)
            self._carry_out(Scenario("undisturbed"))  # the usual champion for the runs that follow
            return result
        for kind, wanted in self.undisturbed.items():
            found = pictures.get(kind, Picture())
            result.lost += [f"{kind}: {text}" for text in found.lost(wanted)]
            result.doubled += [f"{kind}: {text}" for text in found.doubled(wanted)]
        return result

    def _carry_out(self, scenario: Scenario) -> tuple[Result, dict[str, Picture]]:
        began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
        self._day += dt.timedelta(days=1)
        with self._lock:
            self._scenario, self._pending = scenario, dict(scenario.faults)
            self._delivered, self._injected, self._deliveries, self._calls = [], 0, 0, {}
            self._draw = random.Random(scenario.seed)
            self._unacknowledged = set()
        self._healed.clear()
        result = Result(scenario)
        day = f"{self.model}-{self._day:%Y-%m-%d}"
        runs = [day, *(f"{day}-{n}" for n in range(2, scenario.runs + 1))]
        for run_id in runs:
            self._publish(run_id, "check", {"force": True})
        ended = {run_id: self._see_it_end(run_id, result) for run_id in runs}
        going_on = [run_id for run_id, state in ended.items() if state == "PROMOTED"]
        if not going_on and not result.stuck:
            result.lost += [
                f"{run_id} ended as {state}: {(self._row(run_id) or {}).get('reason')}"
                for run_id, state in ended.items()
            ]
        if scenario.runs > 1:
            result.injected = scenario.runs - 1
            self._check_one_went(ended, result)
        pictures = {}
        if going_on:
            score = f"{self.model}-score-{self._day:%Y-%m-%d}"
            self._publish(score, "score", {})
            self._see_it_end(score, result)
            self._deliver_late(result)
            self._wait_for_quiet(result)
            for kind, run_id in (("run", going_on[0]), ("score", score)):
                pictures[kind] = self._picture(run_id, began)
        result.injected += self._injected
        self._tidy()
        return result, pictures

    def _picture(self, run_id: str, began: dt.datetime) -> Picture:
        return patiently(lambda: picture_of(self.world, self.model, run_id, began=began))

    def _tidy(self) -> None:
        """Delete the tables of runs that nobody asks for any more: hundreds of them would slow every statement down."""
        settings, client = self.world.app.settings, self.world.app.bigquery
        oldest = run_slug(self.model, f"{self.model}-{self._day - dt.timedelta(days=_KEPT_DAYS):%Y-%m-%d}")
        for table in client.list_tables(f"{settings.project}.{settings.dataset}"):
            model, _, rest = table.table_id.partition("__")
            if model == self.model and rest and rest.removeprefix("score_").partition("__")[0] < oldest:
                client.delete_table(table.reference, not_found_ok=True)

    def _check_the_other_serves(self, picture: Picture, result: Result) -> None:
        trained = picture.facts["what train found"]
        (failed,), (other,) = trained["failed"], trained["candidates"]
        serves = {
            "state": "PROMOTED",
            "champion": [other],
            "default": [other],
            "challenger": [],
            "traffic": {other: 100},
        }
        result.lost += Picture(dict(picture.facts)).lost(Picture(serves))
        models = {name for name in picture.counts if failed in name}
        result.doubled += [f"{name}, though it failed" for name in sorted(models)]

    def _check_one_went(self, ended: Mapping[str, str], result: Result) -> None:
        states = Counter(ended.values())
        if states["PROMOTED"] > 1:
            result.doubled.append(f"{states['PROMOTED']} of {len(ended)} runs went on at once")
        if states["SKIPPED"] != len(ended) - 1:
            result.lost.append(
                f"of {len(ended)} runs at once one goes on and the others are refused, not {dict(states)}"
            )

    def _publish(self, run_id: str, stage: str, options: dict[str, Any]) -> None:
        self.world.publish(StageMessage(model=self.model, run_id=run_id, stage=stage, as_of=self._day, options=options))

    def _see_it_end(self, run_id: str, result: Result) -> str:
        """Wait until the run has ended, replaying it where a person would have to; its last state."""
        silence, seen, silent = Silence(), -1, 0.0
        while silent < SILENCE_SECONDS and self._deliveries < _MOST_DELIVERIES:
            silent = silence.look(moved=self.world.busy(self.model) or self._deliveries != seen)
            seen = self._deliveries
            row = self._row(run_id)
            state = row["state"] if row else "UNKNOWN"
            if state == "FAILED" and self._may_fail() and result.replays < _REPLAYS:
                self._healed.set()
                self._replay(run_id, result)
            elif state == "CANARY" and "rollout" not in self._ticking:
                # As the scheduler does, every ten minutes.
                self._ticking.add("rollout")
                self.world.publish_raw("rollout", json.dumps({"model": self.model}).encode())
            elif state not in _GOING and state != "UNKNOWN":
                return state
            # Asked again when a function has ended, not all the time: a poll is a query, and costs what a stage costs.
            self._moved.wait(1.0)
            self._moved.clear()
        events = [(e.stage, e.status, e.attempt) for e in self._events(run_id)]
        result.stuck.append(f"{run_id}, after {self._deliveries} deliveries: {events}")
        return "STUCK"

    def _may_fail(self) -> bool:
        scenario = self._scenario
        lasting = [
            f for f in scenario.faults.values() if not f.what.startswith("kill-") and not error_named(f.what).passing
        ]
        return bool(scenario.outage or lasting)

    def _replay(self, run_id: str, result: Result) -> None:
        events = self._events(run_id)
        try:
            message = message_to_replay(events, model=self.model)
        except StateError as error:
            result.lost.append(f"{run_id} cannot be replayed: {error}")
            return
        result.replays += 1
        self.world.publish(message)
        wait_while_moving(
            lambda: (self._row(run_id) or {}).get("state") != "FAILED",
            lambda: (self._deliveries, self.world.busy(self.model)),
            SILENCE_SECONDS,
            pause=0.3,
        )

    def _events(self, run_id: str) -> list[Event]:
        return patiently(lambda: self.world.app.ledger(self.model).events(run_id))

    def _row(self, run_id: str) -> Mapping[str, Any] | None:
        rows = patiently(lambda: self.world.app.ledger(self.model).read("recent_runs"))
        return next((row for row in rows if row["run_id"] == run_id), None)

    def _deliver_late(self, result: Result) -> None:
        if self._scenario.deliver not in {"late", "shuffled"}:
            return
        late = list(self._delivered)
        if self._scenario.deliver == "shuffled":
            self._draw.shuffle(late)
        for message in late:
            self._injected += 1
            if self.world.call(message).exit != 0:
                result.lost.append(f"a late message to {message.function} is not acknowledged")

    def _wait_for_quiet(self, result: Result) -> None:
        since = [time.monotonic()]

        def quiet() -> bool:
            if self.world.busy(self.model):
                since[0] = time.monotonic()
            return time.monotonic() - since[0] > _QUIET_SECONDS or self._deliveries >= _MOST_DELIVERIES

        wait_until(quiet, float("inf"))
        if self._deliveries >= _MOST_DELIVERIES:
            result.stuck.append("messages keep coming")

    def _handle(self, message: Message) -> bool:
        try:
            return self._deliver(message)
        finally:
            self._deliveries += 1
            self._ticking.discard(message.function)
            self._moved.set()

    def _deliver(self, message: Message) -> bool:
        scenario = self._scenario
        with self._lock:
            fault = self._pending.pop(message.function, None)
            first = message not in self._delivered
            if first:
                self._delivered.append(message)
        if scenario.outage == message.function and not self._healed.is_set():
            fault = Fault(self._draw.randint(1, 8), "kill-after")
        repeats = self._injected < _MOST_REPEATS
        if scenario.deliver == "together" and repeats:
            return self._twice_at_once(message)
        delivery = self.world.call(message, fault)
        if message.function == DEAD_LETTER and delivery.exit == 0:
            self._healed.set()  # somebody has seen the alert
        if delivery.struck:
            self._injected += 1
        if fault is None and message.function != DEAD_LETTER:
            self._calls[message.function] = delivery.calls
        if scenario.deliver == "twice" and repeats and delivery.exit == 0:
            self._injected += 1
            return self.world.call(message).exit == 0
        if scenario.deliver == "shuffled" and repeats:
            self._injected += 1
            self.world.call(self._draw.choice(self._delivered))
        if scenario.deliver == "unacknowledged" and message.message_id not in self._unacknowledged:
            self._injected += 1
            self._unacknowledged.add(message.message_id)
            return False
        return delivery.exit == 0

    def _twice_at_once(self, message: Message) -> bool:
        self._injected += 1
        exits: list[int] = []
        twins = [threading.Thread(target=lambda: exits.append(self.world.call(message).exit)) for _ in range(2)]
        for twin in twins:
            twin.start()
        for twin in twins:
            twin.join()
        return 0 in exits


def carry_out(
    lanes: Sequence[Lane],
    scenarios: Iterable[Scenario],
    told: Callable[[Result], None] = lambda _: None,
    *,
    seconds: float = float("inf"),
) -> list[Result]:
    """Carry scenarios out, on all lanes side by side; none is begun after so many seconds."""
    end = time.monotonic() + seconds
    waiting: queue.SimpleQueue[Scenario | None] = queue.SimpleQueue()
    for scenario in scenarios:
        waiting.put(scenario)
    for _ in lanes:
        waiting.put(None)
    results: list[Result] = []

    def work(lane: Lane) -> None:
        while (scenario := waiting.get()) is not None and time.monotonic() < end:
            try:
                result = lane.run(scenario)
            except Exception as error:  # noqa: BLE001 -- one broken scenario must not hide the others
                result = Result(scenario, lost=[f"the harness itself failed: {type(error).__name__}: {error}"])
            results.append(result)
            told(result)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def measure(lanes: Sequence[Lane]) -> None:
    """Let every lane take its picture of the undisturbed run, all at the same time."""
    errors: list[BaseException] = []

    def work(lane: Lane) -> None:
        try:
            lane.measure()
        except BaseException as error:  # noqa: BLE001 -- raised below, in the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]

"""Which faults there are: every call of every stage killed before and after, every error at calls drawn by a seed, messages
twice, late and out of order, two runs at once.

A scenario is one run. It carries one fault a stage, because stages do not share calls: so a few hundred runs hold more
than a thousand faults. Its text reproduces it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.calls import Fault
from tests.faults.injected_errors import ERRORS, InjectedError

Deliver = Literal["once", "twice", "together", "late", "shuffled", "unacknowledged"]
DELIVERIES: tuple[Deliver, ...] = ("twice", "together", "late", "shuffled", "unacknowledged")
ONE_CANDIDATE = "one candidate fails"
Calls = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Scenario:
    """One disturbed run.

    Attributes:
        kind: What the report counts it under.
        faults: What goes wrong at the first delivery of a message to a stage.
        deliver: How messages come.
        outage: A stage that fails at every delivery, until the message is a dead letter and the run is replayed.
        runs: How many runs are asked for at once.
        seed: For what is drawn while it runs.
    """

    kind: str
    faults: Mapping[str, Fault] = field(default_factory=dict)
    deliver: Deliver = "once"
    outage: str = ""
    runs: int = 1
    seed: int = 0

    def __str__(self) -> str:
        told: dict[str, Any] = {"kind": self.kind}
        if self.faults:
            told["faults"] = {
                stage: [f.call, f.what, f.lasting, *([f.step] if f.step else [])] for stage, f in self.faults.items()
            }
        told |= {
            name: getattr(self, name)
            for name, default in (("deliver", "once"), ("outage", ""), ("runs", 1), ("seed", 0))
            if getattr(self, name) != default
        }
        return json.dumps(told)

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """The scenario of a text that `str` gave."""
        told = json.loads(text)
        faults = {stage: Fault(*fault) for stage, fault in told.pop("faults", {}).items()}
        return cls(faults=faults, **told)


def kills(calls: Calls) -> Iterator[Scenario]:
    """Every call of every stage, killed before it and after it."""
    for number in range(1, max(map(len, calls.values())) + 1):
        for when in ("before", "after"):
            faults = {stage: Fault(number, f"kill-{when}") for stage, made in calls.items() if number <= len(made)}
            yield Scenario(f"killed {when} a call", faults)


def errors(calls: Calls, draw: random.Random) -> Iterator[Scenario]:
    """Every error at one call of every stage that it can strike, once by itself and once as an outage."""
    for error in ERRORS:
        for lasting in (False, True):
            faults = {}
            for stage, made in calls.items():
                if stage == "train" and error.service == "bigquery" and not error.passing:
                    continue  # it may strike one candidate alone, and then the run is meant to go on without it
                places = [call["call"] for call in made if _can_strike(error, call)]
                if places:
                    faults[stage] = Fault(draw.choice(places), error.identity, lasting)
            if faults:
                passing = "passing" if error.passing else "lasting"
                yield Scenario(f"{passing} {error.service} error{', for a while' if lasting else ''}", faults)


def deliveries(draw: random.Random, rounds: int = 1) -> Iterator[Scenario]:
    """Messages that come twice, both at once, late, out of order, or again because the acknowledgement was lost."""
    for _ in range(rounds):
        for deliver in DELIVERIES:
            yield Scenario(f"messages {deliver}", deliver=deliver, seed=draw.randrange(10**6))


def outages(stages: Sequence[str]) -> Iterator[Scenario]:
    """A stage that fails until its message is a dead letter; then the run is replayed."""
    for stage in stages:
        yield Scenario("given up and replayed", outage=stage)


def starts(draw: random.Random, rounds: int = 1) -> Iterator[Scenario]:
    """Two and three runs asked for at once."""
    for _ in range(rounds):
        for runs in (2, 3):
            yield Scenario("runs at once", runs=runs, seed=draw.randrange(10**6))


def failing_candidates(calls: Calls) -> Iterator[Scenario]:
    """One candidate that cannot be trained, for a reason that no retry mends; the run goes on with the other."""
    # By their names and not by their places: how often a stage polls before a job is chance.
    candidates = [call["step"] for call in calls["train"] if call["step"] and not call["step"].startswith("ledger-")]
    for candidate in dict.fromkeys(candidates):
        for name in ("bigquery.job.invalidQuery", "bigquery.job.resourcesExceeded"):
            yield Scenario(ONE_CANDIDATE, {"train": Fault(1, name, step=candidate)})


def _can_strike(error: InjectedError, call: Mapping[str, Any]) -> bool:
    return bool(call["service"] == error.service and (call["job"] or not error.fails_job))

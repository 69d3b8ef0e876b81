from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.scheduler import Job, Scheduler


class Clock:
    def __init__(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class World:
    """A scheduler with a clock of its own; `fired` holds what it published, with the time."""

    def __init__(self, path: Path, start: str, **jobs: Job) -> None:
        self.clock = Clock(start)
        self.fired: list[tuple[str, str, bytes]] = []
        self.path = path
        self.jobs = jobs
        self.restart()

    def publish(self, topic: str, data: bytes) -> None:
        self.fired.append((f"{self.clock.now:%d %H:%M}", topic, data))

    def restart(self) -> None:
        self.scheduler = Scheduler(self.jobs, self.publish, self.path / "fires.json", clock=self.clock)

    def run(self, *, until: str, step: timedelta = timedelta(seconds=30)) -> None:
        end = datetime.fromisoformat(until).replace(tzinfo=UTC)
        while self.clock.now <= end:
            self.scheduler.tick()
            self.clock.now += step


def daily(cron: str = "0 5 * * *", zone: str = "Etc/UTC") -> Job:
    return Job(cron, zone, "check", [b"m"])


def test_a_job_fires_once_at_each_tick(tmp_path):
    world = World(tmp_path, "2026-01-01 04:00", check=daily())
    world.run(until="2026-01-03 06:00")
    assert [at for at, _, _ in world.fired] == ["01 05:00", "02 05:00", "03 05:00"]


def test_times_are_of_the_jobs_own_zone_over_the_change_to_summer_time(tmp_path):
    world = World(tmp_path, "2026-03-28 00:00", check=daily(zone="Europe/Berlin"))
    world.run(until="2026-03-29 12:00")
    assert [at for at, _, _ in world.fired] == ["28 04:00", "29 03:00"]  # 05:00 CET is 04:00 UTC, 05:00 CEST 03:00


def test_every_message_of_a_job_is_published_to_its_topic(tmp_path):
    world = World(tmp_path, "2026-01-01 04:59", check=Job("0 5 * * *", "Etc/UTC", "t", [b"one", b"two"]))
    world.run(until="2026-01-01 05:01")
    assert [(topic, data) for _, topic, data in world.fired] == [("t", b"one"), ("t", b"two")]


def test_a_restart_within_the_same_tick_does_not_fire_again(tmp_path):
    world = World(tmp_path, "2026-01-01 04:59", check=daily())
    world.run(until="2026-01-01 05:00")
    world.restart()
    world.run(until="2026-01-01 05:02")
    assert len(world.fired) == 1


def test_of_many_missed_ticks_only_the_latest_is_made_up_for(tmp_path):
    world = World(tmp_path, "2026-01-01 04:59", rollout=daily("*/10 * * * *"))
    world.run(until="2026-01-01 05:00")
    world.clock.now += timedelta(hours=7, minutes=3)
    world.restart()
    world.scheduler.tick()
    assert [at for at, _, _ in world.fired] == ["01 05:00", "01 12:03"]


def test_a_tick_missed_by_more_than_an_hour_is_left_out(tmp_path):
    world = World(tmp_path, "2026-01-01 04:00", check=daily())
    world.scheduler.tick()
    world.clock.now += timedelta(hours=5)
    world.restart()
    world.run(until="2026-01-01 12:00")
    assert world.fired == []


def test_ticks_that_pass_while_the_machine_sleeps_fire_once(tmp_path):
    world = World(tmp_path, "2026-01-01 04:59", rollout=daily("*/10 * * * *"))
    world.scheduler.tick()
    world.clock.now += timedelta(minutes=45)
    world.scheduler.tick()
    world.scheduler.tick()
    assert len(world.fired) == 1


def test_a_tick_whose_message_could_not_be_published_stays_due(tmp_path):
    world = World(tmp_path, "2026-01-01 04:59", check=daily())
    world.scheduler.tick()
    world.clock.now += timedelta(minutes=1)
    publish = world.scheduler._publish

    def broken(topic: str, data: bytes) -> None:
        raise ConnectionError

    world.scheduler._publish = broken
    with pytest.raises(ConnectionError):
        world.scheduler.tick()
    world.scheduler._publish = publish
    world.scheduler.tick()
    assert len(world.fired) == 1


def test_a_trigger_fires_at_once_and_an_unknown_job_names_the_known_ones(tmp_path):
    world = World(tmp_path, "2026-01-01 12:00", check=daily(), score=daily())
    world.scheduler.trigger("check")
    assert len(world.fired) == 1
    with pytest.raises(KeyError, match="check, score"):
        world.scheduler.trigger("chekc")


def test_a_wrong_cron_expression_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(ValueError, match=r"'check'.*Bad minute"):
        World(tmp_path, "2026-01-01 12:00", check=daily("61 5 * * *"))
    with pytest.raises(ValueError, match="five fields"):
        World(tmp_path, "2026-01-01 12:00", check=daily("0 0 5 * * *"))
    with pytest.raises(ValueError, match="Etc/Nowhere"):
        World(tmp_path, "2026-01-01 12:00", check=daily(zone="Etc/Nowhere"))

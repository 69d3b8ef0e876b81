"""A local cloud for a module of tests, with the functions running; Google's own clients speak to it."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml

from deployment.application import Application
from deployment.setup import prepare
from etl.settings import environment_file, load_settings
from infra.local.cloud import LocalCloud

ROOT = Path(__file__).resolve().parents[2]
Starter = Callable[[Path], AbstractContextManager[tuple[LocalCloud, Application]]]


@contextmanager
def running_cloud(state: Path) -> Iterator[tuple[LocalCloud, Application]]:
    """A local cloud on a state folder, and bqloop talking to it, for the time of the block."""
    config = yaml.safe_load(environment_file("local").read_text(encoding="utf-8"))
    before = dict(os.environ)
    cloud = LocalCloud(config, state, root=ROOT, with_scheduler=False)
    cloud.start()
    try:
        os.environ.update(cloud.environment())
        app = Application(load_settings("local"))
        prepare(app)
        yield cloud, app
    finally:
        cloud.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def start_cloud() -> Starter:
    """Starts a local cloud on a state folder."""
    return running_cloud

"""CREATE MODEL: from a spec and a table to a Model."""

from __future__ import annotations

import threading

import pyarrow as pa

from .model import BqmlUnavailable, Model
from .options import ModelSpec


def train(
    spec: ModelSpec,
    data: pa.Table,
    *,
    evaluation: pa.Table | None = None,
    warm_start: Model | None = None,
    cancel: threading.Event | None = None,
) -> Model:
    """Train. ``data`` holds features and label(s) after TRANSFORM; ``evaluation`` is the second query of the two-query
    form; ``warm_start`` the model being replaced when the option says so; ``cancel`` stops between iterations.
    """
    raise BqmlUnavailable

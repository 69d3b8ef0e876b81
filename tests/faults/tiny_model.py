"""The tiny model: its templates and its data. Several of them, under other names, train side by side."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import sql
from deployment.application import Application
from etl.names import Naming
from etl.templates import Templates, read_sources

FOLDER = Path(__file__).parent / "models" / "tiny"
CANDIDATES = ("loose", "strict")
# What every model needs and the tiny one has no wish to have of its own.
_BORROWED = (
    "tables/inference_log.sql",
    "tables/inferences.sql",
    "monitor/smoke_rows.sql",
    "monitor/shadow.sql",
)
POINTS = 60


def is_tiny(model: str) -> bool:
    """Whether a model is one of ours."""
    return model.startswith("tiny")


def templates(model: str) -> Templates:
    """The templates of a tiny model under that name."""
    own = {
        f"{model}/{path.relative_to(FOLDER).as_posix()}": path.read_text(encoding="utf-8")
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in {".sql", ".yml"}
    }
    shared = {p: text for p, text in read_sources(model).items() if p.startswith(("macros/", "ledger/"))}
    borrowed = {f"{model}/{p}": (sql.ROOT / "kinds/any" / p).read_text(encoding="utf-8") for p in _BORROWED}
    return Templates(model, {**shared, **borrowed, **own})


def put_into(app: Application) -> None:
    """Let bqloop find the tiny models of its environment."""
    for model in app.settings.models:
        if is_tiny(model):
            app._templates[model] = templates(model)


def fill(app: Application, model: str, *, ingested_at: dt.datetime) -> None:
    """Put the points into the table, if it is empty: a line with some noise about it, the same every time."""
    table = Naming.of(app.settings, model).table("points")
    if app.bigquery.get_table(table).num_rows:
        return
    rows = []
    for n in range(POINTS):
        x, y = (n * 7919 % 101) / 101, (n * 104729 % 97) / 97
        split = ("train", "train", "validation", "test")[n % 4]
        far = (x + y > 1) != (n % 11 == 0)
        rows.append(f"({n}, {x!r}, {y!r}, {far}, '{split}', TIMESTAMP '{ingested_at.isoformat()}')")
    statement = f"INSERT INTO `{table}` (point_id, x, y, is_far, split, ingested_at) VALUES {', '.join(rows)}"
    app.bigquery.query(statement).result()

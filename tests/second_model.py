"""A second model, as `bqloop new model` writes it: its table, and its SQL beside what all models share."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import sql
from deployment.scaffold import model_files, sketch_of_file
from etl.templates import Templates

HEADER = "trip_id,driver,city,distance_km,minutes,night,passengers,pickup_at,fare,tipped"


def write_trips(path: Path, day: int, count: int, *, known: bool = True) -> Path:
    """Taxi trips whose fare follows from distance, minutes, night and city with some noise; half a day's drivers tip.

    Args:
        path: Where to.
        day: Day of the month; also the seed.
        count: How many.
        known: Whether fare and tip are known yet.
    """
    draw = random.Random(day)
    extra = {"Basel": 0.0, "Bern": 1.0, "Zug": 4.0}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        for n in range(count):
            km, city, night = round(draw.lognormvariate(1.2, 0.7), 2), draw.choice([*extra]), draw.random() < 0.25
            minutes = round(km * draw.uniform(2, 4) + 3, 1)
            fare = 3 + 1.8 * km + 0.3 * minutes + (2.5 if night else 0) + extra[city] + draw.gauss(0, 1)
            tipped = draw.random() < (0.75 if night else 0.2)
            told = [f"{fare:.2f}", str(tipped).lower()] if known else ["", ""]
            pickup = f"2026-05-{day:02d} {draw.randrange(24):02d}:00:00"
            row = [f"t{day}-{n}", f"d{draw.randrange(60)}", city, km, minutes, str(night).lower(), draw.randint(1, 4)]
            writer.writerow([*row, pickup, *told])
    return path


def new_model(root: Path, name: str, table: Path, *, label: str, group: str = "driver") -> Templates:
    """Write a model and its cases below `root`, as the command does in the repository, beside what all models share.

    Returns:
        Its SQL.
    """
    for folder in ("kinds", "macros", "ledger"):
        if not (root / "sql" / folder).exists():
            shutil.copytree(sql.ROOT / folder, root / "sql" / folder)
    sketch = sketch_of_file(name, table, label=label, group=group)
    for path, text in model_files(sketch, owner="test@example.com").items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        # Fewer replicates than production's: what is computed from them is the same.
        text = text.replace("bootstrap_replicates: 1000", "bootstrap_replicates: 200")
        (root / path).write_text(text, encoding="utf-8")
    return Templates.from_tree(name, root / "sql")

"""The files of a new model, filled in: text by path below the repository. The files themselves stand beside this module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import yaml

from deployment.scaffold.sketch import Column, Sketch

_HERE = Path(__file__).parent
_EXAMPLES: dict[str, tuple[Any, Any]] = {
    "STRING": ("a", "b"),
    "INT64": (1, 2),
    "FLOAT64": (1.5, 2.5),
    "BOOL": (True, False),
    "DATE": ("2026-01-01", "2026-01-02"),
    "TIMESTAMP": ("2026-01-01 08:00:00", "2026-01-02 09:00:00"),
}


def model_files(sketch: Sketch, *, owner: str) -> dict[str, str]:
    """Every file of the new model.

    Args:
        sketch: What it is about.
        owner: Whom to ask; for model.yml.

    Returns:
        Text by path: its folder in `sql/`, and its cases in `tests/sql/`.
    """
    words = _words(sketch, owner)
    found: dict[str, str] = {}
    for folder in ("rows", sketch.task):
        for path in sorted((_HERE / folder).rglob("*")):
            if path.suffix in {".sql", ".yml"}:
                text = Template(path.read_text(encoding="utf-8")).substitute(words)
                found[f"sql/{sketch.name}/{_place(path.relative_to(_HERE / folder), sketch.name)}"] = text
    for place, case in _cases(sketch):
        text = yaml.safe_dump(case, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
        found[f"tests/sql/{sketch.name}/{place}.yml"] = text
    return found


def _place(path: Path, name: str) -> str:
    """Tables are named for the model, because all models of an environment share a dataset."""
    return f"tables/{name}_{path.name}" if path.parts[0] == "tables" else path.as_posix()


def _words(sketch: Sketch, owner: str) -> dict[str, str]:
    regression = sketch.task == "regression"
    keys, label = ", ".join(sketch.keys), sketch.label
    return {
        "name": sketch.name,
        "owner": owner,
        "label": label,
        "keys": keys,
        "key_list": ",\n    ".join(sketch.keys),
        "key_list_outer": ",\n  ".join(sketch.keys),
        "group": sketch.group,
        "positive": sketch.positive,
        "columns": ",\n".join(_definition(column, sketch) for column in sketch.columns),
        "key_columns": ",\n".join(_definition(sketch.column(key), sketch) for key in sketch.keys),
        "features": _features(sketch),
        "all_missing": _all_missing(sketch),
        "slices": "\n".join(f"  {name}: {name}" for name in sketch.slices) or "  {}",
        "said": "prediction" if regression else "probability",
        "said_description": f"{label} as the champion expects it"
        if regression
        else f"Chance of {label} being positive",
        "tolerated_difference": f"{sketch.spread / 2:.3g}",
        "tolerance": f"{sketch.spread / 20:.3g}",
    }


def _definition(column: Column, sketch: Sketch) -> str:
    required = " NOT NULL" if column.name in sketch.keys else ""
    what = "What is to be known; NULL as long as nobody knows it" if column.name == sketch.label else "As it came"
    if column.name in sketch.keys:
        what = "Names the row"
    return f"  {column.name} {column.type}{required} OPTIONS (description = '{what}')"


def _features(sketch: Sketch) -> str:
    lines = [f"  {name}," for name in (*sketch.keys, *sketch.features)]
    lines[-1] = lines[-1].removesuffix(",")
    lines += [f"  -- {name} is left out, {why}." for name, why in sketch.left_out.items()]
    return "\n".join(lines)


def _all_missing(sketch: Sketch) -> str:
    if len(sketch.features) == 1:
        return f"{sketch.features[0]} IS NULL"
    lines = ",\n    ".join(f"CAST({name} AS STRING)" for name in sketch.features)
    return f"COALESCE(\n    {lines}\n  ) IS NULL"


def _cases(sketch: Sketch) -> Iterator[tuple[str, dict[str, Any]]]:
    rows, known = f"{sketch.name}_rows", [*sketch.keys, *sketch.features]
    first, second = _example(sketch, 0), _example(sketch, 1)
    keys = {key: first[key] for key in sketch.keys}
    yield (
        "features/row_features/the_latest_version_counts",
        {
            "says": "Of two versions of a row the later one counts, and none of after @as_of.",
            "given": {
                rows: [
                    {**first, "ingested_at": "2026-05-01 00:00:00"},
                    {**second, **keys, "ingested_at": "2026-05-02 00:00:00"},
                    {**first, "ingested_at": "2026-07-01 00:00:00"},
                ]
            },
            "expected": [{name: ({**second, **keys})[name] for name in known}],
        },
    )
    unknown = {**second, sketch.label: None}
    yield (
        "features/labelled_rows/only_rows_whose_label_is_known",
        {
            "says": f"A row whose {sketch.label} nobody knows yet teaches nothing; all of a group are on one side.",
            "given": {
                rows: [
                    {**first, "ingested_at": "2026-05-01 00:00:00"},
                    {**unknown, "ingested_at": "2026-05-01 00:00:00"},
                ]
            },
            "parameters": {"validation_percent": 0, "test_percent": 0},
            "expected": [{**keys, sketch.label: first[sketch.label], "split": "train"}],
        },
    )
    empty = {key: second[key] for key in sketch.keys}
    yield (
        "checks/empty_rows/a_row_without_anything",
        {
            "says": "A row that has nothing but its key is found.",
            "given": {
                rows: [
                    {**first, "ingested_at": "2026-05-01 00:00:00"},
                    {**empty, "ingested_at": "2026-05-01 00:00:00"},
                ]
            },
            "expected": [empty],
        },
    )


def _example(sketch: Sketch, place: int) -> dict[str, Any]:
    return {column.name: _EXAMPLES[column.type][place] for column in sketch.columns}

"""The command `labels`: which kinds of pairs have labels, and where labels are missing."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.label_coverage import Coverage, label_coverage


def labels(
    rows: Annotated[int, typer.Option(min=1, help="How many kinds of pairs to show of each sort, largest first.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs; all rows.")] = False,
) -> None:
    """Show which kinds of candidate pairs people have judged, and how: by sources, category, likeness and the model's slices.

    Example: bqloop labels --rows 5
    """
    with application() as app:
        found = label_coverage(app, model_of(app.settings))
    if as_json:
        print_json(
            {"run_id": found.run_id, "as_of": found.as_of, "strata": found.rows, "findings": list(found.findings)}
        )
        return
    OPTIONS.console.print(coverage_table(found, rows))
    for finding in found.findings:
        OPTIONS.console.print(f"- {finding}", markup=False, highlight=False, soft_wrap=True)


def coverage_table(found: Coverage, shown: int) -> Table:
    """The coverage as a table, a section a dimension; of each the largest `shown` strata."""
    table = Table(
        "pairs by",
        *(Column(name, justify="right", no_wrap=True) for name in ("candidates", "labelled", "duplicates", "disputed")),
        Column("train/valid./test", justify="right"),
        title=f"Labels as of {found.as_of[:16]} ({found.run_id})",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        collapse_padding=True,
    )
    for dimension, strata in groupby(found.rows, key=lambda row: row["dimension"]):
        every = list(strata)
        for row in every[:shown]:
            name = "all" if dimension == "all" else f"{dimension}: {row['stratum']}"
            table.add_row(
                name.replace("[", "\\["),
                f"{row['candidates']:,}",
                f"{row['labelled']:,}{_percent(row['labelled_share'])}",
                f"{row['duplicates']:,}{_percent(row['duplicate_share'])}",
                f"{row['disputed']:,}",
                "/".join(f"{row[split]:,}" for split in ("train", "validation", "test")),
            )
        if len(every) > shown:
            table.add_row(f"{dimension}: {len(every) - shown:,} more", style="dim")
        table.add_section()
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f" {share:4.0%}"

"""The command `sql case`: a case from real rows, to be looked at and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployment.cli.session import OPTIONS, ROOT, application, model_of
from deployment.cli.sql_cases import CASES, local_bench
from deployment.cli.sql_files import template_path
from deployment.workbench.case_from_rows import case_text, sample_inputs
from deployment.workbench.cases import Case
from etl.errors import InputError


def make_case(
    file: Annotated[Path, typer.Argument(help="A file of features/ or checks/.")],
    name: Annotated[str, typer.Option(help="Name of the case: what it shows, in words joined by _.")],
    says: Annotated[str, typer.Option(help="One sentence: what must hold.")],
    rows: Annotated[
        int, typer.Option(min=1, max=50, help="Rows of the table of pairs, else of the first table, that it reads.")
    ] = 4,
    folder: Annotated[Path, typer.Option(help="Where cases stand.")] = CASES,
) -> None:
    """Make a case from real rows: rows of what a file reads that belong together, and what it gives for them.

    Look at the expected rows before you keep them: they are what the file gives, not what it should.

    Example: bqloop sql case deal_duplicates/features/clean_deals.sql --name real_titles --says "Titles become words"
    """
    path = template_path(file)
    target = folder / path.removesuffix(".sql") / f"{name}.yml"
    if not name.isidentifier():
        raise InputError(f"--name: {name!r} has to be words joined by _")
    if target.exists():
        raise InputError(f"--name: there is a case {target} already; give another name, or delete it")
    with application() as app:
        model = model_of(app.settings)
        with OPTIONS.errors.status(f"Reading what {path} reads"):
            sample = sample_inputs(app, model, path, rows)
        templates = app.templates(model)
    draft = Case(
        target,
        path,
        {"given": sample.given, "types": sample.types, "parameters": {"as_of": sample.as_of}, "expected": []},
    )
    with local_bench(templates) as bench, OPTIONS.errors.status("Running the file on these rows"):
        expected = bench.answer(draft)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(case_text(says, sample, expected), encoding="utf-8")
    shown = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    given = ", ".join(f"{len(found)} of {table}" for table, found in sample.given.items())
    OPTIONS.console.print(f"{shown}: {given}; {len(expected)} expected", markup=False, highlight=False, soft_wrap=True)

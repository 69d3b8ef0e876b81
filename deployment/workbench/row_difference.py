"""What a change of the SQL changes in the rows of a file: both versions built side by side, as of one instant.

All that the file needs is built twice in a scratch dataset, with the SQL of either version, and the same sample of keys is
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deployment.application import Application
from deployment.stages.tables import TableSet, of_run
from deployment.workbench.case_rows import same
from deployment.workbench.scratch import ScratchRun, scratch_run
from etl.errors import InputError
from etl.templates import Templates

_TOLERANCE = 1e-9
# Rows in which it is looked for the columns that name a row.
_LOOKED_AT = 20_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Sampled:
    """What `review/sampled_rows.sql` may ask.

    Attributes:
        table: Back-quoted full name.
        key_columns: Columns by whose hash rows are chosen.
    """

    table: str
    key_columns: Sequence[str]


@dataclass(frozen=True)
class RowDifference:
    """How the rows of a file differ.

    Attributes:
        keys: The columns that name a row.
        rows: How many there are in all, now and then.
        compared: Sampled rows that both have.
        came: Sampled keys that only the working tree gives.
        went: Sampled keys that only the other revision gives.
        changed: By column that both have, how many of the compared rows differ, and one of them: key, then, now.
    """

    keys: tuple[str, ...]
    rows: tuple[int, int]
    compared: int
    came: Sequence[Row]
    went: Sequence[Row]
    changed: dict[str, tuple[int, Row, Any, Any]]


def compare_rows(app: Application, model: str, path: str, then: Templates, limit: int) -> RowDifference:
    """Build a file of features/ with the SQL of the tree and of another revision, and compare a sample of the rows.

    Raises:
        InputError: It is no such file, or no columns name its rows.
        StatementError: BigQuery refuses a statement of either version.
    """
    now = app.templates(model)
    name = path.rsplit("/", 1)[-1].removesuffix(".sql")
    if f"{model}/features/{name}.sql" != path or path not in now.sources or path not in then.sources:
        raise InputError(f"file: rows can be compared of files of {model}/features that both revisions have")
    with scratch_run(app, model, lambda step: None) as run:
        mine, theirs = of_run(run), TableSet(run, then, f"{run.slug}_then")
        for tables in (mine, theirs):
            tables.build((name,))
        names = [tables.name(name).strip("`") for tables in (mine, theirs)]
        columns = [run.warehouse.columns(each) for each in names]
        common = [column for column in columns[0] if column in columns[1]]
        totals = [int(run.warehouse.client.get_table(each).num_rows) for each in names]
        keys = _keys(run, names, common)
        found = [_sample(run, each, keys, limit) for each in names]
    here, there = ({tuple(row[key] for key in keys): row for row in rows} for rows in found)
    both = here.keys() & there.keys()
    # Where the sample is cut off, a key that one side lacks may only have been pushed out by others.
    whole = max(totals) <= limit
    return RowDifference(
        keys=keys,
        rows=(totals[0], totals[1]),
        compared=len(both),
        came=[here[key] for key in here.keys() - both] if whole else [],
        went=[there[key] for key in there.keys() - both] if whole else [],
        changed=_changed([(here[key], there[key]) for key in both], [c for c in common if c not in keys], keys),
    )


def _keys(run: ScratchRun, names: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The first columns that name a row: as few as there need to be, looked for among the rows themselves."""
    rows = [
        run.warehouse.client.list_rows(name, max_results=_LOOKED_AT).to_arrow(create_bqstorage_client=False).to_pylist()
        for name in names
    ]
    chosen: list[str] = []
    for column in columns:
        chosen.append(column)
        if all(len({tuple(map(str, (row[c] for c in chosen))) for row in each}) == len(each) for each in rows):
            return tuple(chosen)
    raise InputError("file: no columns name its rows, so they cannot be compared one by one")


def _sample(run: ScratchRun, table: str, keys: Sequence[str], limit: int) -> list[Row]:
    statement = of_run(run, sampled=Sampled(f"`{table}`", keys)).render(f"{run.message.model}/review/sampled_rows.sql")
    return run.warehouse.read(statement, run.parameters(rows=limit), usage=run.usage)


def _changed(
    pairs: Sequence[tuple[Row, Row]], columns: Sequence[str], keys: Sequence[str]
) -> dict[str, tuple[int, Row, Any, Any]]:
    found: dict[str, tuple[int, Row, Any, Any]] = {}
    for column in columns:
        differing = [(now, then) for now, then in pairs if not same(now[column], then[column], _TOLERANCE)]
        if differing:
            now, then = differing[0]
            found[column] = (len(differing), {key: now[key] for key in keys}, then[column], now[column])
    return found

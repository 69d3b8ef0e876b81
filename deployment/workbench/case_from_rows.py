"""A case made from real rows: a few rows of what a file reads, and what it gives for them.

The expected rows are recorded, not judged: who keeps the case has to look at them once. They are computed from the given
rows alone, on a local BigQuery, so that the case holds wherever it runs.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deployment.application import Application
from deployment.stages.tables import of_run
from deployment.workbench.case_rows import Rows, type_of
from deployment.workbench.scratch import ScratchRun, scratch_run
from etl.errors import InputError
from etl.templates import Templates

# Rows of a table in which those are looked for that belong to the sample, and how many of them are taken for each of it.
_SEARCHED = 50_000
_FOLLOWERS = 60
# Columns that tie rows of one table to those of another.
_LINK = re.compile(r"(?:^|_)(?:key|id|source|token|member|neighbour|group)$")
_USED = re.compile(r"\b(run_table|table)\.(\w+)")


@dataclass(frozen=True)
class Sample:
    """Rows of what a file reads.

    Attributes:
        as_of: The instant as of which they were read.
        given: Rows by table.
        types: BigQuery type by column, where the values do not tell it, by table.
    """

    as_of: dt.datetime
    given: Mapping[str, Rows]
    types: Mapping[str, Mapping[str, str]]


def sample_inputs(app: Application, model: str, path: str, rows: int) -> Sample:
    """A few rows of each table that a file reads, chosen so that they belong together.

    Args:
        app: bqloop in one environment.
        model: The model.
        path: A file of its features/ or checks/.
        rows: How many of the table of pairs where it reads one, else of the first table.

    Raises:
        InputError: It is no such file.
        StatementError: BigQuery refuses a statement.
    """
    templates = app.templates(model)
    folder = path.split("/")[-2] if "/" in path else ""
    if path not in templates.sources or folder not in {"features", "checks"}:
        raise InputError(f"file: a case can be made from real rows for files of {model}/features and {model}/checks")
    inputs = _inputs(templates, path)
    with scratch_run(app, model, lambda step: None) as run:
        of_run(run).build([name for kind, name in inputs if kind == "run_table"])
        inputs.sort(key=lambda entry: -_sides(run, *entry))
        found: dict[str, pa.Table] = {}
        kinds: dict[str, dict[str, str]] = {}
        for kind, name in inputs:
            full_name = _full_name(run, kind, name)
            read = _columns_read(run, full_name, templates.sources[path])
            kinds[name] = {field.name: field.field_type for field in read}
            arrow = run.warehouse.client.list_rows(full_name, selected_fields=read, max_results=_SEARCHED)
            found[name] = _belonging(arrow.to_arrow(create_bqstorage_client=False), found, rows)
        as_of = run.message.as_of
    given = {name: [_plain(row) for row in table.to_pylist()] for name, table in found.items()}
    types = {}
    for kind, name in inputs:
        if kind == "run_table":
            values = {column: [row[column] for row in given[name]] for column in kinds[name]}
            told = {c: t for c, t in kinds[name].items() if type_of(values[c]) != _standard(t)}
            if told:
                types[name] = {column: _standard(kind) for column, kind in told.items()}
    return Sample(as_of, given, types)


def _inputs(templates: Templates, path: str) -> list[tuple[str, str]]:
    """The tables that a file reads, in the order in which it names them."""
    own = path.rsplit("/", 1)[-1].removesuffix(".sql")
    code = re.sub(r"/\*.*?\*/|\{#.*?#\}", "", templates.sources[path], flags=re.DOTALL)
    return [(kind, name) for kind, name in dict.fromkeys(_USED.findall(code)) if name != own]


def _full_name(run: ScratchRun, kind: str, name: str) -> str:
    return run.naming.run_table(run.slug, name) if kind == "run_table" else run.naming.table(name)


def _sides(run: ScratchRun, kind: str, name: str) -> int:
    """How many columns of a table name a side of a pair: the table of pairs says which of the others belong together."""
    columns = run.warehouse.columns(_full_name(run, kind, name))
    return sum(column.startswith(("left_", "right_")) for column in columns)


def _columns_read(run: ScratchRun, full_name: str, source: str) -> list[Any]:
    """The columns that the file can mean; all of them where it takes whatever there is."""
    schema = run.warehouse.client.get_table(full_name).schema
    if re.search(r"\.?\*(?!/|\s*\w|\s*\()", source.split("*/", 1)[-1]):
        return list(schema)
    read = [field for field in schema if re.search(rf"\b{re.escape(field.name)}\b", source)]
    return read or list(schema)[:1]


def _belonging(table: pa.Table, found: Mapping[str, pa.Table], rows: int) -> pa.Table:
    """Of the first table some rows; of every other those that share a key with what was taken before."""
    if not found:
        return table.slice(0, rows)
    keep = None
    for name in table.column_names:
        if not _LINK.search(name):
            continue
        kind = table.schema.field(name).type
        known = [
            other.column(column)
            for other in found.values()
            for column in other.column_names
            if _LINK.search(column) and other.schema.field(column).type == kind and not column.endswith("source")
        ]
        if not known or name.endswith("source"):
            continue
        values = pa.concat_arrays([chunk for column in known for chunk in column.chunks] or [pa.array([], kind)])
        hit = pc.is_in(table.column(name), value_set=values)
        keep = hit if keep is None else pc.or_(keep, hit)
    return (table if keep is None else table.filter(keep)).slice(0, rows * _FOLLOWERS)


def case_text(says: str, sample: Sample, expected: Rows) -> str:
    """The case as it is written: each table with its names first, then a row a line."""
    lines = [f"says: {json.dumps(says, ensure_ascii=False)}", "given:"]
    for name, rows in sample.given.items():
        lines += [f"  {name}:{'' if rows else ' []'}", *_table_lines(rows, "    ")]
    if sample.types:
        lines.append("types:")
        lines += [f"  {name}: {{{_pairs(kinds)}}}" for name, kinds in sample.types.items()]
    lines.append(f"parameters: {{as_of: {_written(sample.as_of)}}}")
    lines += [f"expected:{'' if expected else ' []'}", *_table_lines(expected, "  ")]
    return "\n".join(lines) + "\n"


def _table_lines(rows: Sequence[Mapping[str, Any]], indent: str) -> list[str]:
    if not rows:
        return []
    names = f"{indent}- [{', '.join(rows[0])}]"
    return [names, *(f"{indent}- [{', '.join(_written(value) for value in row.values())}]" for row in rows)]


def _pairs(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{column}: {kind}" for column, kind in kinds.items())


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _written(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(float(value))
    return json.dumps(value, ensure_ascii=False)


def _standard(kind: str) -> str:
    return {"FLOAT": "FLOAT64", "INTEGER": "INT64", "BOOLEAN": "BOOL"}.get(kind, kind)

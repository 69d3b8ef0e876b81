"""The command `new model`: a second continuously trained model, as a folder of SQL that the loop runs as it stands."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Annotated

import typer

from deployment.cli.session import OPTIONS, ROOT, print_json
from deployment.scaffold import Sketch, model_files, sketch_of_file, sketch_without_file
from deployment.scaffold.sketch import Task
from etl.errors import InputError
from etl.settings import environment_file

app = typer.Typer(help="Begin something new.", no_args_is_help=True)

# Folders of sql/ that are no models.
_TAKEN = frozenset({"macros", "ledger", "kinds"})


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="The model: letters in lower case, digits and single underscores.")],
    table: Annotated[
        Path | None, typer.Option("--from", metavar="TABLE.csv", help="A CSV with a header: columns come from it.")
    ] = None,
    kind: Annotated[str, typer.Option(help="regression or classification; default: what the label looks like.")] = "",
    label: Annotated[str, typer.Option(help="The column to predict; default: the last one.")] = "",
    key: Annotated[
        list[str] | None, typer.Option(help="A column that names a row; repeat it where it takes several.")
    ] = None,
    group: Annotated[str, typer.Option(help="Rows that share it are on one side of the split; default: the key.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Write sql/NAME, a second model that trains, gates, deploys and serves as it stands; and its cases in tests/sql.

    Example: bqloop new model fares --from fares.csv --label fare
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 40 or name in _TAKEN:
        raise InputError(f"NAME {name!r}: letters in lower case, digits and single underscores, 40 at most")
    if (ROOT / "sql" / name).exists():
        raise InputError(f"NAME {name!r}: sql/{name} is there already")
    if kind not in {"", "regression", "classification"}:
        raise InputError(f"--kind {kind}: there are regression and classification")
    task: Task | None = "regression" if kind == "regression" else "classification" if kind else None
    if table is None:
        sketch = sketch_without_file(name, task or "regression")
    else:
        sketch = sketch_of_file(name, table, task=task, label=label, keys=key or (), group=group)
    files = model_files(sketch, owner=f"{getpass.getuser()}@example.com")
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    add_to_environment(environment_file("local"), name)
    if as_json:
        print_json({"model": name, "task": sketch.task, "label": sketch.label, "files": sorted(files)})
        return
    _tell(sketch, table, sorted(files))


def add_to_environment(file: Path, name: str) -> None:
    """Name the model in the list `models` of an environment's file, whose comments and order stay.

    Raises:
        InputError: The file has no such list on one line.
    """
    text = file.read_text(encoding="utf-8")
    found = re.search(r"^models: \[([^\]]*)\]", text, re.MULTILINE)
    if not found:
        raise InputError(f"{file.name}: there is no line `models: [...]` to add {name} to; add it by hand")
    known = [one.strip() for one in found[1].split(",") if one.strip()]
    if name not in known:
        line = f"models: [{', '.join([*known, name])}]"
        file.write_text(text[: found.start()] + line + text[found.end() :], encoding="utf-8")


def _tell(sketch: Sketch, table: Path | None, files: list[str]) -> None:
    def show(text: str) -> None:
        OPTIONS.console.print(text, markup=False, highlight=False, soft_wrap=True)

    show(f"{sketch.name}: a {sketch.task} of {sketch.label}; {', '.join(sketch.keys)} names a row.")
    show(f"Features: {', '.join(sketch.features)}.")
    for column, why in sketch.left_out.items():
        show(f"Left out: {column}, {why} (features/row_features.sql).")
    for path in files:
        show(f"  {path}")
    show("Named in infra/environments/local.yaml; add it to the other environments when it is ready. Next:")
    renamed = "".join(f" --map {c.name}={c.given!r}" for c in sketch.columns if c.name != c.given.strip().lower())
    begin = f"  bqloop --model {sketch.name}"
    show(f"{begin} sql check && bqloop --model {sketch.name} sql test")
    show(f"{begin} import rows {table or 'FILE'}{renamed}")
    show(f"{begin} retrain --wait")

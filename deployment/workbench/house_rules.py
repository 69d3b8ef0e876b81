"""Rules of the house for one statement: what BigQuery would accept and the loop would suffer from.

Each rule is a function from a statement to the mistakes in it; what they share is a text whose comments and literals are
blanked out, so that places stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deployment.workbench.findings import Finding, finding_at
from deployment.workbench.project import Project
from etl.templates import RenderedSql

_OPAQUE = re.compile(r"/\*.*?\*/|--[^\n]*|r?'(?:\\.|[^'\\])*'|r?\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_BUILDING = frozenset({"features", "evaluate", "predict", "train"})
_PARTITIONED = re.compile(r"PARTITION BY (?:DATE|TIMESTAMP_TRUNC|DATE_TRUNC)\((\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """A statement as the rules see it.

    Attributes:
        project: The model's SQL.
        path: Its template.
        rendered: It, rendered.
        code: Its text with comments and literals blanked out.
    """

    project: Project
    path: str
    rendered: RenderedSql
    code: str

    @property
    def folder(self) -> str:
        """The folder that says what the statement is for."""
        return self.path.split("/")[-2]


Mistakes = Iterator[tuple[int, str]]


def _blanked(text: str) -> str:
    return _OPAQUE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _header(statement: Statement) -> Mistakes:
    """A file opens with what it builds: others read that first."""
    if not re.match(r"\s*/\*", statement.rendered.text):
        yield 0, "begin the file with /* what it builds, one row per what, who reads it */"


def _one_statement(statement: Statement) -> Mistakes:
    """A file is one statement, because a job is one statement."""
    found = re.search(r";\s*\S", statement.code)
    if found:
        yield found.start(), "a file holds one statement: move what follows the semicolon to a file of its own"


def _own_table(statement: Statement) -> Mistakes:
    """The loop finds a table by the name of its file."""
    analysis = statement.project.analyses.get(statement.path)
    if analysis is None or statement.folder not in {"features", "evaluate", "predict"}:
        return
    stem = statement.path.rsplit("/", 1)[-1].removesuffix(".sql")
    short = statement.project.short_name(analysis.creates) if analysis.creates else ""
    is_output = statement.folder == "predict" and (short.startswith("table.") or not analysis.creates)
    if short != f"run_table.{stem}" and not is_output:
        yield _start_of_code(statement), f"the file must CREATE OR REPLACE TABLE {{{{ run_table.{stem} }}}}"
    elif analysis.creates and not re.search(r"CREATE\s+OR\s+REPLACE", statement.code, re.IGNORECASE):
        yield _start_of_code(statement), "write CREATE OR REPLACE TABLE, because every step may run twice"


def _candidate(statement: Statement) -> Mistakes:
    """A model is never overwritten, and stands under its own name in the registry."""
    if statement.folder != "train":
        return
    replaced = re.search(r"\bOR\s+REPLACE\s+MODEL\b|\bMODEL\s+IF\s+NOT\s+EXISTS\b", statement.code, re.IGNORECASE)
    if replaced:
        yield replaced.start(), "write CREATE MODEL: OR REPLACE would delete the version in the registry"
    if "vertex_ai_model_version_aliases" not in statement.rendered.text:
        yield (
            max(statement.code.find("OPTIONS"), _start_of_code(statement)),
            "add {{ registry.registry_options(candidate) }} to OPTIONS: it registers the model",
        )
    if not re.search(r"data_split_method\s*=", statement.code, re.IGNORECASE):
        yield (
            _start_of_code(statement),
            "add data_split_method = 'NO_SPLIT': the loop holds the validation rows out itself",
        )


def _star(statement: Statement) -> Mistakes:
    """What is trained on is chosen, never whatever a table happens to hold."""
    if statement.folder == "train" or statement.path.endswith("/training_features.sql"):
        for found in re.finditer(r"(?:\bSELECT|,)\s+(?:\w+\.)?(\*)(?!\s*EXCEPT)", statement.code, re.IGNORECASE):
            yield found.start(1), "no SELECT * into training: use feature_columns, or * EXCEPT (…) of one table"


def _deterministic(statement: Statement) -> Mistakes:
    """A step that runs again for the same instant gives the same rows."""
    if statement.folder not in _BUILDING | {"checks"}:
        return
    clocks = r"\b(RAND|GENERATE_UUID|CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_DATETIME|CURRENT_TIME|SESSION_USER)\b"
    for found in re.finditer(clocks, statement.code, re.IGNORECASE):
        instead = "@as_of" if found[1].upper().startswith("CURRENT") else "FARM_FINGERPRINT of the row's keys"
        yield found.start(), f"{found[1].upper()} gives other rows each time: use {instead}"
    for found in re.finditer(r"\bROW_NUMBER\(\)\s*OVER\s*\(([^()]*)\)", statement.code, re.IGNORECASE):
        if "ORDER BY" not in found[1].upper():
            yield found.start(), "ROW_NUMBER() without ORDER BY numbers rows at random: say by what"
    for found in re.finditer(r"\bLIMIT\s+\d+", statement.code, re.IGNORECASE):
        if "ORDER BY" not in statement.code[max(0, found.start() - 300) : found.start()].upper():
            yield found.start(), "LIMIT without ORDER BY keeps rows at random: say which come first"
    for found in re.finditer(r"\bANY_VALUE\s*\(", statement.code, re.IGNORECASE):
        if statement.folder == "features" and "HAVING" not in _enclosed(statement.code, found.end()).upper():
            yield found.start(), "ANY_VALUE takes a value at random: use MIN, MAX or HAVING MAX"


def _as_of(statement: Statement) -> Mistakes:
    """A run sees the world as of one instant; that also prunes the partitions which cost money."""
    if statement.folder not in {"features", "checks"} and not statement.path.endswith("monitor/freshness.sql"):
        return
    for name in statement.project.tables:
        stem = name.rsplit(".", 1)[-1]
        templates = statement.project.templates
        ddl = templates.sources.get(templates.resolve(f"{templates.model}/tables/{stem}.sql"), "")
        column = _PARTITIONED.search(ddl)
        for found in re.finditer(rf"\b(?:FROM|JOIN)\s+(`{re.escape(name)}`)", statement.code) if column else ():
            assert column is not None  # noqa: S101 -- told to mypy
            scope = _enclosed(statement.code, found.end())
            bound = rf"\b{column[1]}\s*(<=?|BETWEEN\b.*?\bAND)\s*@(as_of|until)\b|@as_of\s*>=?\s*(\w+\.)?{column[1]}\b"
            if not re.search(bound, scope, re.IGNORECASE | re.DOTALL):
                some = re.search(rf"\b{column[1]}\b\s*[<>=]", scope)
                why = (
                    "the run would see rows of the future" if some else "all partitions would be read, future ones too"
                )
                yield found.start(1), f"{statement.project.short_name(name)}: add {column[1]} <= @as_of, else {why}"


def _names(statement: Statement) -> Mistakes:
    """Names come from the namespaces, else a run writes into or reads from another environment."""
    settings = statement.project.settings
    source = _blanked(statement.project.templates.sources[statement.path])
    for found in re.finditer(r"`([\w-]+\.)?[\w-]+\.[\w-]+`", source):
        rendered = statement.rendered.text.find(found[0])
        yield max(rendered, 0), f"{found[0]} is one environment's: use table.…, run_table.… or ledger.… in braces"
    literal = re.search(r"\bMODEL\s+[`\w]", source, re.IGNORECASE)
    if literal and statement.folder != "tables" and "{%" not in literal[0] and _ml_literal(source):
        place = statement.code.upper().find("MODEL", statement.code.upper().find("ML."))
        yield (
            max(place, 0),
            f"name the model by a variable (candidate, champion, scored …), not {settings.dataset}'s own",
        )


def _ml_literal(source: str) -> bool:
    return bool(re.search(r"\bML\.\w+\s*\(\s*MODEL\s+[`\w]", source, re.IGNORECASE))


def _null(statement: Statement) -> Mistakes:
    """Nothing equals NULL."""
    for found in re.finditer(r"(?:=|!=|<>)\s*NULL\b", statement.code, re.IGNORECASE):
        if statement.folder != "tables" and not re.search(r"\bSET\b", statement.code, re.IGNORECASE):
            yield found.start(), "a comparison with NULL is never true: write IS NULL or IS NOT NULL"


def _joins(statement: Statement) -> Mistakes:
    """Joins that are not what they seem."""
    for found in re.finditer(r"\bFROM\s+`[^`]*`(?:\s+AS\s+\w+)?\s*,\s*`", statement.code, re.IGNORECASE):
        yield (
            found.end() - 1,
            "a comma joins every row with every other: write JOIN … ON, or CROSS JOIN where it is meant",
        )
    for found in re.finditer(r"\bLEFT\s+JOIN\s+(?:`[^`]*`|\w+)\s+AS\s+(\w+)", statement.code, re.IGNORECASE):
        rest = _enclosed(statement.code, found.end())
        where = re.search(r"\bWHERE\b(.*?)(?:\bGROUP BY\b|\bQUALIFY\b|\bORDER BY\b|$)", rest, re.IGNORECASE | re.DOTALL)
        if where:
            test = re.search(rf"\b{found[1]}\.\w+\s*(?:=|!=|<|>|IN\b|LIKE\b|BETWEEN\b)", where[1], re.IGNORECASE)
            if test and " OR " not in where[1].upper():
                place = found.end() + where.start(1) + test.start()
                yield place, f"this makes the LEFT JOIN an INNER JOIN: move the test of {found[1]} to its ON"
    for found in re.finditer(r"\bON\s+(\w+)\.(\w+)\s*=\s*\1\.\2\b", statement.code, re.IGNORECASE):
        yield found.start(), "this joins a column with itself: every row meets every other"


def _division(statement: Statement) -> Mistakes:
    """One zero among millions of rows fails the whole statement."""
    analysis = statement.project.analyses.get(statement.path)
    if analysis is None or statement.folder not in {"features", "predict"}:
        return
    lines = statement.rendered.text.splitlines(keepends=True)
    for line, column, told in analysis.divisors:
        yield sum(map(len, lines[: line - 1])) + column - 1, f"{told}: write SAFE_DIVIDE, or fail on the first zero"


RULES: dict[str, Callable[[Statement], Mistakes]] = {
    "header": _header,
    "one-statement": _one_statement,
    "own-table": _own_table,
    "candidate": _candidate,
    "star": _star,
    "deterministic": _deterministic,
    "as-of": _as_of,
    "names": _names,
    "null": _null,
    "joins": _joins,
    "division": _division,
}


def house_findings(project: Project, path: str) -> Iterator[Finding]:
    """What the rules of the house say to one statement."""
    rendered = project.statements[path]
    statement = Statement(project, path, rendered, _blanked(rendered.text))
    for name, rule in RULES.items():
        for place, message in rule(statement):
            line = rendered.text.count("\n", 0, place) + 1
            column = place - (rendered.text.rfind("\n", 0, place) + 1) + 1
            yield finding_at(project.templates, rendered, line, column, name, message)


def _start_of_code(statement: Statement) -> int:
    found = re.search(r"\S", statement.code)
    return found.start() if found else 0


def _enclosed(code: str, position: int) -> str:
    """The text from a position to the end of the query that it stands in."""
    depth = 0
    for place in range(position, len(code)):
        if code[place] == "(":
            depth += 1
        elif code[place] == ")":
            depth -= 1
            if depth < 0:
                return code[position:place]
        elif depth == 0 and code[place : place + 6].upper() == "UNION ":
            return code[position:place]
    return code[position:]

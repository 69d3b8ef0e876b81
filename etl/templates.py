"""Rendering of SQL templates: one Jinja environment, StrictUndefined, errors that point at the template's line.

Jinja puts in identifiers and column lists only; values travel as query parameters (`@as_of`). Every rendered line
remembers the template line that it came from, so that an error which BigQuery reports at a place in the rendered
statement can be told as a place in the file that a person edits.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import yaml

import sql
from etl.errors import TemplateError

# What models of a kind share: `any` for all, one folder by what `task` in model.yml says, `rows` for models of single rows.
KINDS = "kinds"
DEFAULT_TASK = "classification"

# Marks around "<template>#<line>" at the head of each line; control characters that no SQL file holds.
_OPEN, _CLOSE = "\x01", "\x02"
_MARK = re.compile(f"{_OPEN}([^{_CLOSE}]*)#(\\d+){_CLOSE}")
_PARAMETER = re.compile(r"@([A-Za-z_][A-Za-z0-9_]*)")
# Comments, quoted names and string literals, in which an @ is no parameter.
_OPAQUE = re.compile(r"/\*.*?\*/|--[^\n]*|`[^`]*`|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)


@dataclass(frozen=True)
class RenderedSql:
    """A statement ready to run.

    Attributes:
        path: The template, relative to `sql/`.
        text: The statement.
        origins: For each line of `text` the template and its line (1-based).
        run_tables: Short names of the run's tables that it reads or writes.
        parameters: Names of the query parameters that it uses.
    """

    path: str
    text: str
    origins: tuple[tuple[str, int], ...]
    run_tables: frozenset[str]
    parameters: frozenset[str]

    def place(self, line: int) -> str:
        """`sql/<template>:<line>` for a 1-based line of the rendered text."""
        if not self.origins:
            return f"sql/{self.path}"
        template, number = self.origins[min(max(line, 1), len(self.origins)) - 1]
        return f"sql/{template}:{number}"

    def around(self, line: int, margin: int = 2) -> str:
        """The rendered lines around a 1-based line, numbered, the line itself marked with `>`."""
        lines = self.text.splitlines()
        first, last = max(1, line - margin), min(len(lines), line + margin)
        return "\n".join(f"{'>' if n == line else ' '} {n:4d} | {lines[n - 1]}" for n in range(first, last + 1))


class _MarkLines(jinja2.ext.Extension):
    """Puts a mark with template and line before the first character of each line of literal text."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        parts: list[str] = []
        at_line_start = True
        for line, kind, text in self.environment.lexer.tokeniter(source, name, filename):
            if kind != "data":
                parts.append(text)
                at_line_start = text.endswith("\n")  # trim_blocks gives a tag the line end behind it
                continue
            for offset, piece in enumerate(text.splitlines(keepends=True)):
                body = piece.lstrip()
                if body and (offset or at_line_start):
                    mark = f"{_OPEN}{name}#{line + offset}{_CLOSE}"
                    parts.append(piece[: len(piece) - len(body)] + mark + body)
                else:
                    parts.append(piece)
            at_line_start = text.endswith("\n")
        return "".join(parts)


def folders_of(model: str, policy_text: str) -> tuple[str, ...]:
    """The folders below `sql/` that make up one model: its own, those of its kind, the macros and the ledger.

    Args:
        model: Name of the model's folder.
        policy_text: Its model.yml. `task` says which kind it is, and `rows` that it is about single rows; what cannot be
            read is taken for a classification, and refused where the policy is validated.
    """
    try:
        policy = yaml.safe_load(policy_text)
    except yaml.YAMLError:
        policy = None
    said = policy if isinstance(policy, dict) else {}
    kinds = (["rows"] if said.get("rows") else []) + [said.get("task", DEFAULT_TASK), "any"]
    return (model, *(f"{KINDS}/{kind}" for kind in kinds), "macros", "ledger")


def read_sources(model: str, root: Path = sql.ROOT) -> dict[str, str]:
    """The texts that make up one model (SQL and model.yml) by path below `sql/`: see `folders_of`."""
    policy = root / model / "model.yml"
    found: dict[str, str] = {}
    for folder in folders_of(model, policy.read_text(encoding="utf-8") if policy.is_file() else ""):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".sql", ".yml"} and path.is_file():
                found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    return found


class Templates:
    """The templates of one model, as they were at one moment.

    Args:
        model: Name of the model's folder.
        sources: Text by path below `sql/`, as `read_sources` or the ledger's snapshot gives them.
    """

    def __init__(self, model: str, sources: Mapping[str, str]) -> None:
        self.model = model
        self.sources = dict(sources)
        # Those of the model before what all models share; a snapshot of a run holds the same ones.
        kinds = {"/".join(path.split("/")[:2]) for path in self.sources if path.startswith(f"{KINDS}/")}
        self._kinds = sorted(kinds, key=lambda kind: (kind == f"{KINDS}/any", kind))
        self._environment = jinja2.Environment(  # noqa: S701 -- the output is SQL, not HTML
            loader=jinja2.FunctionLoader(self._load),
            undefined=jinja2.StrictUndefined,
            extensions=[_MarkLines, "jinja2.ext.do"],
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    @classmethod
    def from_tree(cls, model: str, root: Path = sql.ROOT) -> Templates:
        """The templates as they stand in the tree of files."""
        return cls(model, read_sources(model, root))

    @property
    def sha(self) -> str:
        """A hash of all texts (SHA-256, hexadecimal): equal texts have equal hashes, whatever their order."""
        digest = hashlib.sha256()
        for path, text in sorted(self.sources.items()):
            digest.update(f"{path}\0{len(text)}\0{text}\0".encode())
        return digest.hexdigest()

    def folder(self, name: str) -> list[str]:
        """Paths of the SQL files straight in a folder such as `deal_duplicates/features`, sorted by their names.

        To a folder of the model belong the files that all models of its kind share, where it has none of that name.
        """
        found: dict[str, str] = {}
        for place in reversed(self._places(name.rstrip("/"))):
            prefix = place + "/"
            found |= {
                p[len(prefix) :]: p
                for p in self.sources
                if p.startswith(prefix) and p.endswith(".sql") and "/" not in p[len(prefix) :]
            }
        return [found[file] for file in sorted(found)]

    def resolve(self, path: str) -> str:
        """Where a file of the model stands: in its own folder, else in that of its kind, else in that of all models."""
        return next((place for place in self._places(path) if place in self.sources), path)

    def stems(self, name: str) -> list[str]:
        """File names without ending of the SQL files straight in a folder."""
        return [path.rsplit("/", 1)[-1].removesuffix(".sql") for path in self.folder(name)]

    def render(self, path: str, context: Mapping[str, Any]) -> RenderedSql:
        """Render one template.

        Raises:
            TemplateError: It does not exist, does not parse, or uses a name that is not there.
        """
        path = self.resolve(path)
        run_table = context.get("run_table")
        if run_table is not None:
            run_table.used.clear()
        try:
            marked = self._environment.get_template(path).render(context)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(
                self._told(error.name or path, error.lineno, error.message or "syntax error")
            ) from error
        except jinja2.TemplateNotFound as error:
            raise TemplateError(f"sql/{path}: there is no template sql/{error.name}") from error
        except jinja2.UndefinedError as error:
            known = ", ".join(sorted(context))
            template, line = self._failing_line(error, path)
            raise TemplateError(self._told(template, line, f"{error.message}. Known variables: {known}")) from error
        except TemplateError as error:
            template, line = self._failing_line(error, path)
            raise TemplateError(self._told(template, line, str(error))) from error
        text, origins = _strip_marks(marked, path)
        used = frozenset(run_table.used) if run_table is not None else frozenset()
        parameters = frozenset(_PARAMETER.findall(_OPAQUE.sub(" ", text)))
        return RenderedSql(path, text, origins, used, parameters)

    def _places(self, path: str) -> list[str]:
        """A path of the model, and where its kind and all models would have the same; any other path stays as it is."""
        model, slash, rest = path.partition("/")
        if model != self.model or not slash:
            return [path]
        return [path, *(f"{kind}/{rest}" for kind in self._kinds)]

    def _load(self, name: str) -> tuple[str, str, None] | None:
        text = self.sources.get(name)
        return None if text is None else (text, name, None)

    def _failing_line(self, error: BaseException, path: str) -> tuple[str, int]:
        """The innermost line of a template in the traceback (Jinja writes template lines into it)."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in self.sources]
        return (frames[-1].filename, frames[-1].lineno or 1) if frames else (path, 1)

    def _told(self, template: str, line: int, what: str) -> str:
        lines = self.sources.get(template, "").splitlines()
        shown = f"\n  {line:4d} | {lines[line - 1]}" if 0 < line <= len(lines) else ""
        return f"sql/{template}:{line}: {what}{shown}"


def _strip_marks(marked: str, path: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The text without marks, and for each of its lines the template line that it came from."""
    lines: list[str] = []
    origins: list[tuple[str, int]] = []
    here = (path, 1)
    for line in marked.splitlines():
        found = _MARK.search(line)
        if found:
            here = (found[1], int(found[2]))
        lines.append(_MARK.sub("", line))
        origins.append(here)
    return "\n".join(lines) + "\n", tuple(origins)


def in_order(needs: Mapping[str, frozenset[str]], targets: Iterator[str] | list[str]) -> list[str]:
    """The names that `targets` need, targets included, each after all that it needs itself.

    Args:
        needs: For each name the names that it refers to (itself may be among them; unknown ones are given from outside).
        targets: What is wanted.

    Raises:
        TemplateError: Some need each other in a circle.
    """
    done: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done or name not in needs:
            return
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise TemplateError(f"these tables need each other in a circle: {circle}")
        path.append(name)
        for need in sorted(needs[name] - {name}):
            visit(need)
        path.pop()
        done.append(name)

    for target in targets:
        visit(target)
    return done

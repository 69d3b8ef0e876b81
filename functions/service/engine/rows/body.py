"""The lines of one loop as they are written, from the outermost table inwards, over groups, and past windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from functions.service.engine import parsing
from functions.service.engine.columns import EngineError
from functions.service.engine.parsing import aggregates_in
from functions.service.engine.rows import tables
from functions.service.engine.rows.code import Writer
from functions.service.engine.rows.tables import NOBODY

_REDUCE: Mapping[type[exp.Expr], Callable[[list[Any]], Any]] = {
    exp.Sum: tables.total,
    exp.Avg: tables.mean,
    exp.Max: tables.most,
    exp.Min: tables.least,
    exp.Count: tables.count,
    exp.CountIf: tables.count_if,
    exp.LogicalAnd: tables.all_of,
    exp.LogicalOr: tables.any_of,
}
_RANKS: Mapping[type[exp.Expr], Callable[..., list[Any]]] = {
    exp.RowNumber: tables.row_number,
    exp.Rank: tables.rank,
    exp.DenseRank: tables.dense_rank,
}


class Body:
    """The lines of one SELECT's function.

    Args:
        sources: By alias the names of a table's columns.
        parameters: Values of `@name`.

    Attributes:
        tables: The tables that it reads, in the order of the function's arguments.
        reads: The columns that it reads of each.
        writer: Writes expressions at the present depth.
    """

    def __init__(self, sources: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> None:
        self._sources = sources
        self._objects: dict[str, Any] = {"NOBODY": NOBODY}
        self._head: list[str] = []
        self._lines: list[str | list[str]] = []
        self._depth = 1
        self.tables: list[str] = []
        self.reads: dict[str, set[str]] = {}
        self._loads: dict[str, Callable[[str], str]] = {}
        self._variables: dict[tuple[str, str], str] = {}
        self._finish: Callable[[], None] | None = None
        self.writer = Writer(self._variable, parameters, self._objects)

    def emit(self, line: str) -> None:
        """Add a line at the present depth."""
        self._lines.append("    " * self._depth + line)

    def function(self, outputs: int) -> Callable[..., list[list[Any]]]:
        """The function of all lines.

        Raises:
            EngineError: Python's parser takes no expressions as deep.
        """
        if self._finish is not None:
            self._finish()
        names = [f"out_{place}" for place in range(outputs)]
        head = [f"{name} = []; add_{place} = {name}.append" for place, name in enumerate(names)]
        lines = [f"    {line}" for line in (*head, *self._head)]
        for line in self._lines:
            lines += [line] if isinstance(line, str) else line
        arguments = ", ".join(f"T{place}" for place in range(len(self.tables)))
        source = "\n".join([f"def rows({arguments}):", *lines, f"    return [{', '.join(names)}]"])
        try:
            exec(source, self._objects)  # noqa: S102 -- written here, of a tree that sqlglot has parsed
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise EngineError(f"an expression nested too deep for Python's parser: {error}") from error
        made: Callable[..., list[list[Any]]] = self._objects.pop("rows")
        return made

    def join(
        self,
        alias: str,
        table: str,
        keys: Sequence[tuple[exp.Expr, str]],
        rest: exp.Expr | None,
        *,
        is_left: bool,
    ) -> None:
        """A loop over the rows of a table that belong to the row so far."""
        number = len(self.tables)
        self.tables.append(table)
        self.reads.setdefault(table, set()).update(name for _, name in keys)
        at, rows = f"i{number}", f"range(T{number}.count)"
        if keys:
            values = [self.writer.value(node) for node, _ in keys]
            key = values[0] if len(values) == 1 else f"({', '.join(values)})"
            self._head.append(f"X{number} = T{number}.index({tuple(name for _, name in keys)!r}).get")
            nothing = "NOBODY" if is_left and rest is None else "()"
            rows = f"X{number}({key}, {nothing})"
        if is_left and (rest is not None or not keys):
            self.emit(f"hit{number} = False")
            self.emit(f"for {at} in (*{rows}, -1):")
            self._depth += 1
            self.emit(f"if {at} < 0 and hit{number}:")
            self.emit("    break")
            self._loaded(alias, number, table, or_nothing=True)
            if rest is not None:
                self.emit(f"if {at} >= 0 and not {self.writer.holds(rest)}:")
                self.emit("    continue")
            self.emit(f"hit{number} = True")
            return
        self.emit(f"for {at} in {rows}:")
        self._depth += 1
        self._loaded(alias, number, table, or_nothing=is_left)
        if rest is not None:
            self.emit(f"if not {self.writer.holds(rest)}:")
            self.emit("    continue")

    def _loaded(self, alias: str, number: int, table: str, *, or_nothing: bool) -> None:
        """Have columns of a table read at this place of the function, whenever somebody will ask for them."""
        block: list[str] = []
        self._lines.append(block)
        indent = "    " * self._depth

        def load(name: str) -> str:
            variable, column = f"c{number}_{len(block)}", f"s{number}_{len(block)}"
            self.reads[table].add(name)
            self._head.append(f"{column} = T{number}.columns[{name!r}]")
            otherwise = f" if i{number} >= 0 else None" if or_nothing else ""
            block.append(f"{indent}{variable} = {column}[i{number}]{otherwise}")
            return variable

        self._loads[alias] = load

    def unnest(self, alias: str, element: str, place: str | None, array: exp.Expr) -> None:
        """A loop over the elements of an array of the row so far."""
        number = len(self._variables)
        value = self.writer.value(array)
        self._variables[alias, element] = f"e{number}"
        if place is not None:
            self._variables[alias, place] = f"p{number}"
        self.emit(f"for p{number}, e{number} in enumerate({value} or ()):")
        self._depth += 1

    def _variable(self, node: exp.Expr) -> str:
        alias = parsing.alias_of(node, self._sources)
        found = self._variables.get((alias, node.name))
        if found is None:
            found = self._variables[alias, node.name] = self._loads[alias](node.name)
        return found

    def group(self, keys: Sequence[exp.Expr], roots: Sequence[exp.Expr]) -> None:
        """End the loop in groups, and begin one over them."""
        reduced = list(dict.fromkeys(one for root in roots for one in aggregates_in(root)))
        values = [self.writer.value(key) for key in keys]
        arguments = [self._argument(node) for node in reduced]
        self._head.append("groups = {}" if keys else f"groups = {{(): ({'[], ' * len(reduced)})}}")
        self.emit(f"key = ({''.join(value + ', ' for value in values)})")
        self.emit("group = groups.get(key)")
        self.emit("if group is None:")
        self.emit(f"    group = groups[key] = ({'[], ' * len(reduced)})")
        for place, argument in enumerate(arguments):
            self.emit(f"group[{place}].append({argument})")
        self._depth = 1
        self.emit("for key, group in groups.items():")
        self._depth = 2
        if keys:
            self.emit(f"{''.join(f'k{place}, ' for place in range(len(keys)))} = key")
        given = {key: f"k{place}" for place, key in enumerate(keys)}
        for key in keys:
            for same in parsing.spellings(key, self._sources):
                given.setdefault(same, given[key])
        for place, node in enumerate(reduced):
            self.emit(f"a{place} = {self._reduce(node)}(group[{place}])")
            given[node] = f"a{place}"
        self.writer.begin(given, _not_grouped)

    def _argument(self, node: exp.Expr) -> str:
        argument = node.this
        if isinstance(argument, exp.Distinct) and isinstance(node, exp.Count) and len(argument.expressions) == 1:
            return self.writer.value(argument.expressions[0])
        if argument is None or isinstance(argument, exp.Star):
            return "True"
        if isinstance(argument, exp.Distinct | exp.Order) or node.expressions:
            raise EngineError(f"{node.sql('bigquery')[:80]} as an aggregate")
        return self.writer.value(argument)

    def _reduce(self, node: exp.Expr) -> str:
        reduce = tables.count_different if isinstance(node.this, exp.Distinct) else _REDUCE[type(node)]
        self._objects[reduce.__name__] = reduce
        return reduce.__name__

    def windows(self, nodes: Sequence[exp.Window]) -> None:
        """End the loop with what windows look at, and begin one over the same rows, what windows say beside them."""
        carried: dict[str, str] = {}

        def carry(value: str) -> str:
            if value not in carried:
                carried[value] = f"w{len(carried)}"
            return carried[value]

        said: list[str] = []
        given: dict[exp.Expr, str] = {}
        for place, node in enumerate(nodes):
            said.append(self._window(node, place, carry))
            given[node] = f"v{place}"
        before = self.writer.column
        given |= {one: carry(variable) for one, variable in self.writer.given.items()}
        block: list[str] = []
        self._lines.append(block)
        indent = "    " * self._depth
        self._depth = 1
        for line in said:
            self.emit(line)
        loop: list[str] = []
        self._lines.append(loop)
        self._depth = 2

        def finish() -> None:
            names = [*carried.values(), *(f"v{place}" for place in range(len(nodes)))]
            block.extend(f"{indent}{name}s.append({value})" for value, name in carried.items())
            self._head.extend(f"{name}s = []" for name in carried.values())
            loop.append(f"    for {', '.join(names)}, in zip({', '.join(name + 's' for name in names)}):")

        self._finish = finish
        self.writer.begin(given, lambda node: carry(before(node)))

    def _window(self, node: exp.Window, place: int, carry: Callable[[str], str]) -> str:
        """The statement that makes the list of what a window function says of each row."""
        parsing.check_window(node)
        partition = [self.writer.value(one) for one in node.args.get("partition_by") or ()]
        parts = f"{carry('(' + ''.join(one + ', ' for one in partition) + ')')}s"
        function = node.this
        keys = [f"({carry(self.writer.value(one))}s, {down})" for one, down in parsing.window_order(node)]
        ordering = f"[{', '.join(keys)}]"
        if type(function) in _REDUCE:
            self._objects["over"] = tables.over
            return f"v{place}s = over({parts}, {carry(self._argument(function))}s, {self._reduce(function)})"
        if type(function) in _RANKS:
            ranks = _RANKS[type(function)]
            self._objects[ranks.__name__] = ranks
            return f"v{place}s = {ranks.__name__}({parts}, {ordering})"
        if isinstance(function, exp.Lead | exp.Lag):
            step = parsing.shift_of(function)
            self._objects["shifted"] = tables.shifted
            return f"v{place}s = shifted({parts}, {ordering}, {carry(self.writer.value(function.this))}s, {step})"
        raise EngineError(f"{function.key.upper()} as a window function")


def _not_grouped(node: exp.Expr) -> str:
    raise EngineError(f"{node.sql('bigquery')[:80]}, which is neither a key nor in an aggregate")

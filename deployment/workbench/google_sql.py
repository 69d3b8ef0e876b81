"""Google's own parser and analyzer of GoogleSQL (PyPI `zetasql`, alpha): everything that the workbench uses of it.

It is WebAssembly, which takes half a minute to translate to machine code; wasmtime keeps the result in its cache, so
only the first use on a machine waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from deployment.workbench.ml_functions import FIXED, MlCall, mask
from etl.errors import ConfigurationError

Lineage = Mapping[str, frozenset[tuple[str, str]]]
_PLACE = re.compile(r"\s*\[at (\d+):(\d+)\]")
_TYPE = re.compile(r"ARRAY<(.*)>|STRUCT<(.*)>", re.IGNORECASE)
# Fields of resolved nodes that hold no expression: leaving them out is what makes walking a statement quick.
_LEAVES = frozenset({"signature", "type", "function", "type_annotation_map", "annotation_map", "hint_list", "value"})


class SqlMistake(Exception):  # noqa: N818 -- it is the analyst's mistake, not the program's error
    """What Google's analyzer refuses, with its place in the rendered statement (1-based)."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True)
class Analysis:
    """What the analyzer knows of a statement.

    Attributes:
        creates: Full name of the table, view or model that it creates; empty where it creates none.
        kind: What kind of statement it is, such as `CreateTableAsSelect` or `Query`.
        columns: BigQuery type by name of the columns that it gives.
        lineage: For each of these the columns of tables (full name, column) that its value is computed from.
        divisors: Places (line, column) of divisions by something that may be zero, and what it is.
        calls: Calls of ML functions.
    """

    creates: str
    kind: str
    columns: Mapping[str, str]
    lineage: Lineage
    divisors: tuple[tuple[int, int, str], ...]
    calls: tuple[MlCall, ...]


# What was found before: a change of one file leaves most of the others as they were.
_KNOWN: dict[str, Analysis | SqlMistake] = {}


@cache
def _google() -> tuple[Any, Any]:
    try:
        from zetasql.core import wasm_client

        class CachingConfig(wasm_client.Config):  # type: ignore[misc]  # the package has no types
            def __init__(self) -> None:
                super().__init__()
                self.cache = True

        wasm_client.Config = CachingConfig
        # A call for each byte is what the package does; statements of this project are answered with some 100 KB.
        wasm_client.WasmClient.read_bytes = lambda client, place, size: bytes(
            client.memory.data_ptr()[place : place + size]
        )
        from zetasql import api, types
    except ImportError as error:
        raise ConfigurationError(
            "Google's SQL parser is missing, so SQL cannot be checked here. You can install it with: "
            "pip install zetasql==0.1.5 (`make setup` does)"
        ) from error
    return api, types


@cache
def _language() -> Any:
    types = _google()[1]
    language = types.LanguageOptions.maximum_features()
    language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
    language.reserved_keywords = ["QUALIFY"]  # as in BigQuery: it needs no WHERE beside it
    return language


def _bigquery_type(kind: Any) -> str:
    name = str(kind.type_kind.name).removeprefix("TYPE_")
    if name == "ARRAY":
        return f"ARRAY<{_bigquery_type(kind.array_type.element_type)}>"
    if name == "STRUCT":
        inner = ", ".join(f"{f.field_name} {_bigquery_type(f.field_type)}" for f in kind.struct_type.field)
        return f"STRUCT<{inner}>"
    return {"DOUBLE": "FLOAT64"}.get(name, name)


def _google_type(name: str) -> Any:
    api, types = _google()
    found = _TYPE.fullmatch(name)
    if found and found[1]:
        return api.TypeFactory.create_array_type(_google_type(found[1]))
    if found:
        parts = [part.split(" ", 1) for part in _split(found[2])]
        return api.TypeFactory.create_struct_type([(label, _google_type(kind)) for label, kind in parts])
    return types.Type(type_kind=types.TypeKind[f"TYPE_{ {'FLOAT64': 'DOUBLE'}.get(name, name) }"])


def _split(text: str) -> list[str]:
    """The fields of a STRUCT: split at commas outside of angle brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def analyse(
    text: str,
    tables: Mapping[str, Mapping[str, str]],
    parameters: Mapping[str, str],
    *,
    labels: Mapping[str, str],
    lenient: bool = False,
) -> Analysis:
    """Let Google's analyzer resolve a statement against a catalogue.

    Args:
        text: The rendered statement.
        tables: Types by column, by full name of the tables that there are.
        parameters: Type by name of the query parameters.
        labels: Type by name of the labels that models predict.
        lenient: Parameters that are not declared are given whatever type fits.

    Raises:
        SqlMistake: It is wrong.
        ConfigurationError: zetasql is not installed.
    """
    masked, calls = mask(text)
    folded = masked.casefold()
    # The catalogue travels with every call, so it holds what is read here and no more.
    near = {name: dict(columns) for name, columns in tables.items() if name.casefold() in folded}
    key = repr((text, near, parameters, labels, lenient))
    if key not in _KNOWN:
        try:
            _KNOWN[key] = _analysed(masked, calls, near, parameters, labels, lenient)
        except SqlMistake as mistake:
            _KNOWN[key] = mistake
    found = _KNOWN[key]
    if isinstance(found, SqlMistake):
        raise found
    return found


def _analysed(
    masked: str,
    calls: list[MlCall],
    tables: Mapping[str, Mapping[str, str]],
    parameters: Mapping[str, str],
    labels: Mapping[str, str],
    lenient: bool,
) -> Analysis:
    api, types = _google()
    options = types.AnalyzerOptions(language_options=_language(), default_timezone="UTC")
    options.error_message_mode = types.ErrorMessageMode.ERROR_MESSAGE_ONE_LINE
    options.parse_location_record_type = types.ParseLocationRecordType.PARSE_LOCATION_RECORD_FULL_NODE_SCOPE
    options.allow_undeclared_parameters = lenient
    options.query_parameters = [
        types.AnalyzerOptions.QueryParameter(name=name, type=_google_type(kind)) for name, kind in parameters.items()
    ]
    builder = api.CatalogBuilder("bigquery").with_builtin_functions(
        types.ZetaSQLBuiltinFunctionOptions(language_options=_language())
    )
    for name, columns in tables.items():
        table = api.TableBuilder(name)
        for label, kind in columns.items():
            table.add_column(label, _google_type(kind))
        builder.add_table(table.build())
    catalogue = builder.build()
    catalogue.catalog = [_ml_catalogue(calls, labels)]
    try:
        statement = api.Analyzer.analyze_statement_static(masked, options, catalogue)
    except Exception as error:
        told = str(getattr(error, "message", error))
        # The package keeps the first line of the message; the place may stand in the last.
        found = _PLACE.search(str(getattr(error, "raw_error", "")) or told)
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        message = _PLACE.sub("", told.splitlines()[0]).removeprefix("Syntax error: ")
        raise SqlMistake(message, line, column) from error
    return _analysis(statement, masked, calls)


def _ml_catalogue(calls: list[MlCall], labels: Mapping[str, str]) -> Any:
    _, types = _google()
    relation = types.SignatureArgumentKind.ARG_TYPE_RELATION
    required = types.FunctionEnums.ArgumentCardinality.REQUIRED
    result = types.FunctionArgumentType(kind=relation, num_occurrences=1)
    functions = []
    for name, tables in dict.fromkeys((call.function, call.tables) for call in calls):
        given = types.FunctionArgumentType(
            kind=relation, num_occurrences=1, options=types.FunctionArgumentTypeOptions(cardinality=required)
        )
        functions.append(
            types.TableValuedFunction(
                name_path=[name],
                type=types.FunctionEnums.TableValuedFunctionType.TEMPLATED_SQL_TVF,
                argument_name=[f"given_{place}" for place in range(tables)],
                signature=types.FunctionSignature(argument=[given] * tables, return_type=result),
                parse_resume_location=types.ParseResumeLocation(input=_body(name, tables, labels), byte_position=0),
            )
        )
    return types.SimpleCatalog(name="ML", custom_tvf=functions)


def _body(function: str, tables: int, labels: Mapping[str, str]) -> str:
    """The columns that a function gives, as the body of a function of the analyzer's: never run, only resolved."""
    if function in FIXED:
        return "SELECT " + ", ".join(f"CAST(NULL AS {kind}) AS `{name}`" for name, kind in FIXED[function].items())
    added = [f"CAST(NULL AS {kind}) AS predicted_{name}" for name, kind in labels.items()]
    added += [
        f"[STRUCT(CAST(NULL AS {kind}) AS label, 0.5 AS prob)] AS predicted_{name}_probs"
        for name, kind in labels.items()
    ]
    if function == "EXPLAIN_PREDICT":
        added += ["[STRUCT('' AS feature, 0.5 AS attribution)] AS top_feature_attributions", "0.5 AS probability"]
    if function not in {"PREDICT", "EXPLAIN_PREDICT"} or tables != 1:
        raise SqlMistake(
            f"ML.{function} is not known here; give it rows to look at, or add it to ml_functions.py", 1, 1
        )
    return f"SELECT {', '.join(added)}, given_0.* FROM given_0"


def _analysis(statement: Any, text: str, calls: list[MlCall]) -> Analysis:
    made = type(statement).__name__.removeprefix("Resolved").removesuffix("Stmt")
    outputs = list(getattr(statement, "output_column_list", None) or [])
    columns = {item.name: _bigquery_type(item.column.type) for item in outputs}
    lineage: dict[str, frozenset[tuple[str, str]]] = {}
    if outputs:
        edges, base = _edges(statement)
        lineage = {item.name: _reached(item.column.column_id, edges, base) for item in outputs}
    else:
        columns = {
            item.name: _bigquery_type(item.type) for item in getattr(statement, "column_definition_list", None) or []
        }
    path = getattr(statement, "name_path", None) or [""]
    return Analysis(".".join(path), made, columns, lineage, tuple(_divisors(statement, text)), tuple(calls))


def _nodes(node: Any) -> Iterator[Any]:
    """A resolved node and all below it."""
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack.extend(here)
        elif is_dataclass(here):
            yield here
            stack.extend(
                value
                for name in (f.name for f in fields(here))
                if name not in _LEAVES and (value := getattr(here, name)) and not isinstance(value, str | int | float)
            )


def _references(node: Any) -> set[int]:
    """The columns that an expression reads; of a subquery those that it gives, too."""
    found: set[int] = set()
    for here in _nodes(node):
        if type(here).__name__ == "ResolvedColumnRef":
            found.add(here.column.column_id)
        elif type(here).__name__ == "ResolvedSubqueryExpr":
            found |= {column.column_id for column in here.subquery.column_list}
    return found


def _edges(statement: Any) -> tuple[dict[int, set[int]], dict[int, tuple[str, str]]]:
    """What each column is computed from, and which columns are those of tables."""
    edges: dict[int, set[int]] = {}
    base: dict[int, tuple[str, str]] = {}
    queries: dict[str, Any] = {}
    nodes = list(_nodes(statement))
    for node in nodes:
        if type(node).__name__ == "ResolvedWithEntry":
            queries[node.with_query_name] = node.with_subquery
    for node in nodes:
        kind = type(node).__name__
        if kind == "ResolvedTableScan":
            base |= {c.column_id: (node.table.name, c.name) for c in node.column_list}
        elif kind in {"ResolvedComputedColumn", "ResolvedDeferredComputedColumn"}:
            edges.setdefault(node.column.column_id, set()).update(_references(node.expr))
        elif kind == "ResolvedWithRefScan":
            for mine, theirs in zip(node.column_list, queries[node.with_query_name].column_list, strict=False):
                edges.setdefault(mine.column_id, set()).add(theirs.column_id)
        elif kind == "ResolvedSetOperationScan":
            for item in node.input_item_list:
                for mine, theirs in zip(node.column_list, item.output_column_list, strict=False):
                    edges.setdefault(mine.column_id, set()).add(theirs.column_id)
        elif kind == "ResolvedArrayScan":
            read = _references(node.array_expr_list)
            for column in node.element_column_list:
                edges.setdefault(column.column_id, set()).update(read)
        elif kind == "ResolvedAnalyticFunctionGroup":
            around = _references([node.partition_by, node.order_by])
            for item in node.analytic_function_list:
                edges.setdefault(item.column.column_id, set()).update(around)
        elif kind == "ResolvedTVFScan":
            given = {c.name: c.column_id for a in node.argument_list if a.scan for c in a.scan.column_list}
            for column in node.column_list:
                if column.name in given:
                    edges.setdefault(column.column_id, set()).add(given[column.name])
    return edges, base


def _reached(
    start: int, edges: Mapping[int, set[int]], base: Mapping[int, tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    seen: set[int] = set()
    stack = [start]
    while stack:
        here = stack.pop()
        if here not in seen:
            seen.add(here)
            stack.extend(edges.get(here, ()))
    return frozenset(base[c] for c in seen if c in base)


def _divisors(statement: Any, text: str) -> Iterator[tuple[int, int, str]]:
    """Places of `/` whose divisor is a bare column or a difference: both can be zero, and then the statement fails."""
    source = text.encode()
    for node in _nodes(statement):
        if type(node).__name__ != "ResolvedFunctionCall" or node.function.name not in {
            "ZetaSQL:$divide",
            "ZetaSQL:div",
        }:
            continue
        divisor = node.argument_list[1]
        while type(divisor).__name__ == "ResolvedCast":
            divisor = divisor.expr
        name = divisor.function.name if type(divisor).__name__ == "ResolvedFunctionCall" else type(divisor).__name__
        place = node.parse_location_range
        if name in {"ResolvedColumnRef", "ZetaSQL:$subtract"} and place is not None:
            before = source[: place.start].decode()
            told = source[place.start : place.end].decode()
            yield before.count("\n") + 1, len(before) - before.rfind("\n"), " ".join(told.split())

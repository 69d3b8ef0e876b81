"""SQL compiled to NumPy: what it does not know it names, and where it would differ from DuckDB it does not answer."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot

from deployment.stages.run import policy_of
from etl.templates import Templates
from functions.service import feature_program
from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.columns import EngineError, column_of
from functions.service.engine.relations import Relation
from functions.service.engine.rows import program as loops
from functions.service.engine.rows.tables import Table
from functions.service.engine.selects import compile_query
from functions.service.engine.strings import Pool
from functions.service.feature_program import FeatureProgram
from functions.service.looped_features import LoopedFeatures
from functions.service.policy import serving_policy
from functions.service.probes import first_difference
from functions.service.shared_index import SharedIndexes
from tests.unit.functions.service.first_guess import weights_of_the_first_guess
from tests.unit.functions.service.small_service import KNOWN, MODEL

COLUMNS = {"k": "BIGINT", "t": "VARCHAR", "x": "DOUBLE"}
ROWS: list[tuple[Any, ...]] = [(1, "a", 1.5), (1, "b", None), (2, None, -2.5), (3, "a", 0.0), (3, "c", 4.0)]


def run_by_columns(query: str, *, rows: list[tuple[Any, ...]] = ROWS, **parameters: Any) -> list[tuple[Any, ...]]:
    pool = Pool()
    columns = zip(COLUMNS.items(), zip(*rows, strict=True) if rows else [()] * 3, strict=True)
    table = Relation(len(rows), {name: column_of(kind, values, pool) for (name, kind), values in columns})
    compiled = compile_query(sqlglot.parse_one(query, dialect="bigquery"), {"r": tuple(COLUMNS)}, parameters)
    return [tuple(row.values()) for row in compiled.run(lambda _: table, pool).rows()]


def run_by_rows(query: str, *, rows: list[tuple[Any, ...]] = ROWS, **parameters: Any) -> list[tuple[Any, ...]]:
    columns = zip(COLUMNS, map(list, zip(*rows, strict=True)) if rows else [[], [], []], strict=True)
    parsed = {"q": sqlglot.parse_one(query, dialect="bigquery")}
    program = loops.Program(parsed, {"r": tuple(COLUMNS)}, {}, parameters, ["q"])
    return list(zip(*program.run({"r": Table(len(rows), dict(columns))})("q").columns.values(), strict=True))


ENGINES = pytest.mark.parametrize("run", [run_by_columns, run_by_rows], ids=["columns", "rows"])


@ENGINES
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT k, SUM(x) AS s, COUNT(x) AS n FROM r GROUP BY k", [(1, 1.5, 1), (2, -2.5, 1), (3, 4.0, 2)]),
        ("SELECT SUM(x) AS s, COUNT(*) AS n FROM r WHERE k > 9", [(None, 0)]),
        ("SELECT MAX(t) AS m, COUNT(DISTINCT t) AS n FROM r", [("c", 3)]),
        ("SELECT a.k, b.t FROM r AS a LEFT JOIN r AS b ON a.k = b.k AND b.x > 1", [(1, "a"), (1, "a"), (2, None), (3, "c"), (3, "c")]),
        ("SELECT a.t, b.k FROM r AS a INNER JOIN r AS b ON a.t = b.t AND a.k < b.k", [("a", 3)]),
        ("SELECT x FROM r WHERE t != 'a'", [(None,), (4.0,)]),
        ("SELECT t FROM r WHERE x > 1 OR x IS NULL", [("a",), ("b",), ("c",)]),
        ("SELECT k, RANK() OVER (ORDER BY k) AS p FROM r", [(1, 1), (1, 1), (2, 3), (3, 4), (3, 4)]),
        ("SELECT t, LEAD(t) OVER (PARTITION BY k ORDER BY x) AS n FROM r", [("a", None), ("b", "a"), (None, None), ("a", "c"), ("c", None)]),
        ("SELECT k FROM r WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY x DESC) = 1", [(1,), (2,), (3,)]),
        ("SELECT k FROM r WHERE NOT (x > 0 AND t = 'b') AND (x < 2 OR t = 'b')", [(2,), (3,), (1,)]),
        ("SELECT AVG(x) AS a, MIN(x) AS b, COUNTIF(x > 1) AS c, LOGICAL_OR(x > 3) AS d, LOGICAL_AND(x > 1) AS e FROM r WHERE k != 2 GROUP BY k", [(1.5, 1.5, 1, False, True), (2.0, 0.0, 1, True, False)]),
        ("SELECT k, MAX(x) AS m FROM r GROUP BY k HAVING COUNT(*) > 1", [(1, 1.5), (3, 4.0)]),
        ("SELECT t, SUM(x) OVER (PARTITION BY k) AS s, DENSE_RANK() OVER (ORDER BY k DESC) AS d FROM r", [("a", 1.5, 3), ("b", 1.5, 3), (None, -2.5, 2), ("a", 4.0, 1), ("c", 4.0, 1)]),
        ("SELECT s.k, s.n + 1 AS n FROM (SELECT k, COUNT(*) AS n FROM r GROUP BY k) AS s LEFT JOIN r AS b ON b.k = s.k AND b.x > 3 WHERE b.k IS NULL", [(1, 3), (2, 2)]),
        ("SELECT a.k, b.x FROM r AS a LEFT JOIN r AS b ON b.x > a.x AND a.k = 3", [(1, None), (1, None), (2, None), (3, 1.5), (3, 4.0), (3, None)]),
        ("SELECT CASE WHEN x > 0 THEN 'p' WHEN x < 0 THEN 'n' END AS c, ROUND(x + 0.05, 1) AS y FROM r WHERE k < 3", [("p", 1.6), (None, None), ("n", -2.5)]),
        ("SELECT k IN (1, 2) AS i, NULLIF(t, 'a') AS n, GREATEST(k, x) AS g, SAFE_DIVIDE(k, x) AS d FROM r WHERE t = 'a'", [(True, None, 1.5, 1 / 1.5), (False, None, 3.0, None)]),
        ("SELECT DISTINCT k FROM (SELECT k FROM r UNION DISTINCT SELECT k + 1 AS k FROM r) AS u", [(1,), (2,), (3,), (4,)]),
        ("SELECT DISTINCT t FROM r", [("a",), ("b",), (None,), ("c",)]),
        ("SELECT k FROM r WHERE k = 2 UNION ALL SELECT k FROM r WHERE k = 1", [(2,), (1,), (1,)]),
        ("WITH n AS (SELECT k + @more AS k FROM r) SELECT k FROM n WHERE k BETWEEN 12 AND 13", [(12,), (13,), (13,)]),
        ("SELECT w, p FROM r, UNNEST(SPLIT(CONCAT(t, '-z'), '-')) AS w WITH OFFSET AS p WHERE k = 1", [("a", 0), ("z", 1), ("b", 0), ("z", 1)]),
    ],
)  # fmt: skip
def test_a_query_gives_what_bigquery_gives(run: Any, query: str, expected: list[tuple[Any, ...]]) -> None:
    assert sorted(run(query, more=10), key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT SOUNDEX(t) AS s FROM r", "SOUNDEX"),
        ("SELECT SUM(x) OVER (ORDER BY k) AS s FROM r", "running aggregate"),
        ("SELECT k FROM r ORDER BY k", "ORDER"),
        ("SELECT k FROM r LIMIT 1", "LIMIT"),
        ("SELECT a.k FROM r AS a FULL JOIN r AS b ON a.k = b.k", "FULL"),
        ("SELECT REGEXP_REPLACE(t, r'x*', '') AS s FROM r", "matches nothing"),
        ("SELECT REGEXP_REPLACE(t, r'(?i)x', '') AS s FROM r", r"\(\?i"),
        ("SELECT (SELECT MAX(k) FROM r) AS s FROM r", "SUBQUERY"),
        ("SELECT k FROM elsewhere", "elsewhere"),
        ("SELECT @unknown AS s FROM r", "@unknown"),
    ],
)
@ENGINES
def test_what_it_does_not_know_it_refuses_by_name(run: Any, query: str, named: str) -> None:
    with pytest.raises(EngineError, match=named):
        run(query)


HOSTILE = "'); raise SystemExit #\n\\'\"{x}"


@ENGINES
def test_names_and_texts_in_sql_are_never_code(run: Any) -> None:
    literal = sqlglot.exp.Literal.string(HOSTILE).sql("bigquery")
    name = sqlglot.exp.to_identifier("x'] ; raise SystemExit #", quoted=True).sql("bigquery")
    inner = f"SELECT k, {literal} AS {name} FROM r WHERE {literal} = @text"
    query = f"SELECT {name} AS t, COUNT(*) AS {name} FROM ({inner}) AS {name} WHERE {name}.k IN (1, 2) GROUP BY {name}.{name}"
    query = query.replace(f"SELECT {name} AS t", f"SELECT {name}.{name} AS t")
    assert run(query, text=HOSTILE) == [(HOSTILE, 3)]


def test_what_is_nested_too_deep_for_loops_is_refused_and_not_met_by_a_request() -> None:
    deep = "x" + " + 1" * 300
    assert run_by_columns(f"SELECT {deep} AS y FROM r WHERE k = 2") == [(297.5,)]
    with pytest.raises(EngineError, match="nested too deep"):
        run_by_rows(f"SELECT {deep} AS y FROM r")


@ENGINES
def test_no_rows_are_no_rows(run: Any) -> None:
    assert run("SELECT k, SUM(x) AS s FROM r GROUP BY k", rows=[]) == []
    assert run("SELECT a.t FROM r AS a INNER JOIN r AS b ON a.t = b.t", rows=[]) == []


FROZEN = {
    "token_stats": pa.table({"field": ["", "word"], "token": ["", "sony"], "deals": [8, 4]}),
    "key_stats": pa.table({"key": ["sony"], "deals": [4]}),
    "guess_weights": weights_of_the_first_guess(),
}
PAIR = (("a", "0"), ("b", "1"))


def program() -> FeatureProgram:
    templates = Templates.from_tree(MODEL)
    policy = policy_of(templates)
    return FeatureProgram(templates, policy, serving_policy(policy), FROZEN)


def test_sql_that_cannot_be_compiled_is_left_to_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = program().compute(KNOWN, [PAIR])

    def refuse(*_: Any) -> CompiledFeatures:
        raise EngineError("pair_signals: SOUNDEX")

    monkeypatch.setattr(feature_program, "CompiledFeatures", refuse)
    made = program()
    assert made.compiled is None
    assert made.compute(KNOWN, [PAIR])[0]["title_edit"] == expected[0]["title_edit"]


def test_compiled_sql_that_differs_from_duckdb_on_a_probe_may_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    right = CompiledFeatures.features

    def wrong(self: CompiledFeatures, *arguments: Any) -> list[dict[str, Any]]:
        return [{**row, "title_edit": row["title_edit"] + 1e-6} for row in right(self, *arguments)]

    monkeypatch.setattr(CompiledFeatures, "features", wrong)
    assert program().compiled is None


def test_loops_that_differ_from_duckdb_on_a_probe_may_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LoopedFeatures.features

    def wrong(self: LoopedFeatures, *arguments: Any) -> list[dict[str, Any]]:
        return [{**row, "title_edit": row["title_edit"] + 1e-6} for row in right(self, *arguments)]

    monkeypatch.setattr(LoopedFeatures, "features", wrong)
    compiled = program().compiled
    assert compiled is not None
    assert compiled.loops is None


def test_the_loops_of_one_pair_are_asked_and_where_they_fail_the_columns_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = program()
    expected = made.compute_in_database(KNOWN, [PAIR])
    asked: list[Any] = []

    def failing(_: LoopedFeatures, *arguments: Any) -> list[dict[str, Any]]:
        asked.append(arguments)
        raise OverflowError("too large")

    monkeypatch.setattr(LoopedFeatures, "features", failing)
    assert first_difference(expected, made.compute(KNOWN, [PAIR])) is None
    assert len(asked) == 1


def test_an_index_outlives_a_change_of_parameters_that_its_sql_does_not_read() -> None:
    templates = Templates.from_tree(MODEL)
    policy = policy_of(templates)

    def fingerprint(**changed: Any) -> str:
        mine = policy.model_copy(update={"parameters": {**policy.parameters, **changed}})
        compiled = FeatureProgram(templates, mine, serving_policy(mine), FROZEN).compiled
        assert compiled is not None
        return compiled.fingerprint

    assert fingerprint(nobody_reads_this=1) == fingerprint()
    assert fingerprint(block_size=3) != fingerprint()


def test_one_process_builds_the_index_and_the_others_read_it(tmp_path: Path) -> None:
    compiled = program().compiled
    assert compiled is not None
    seen = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    reads: list[int] = []

    def read() -> Any:
        reads.append(1)
        return KNOWN, seen

    (first, _), (second, known_until) = (SharedIndexes(tmp_path, MODEL).index(compiled, "1", read) for _ in range(2))
    assert (len(reads), len(first), len(second), known_until) == (1, len(KNOWN), len(KNOWN), seen)
    SharedIndexes(tmp_path, MODEL).index(compiled, "2", read)
    assert [folder.name[:2] for folder in (tmp_path / MODEL).iterdir() if folder.is_dir()] == ["2-"]
    assert second.deals([("a", "0")]).keys() == {("a", "0")}  # its files are there until it ends


def test_a_build_that_dies_leaves_the_index_that_there_was_and_the_next_one_is_whole(tmp_path: Path) -> None:
    compiled = program().compiled
    assert compiled is not None
    seen = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)

    def dies() -> Any:
        yield from KNOWN[:3]
        raise KeyboardInterrupt

    shared = SharedIndexes(tmp_path, MODEL)
    before, _ = shared.index(compiled, "1", lambda: (KNOWN, seen))
    with pytest.raises(KeyboardInterrupt):
        shared.index(compiled, "2", lambda: (dies(), seen))
    assert not shared.folder_of(compiled, "2").exists()
    assert len(shared.index(compiled, "1", dies)[0]) == len(before) == len(KNOWN)
    assert len(shared.index(compiled, "2", lambda: (KNOWN, seen))[0]) == len(KNOWN)

"""Tables made of queries: translated once for dry run and job, and never by what a table was like before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bqemulator.sql.translator import SQLTranslator
from google.cloud import bigquery

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bqemulator translates."""
    texts: list[str] = []
    translate = SQLTranslator.translate

    def noted(self: SQLTranslator, bq_sql: str, **extra: Any) -> Any:
        texts.append(bq_sql)
        return translate(self, bq_sql, **extra)

    monkeypatch.setattr(SQLTranslator, "translate", noted)
    return texts


def test_a_dry_run_and_its_job_translate_the_query_once(client: bigquery.Client, translated: list[str]) -> None:
    sql = "CREATE OR REPLACE TABLE d.once CLUSTER BY n AS SELECT n, n + 1 AS more FROM UNNEST([1, 2]) AS n"
    client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True))
    client.query(sql, job_retry=None).result()
    assert len(translated) == 1
    assert client.get_table("d.once").clustering_fields == ["n"]


def test_a_query_of_another_run_s_tables_is_translated_once(rows: Rows, translated: list[str]) -> None:
    query = (
        "SELECT m__{run}__deals.n, 'm__{run}__deals' AS told FROM d.m__{run}__deals "
        "INNER JOIN d.m__{run}__pairs AS pair ON m__{run}__deals.n = pair.n"
    )
    for run in ("first", "second"):
        for table in ("deals", "pairs"):
            rows(f"CREATE OR REPLACE TABLE d.m__{run}__{table} AS SELECT {len(run)} AS n")
    translated.clear()
    assert rows(query.format(run="first")) == [(5, "m__first__deals")]
    assert rows(query.format(run="second")) == [(6, "m__second__deals")]
    assert len(translated) == 1


def test_tables_in_each_other_s_places_are_not_taken_for_the_same(rows: Rows, translated: list[str]) -> None:
    rows("CREATE OR REPLACE TABLE d.m__a__x AS SELECT 1 AS n")
    rows("CREATE OR REPLACE TABLE d.m__b__x AS SELECT 2 AS n")
    translated.clear()
    query = "SELECT one.n, two.n AS m FROM d.m__{}__x AS one CROSS JOIN d.m__{}__x AS two"
    assert [rows(query.format(*pair)) for pair in ("ab", "ba", "aa")] == [[(1, 2)], [(2, 1)], [(1, 1)]]
    assert len(translated) == 2  # one table twice is another statement than two tables


def test_a_query_of_another_run_s_tables_is_translated_anew_when_a_column_has_another_type(rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.m__c__x AS SELECT 7 AS a")
    rows("CREATE OR REPLACE TABLE d.m__d__x AS SELECT NUMERIC '7.5' AS a")
    assert rows("SELECT AVG(a) AS mean FROM d.m__c__x") == [(7.0,)]
    ((mean,),) = rows("SELECT AVG(a) AS mean FROM d.m__d__x")
    assert (str(mean), type(mean).__name__) == ("7.500000000", "Decimal")


def test_tables_of_one_name_in_two_datasets_keep_their_own_columns(client: bigquery.Client, rows: Rows) -> None:
    client.create_dataset("beside", exists_ok=True)
    rows("CREATE OR REPLACE TABLE d.twin AS SELECT 1 AS n, 'a' AS t")
    rows("CREATE OR REPLACE TABLE beside.twin AS SELECT 1 AS n, NUMERIC '2.5' AS p")
    assert rows("SELECT one.t, AVG(two.p) AS p FROM d.twin AS one JOIN beside.twin AS two ON one.n = two.n GROUP BY 1")


def test_the_same_text_is_translated_anew_when_a_column_has_another_type(rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.turned AS SELECT 7 AS a, 2 AS b")
    assert rows("SELECT AVG(a) AS mean FROM d.turned") == [(7.0,)]
    rows("CREATE OR REPLACE TABLE d.turned AS SELECT NUMERIC '7.5' AS a, 2 AS b")
    ((mean,),) = rows("SELECT AVG(a) AS mean FROM d.turned")
    assert (str(mean), type(mean).__name__) == ("7.500000000", "Decimal")


def test_a_view_that_was_replaced_gives_its_new_rows(rows: Rows) -> None:
    for number in (1, 2):
        rows(f"CREATE OR REPLACE VIEW d.seen AS SELECT {number} AS n")
        rows("CREATE OR REPLACE TABLE d.of_view AS SELECT n FROM d.seen")
        assert rows("SELECT n FROM d.of_view") == [(number,)]


def test_a_view_that_stands_is_not_made_again(rows: Rows) -> None:
    for number in (1, 2):
        rows(f"CREATE VIEW IF NOT EXISTS d.made_once AS SELECT {number} AS n")
        assert rows("SELECT n FROM d.made_once") == [(1,)]


def test_a_view_behind_a_view_that_was_replaced_gives_its_new_rows(rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.behind AS SELECT 1 AS n UNION ALL SELECT 2")
    for number in (1, 2):
        rows(f"CREATE OR REPLACE VIEW d.inner_view AS SELECT n FROM d.behind WHERE n = {number}")
        rows("CREATE OR REPLACE VIEW d.outer_view AS SELECT n AS m FROM d.inner_view")
        for _ in range(2):  # the second time it is remembered
            assert rows("SELECT m FROM d.outer_view") == [(number,)]


def test_a_policy_on_a_table_counts_at_once_for_a_query_of_a_view_that_was_translated_before(rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.guarded AS SELECT 1 AS n UNION ALL SELECT 2")
    rows("CREATE OR REPLACE VIEW d.over_guarded AS SELECT n FROM d.guarded")
    assert rows("SELECT n FROM d.over_guarded ORDER BY n") == [(1,), (2,)]
    rows("CREATE ROW ACCESS POLICY above ON d.guarded GRANT TO ('allAuthenticatedUsers') FILTER USING (n > 1)")
    assert rows("SELECT n FROM d.over_guarded ORDER BY n") != [(1,), (2,)]


def test_a_table_that_is_there_is_left_as_it_is_if_not_exists(client: bigquery.Client, rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.kept AS SELECT 1 AS n")
    job = client.query("CREATE TABLE IF NOT EXISTS d.kept AS SELECT 2 AS n", job_retry=None)
    job.result()
    assert job.ddl_operation_performed == "SKIP"
    assert rows("SELECT n FROM d.kept") == [(1,)]


def test_sums_of_a_table_made_of_a_query_are_whole_numbers(client: bigquery.Client, rows: Rows) -> None:
    rows("CREATE OR REPLACE TABLE d.sums AS SELECT SUM(n) AS total, 'x' AS word FROM UNNEST([1, 2]) AS n")
    assert [field.field_type for field in client.get_table("d.sums").schema] == ["INTEGER", "STRING"]

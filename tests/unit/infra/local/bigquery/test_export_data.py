"""EXPORT DATA as files: which files, when it is refused, and how values are spelt in each format."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions

VALUES = """
  SELECT
    1 AS whole, CAST(NULL AS STRING) AS none, '' AS empty, 'a,"b"' AS quoted, TRUE AS yes,
    TIMESTAMP '2026-11-21 05:00:00+00' AS at, TIMESTAMP '2026-11-21 05:00:00.25+00' AS later,
    DATE '2026-11-21' AS day, NUMERIC '12.50' AS price, b'ab' AS raw
"""


@pytest.fixture
def export(rows: Callable[..., Any], state: Path, request: pytest.FixtureRequest) -> Callable[..., list[Path]]:
    """Exports a query under the test's own prefix; the files there are afterwards."""
    folder = f"exports/{abs(hash(request.node.name))}"

    def run(query: str, options: str, name: str = "part-*", **config: Any) -> list[Path]:
        rows(f"EXPORT DATA OPTIONS (uri = 'gs://{folder}/{name}', {options}) AS {query}", **config)
        return sorted((state / "gs" / folder).iterdir())

    return run


def test_csv_spells_values_as_bigquery_does(export: Callable[..., list[Path]]) -> None:
    (file,) = export(VALUES, "format = 'CSV', header = TRUE", "part-*.csv")
    assert file.name == "part-000000000000.csv"
    header, line = file.read_text().splitlines()
    assert header == "whole,none,empty,quoted,yes,at,later,day,price,raw"
    assert line == ('1,,"","a,""b""",true,2026-11-21 05:00:00 UTC,2026-11-21 05:00:00.250 UTC,2026-11-21,12.5,YWI=')


def test_csv_can_have_another_delimiter_no_header_and_be_compressed(export: Callable[..., list[Path]]) -> None:
    (file,) = export(
        "SELECT 1 AS a, 2 AS b", "format = 'CSV', header = FALSE, field_delimiter = '\\t', compression = 'GZIP'"
    )
    assert gzip.decompress(file.read_bytes()) == b"1\t2\n"


def test_parquet_keeps_types(export: Callable[..., list[Path]]) -> None:
    (file,) = export(VALUES, "format = 'PARQUET', compression = 'ZSTD'")
    (row,) = pq.read_table(file).to_pylist()
    assert (row["price"], row["none"], row["at"].isoformat()) == (Decimal("12.5"), None, "2026-11-21T05:00:00+00:00")
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("compression", ["", ", compression = 'DEFLATE'"])
def test_avro_keeps_types_and_writes_dates_as_text(export: Callable[..., list[Path]], compression: str) -> None:
    query = f"SELECT *, [1, 2] AS many, STRUCT('x' AS inner_text, [2.5] AS list) AS record FROM ({VALUES})"
    (file,) = export(query, f"format = 'AVRO'{compression}")
    with file.open("rb") as opened:
        reader = fastavro.reader(opened)
        (row,) = reader
    assert reader.metadata["avro.codec"] == ("deflate" if compression else "null")
    assert row["price"] == Decimal("12.5")
    assert row["later"].isoformat() == "2026-11-21T05:00:00.250000+00:00"
    assert (row["day"], row["none"], row["raw"]) == ("2026-11-21", None, b"ab")
    assert (row["many"], row["record"]) == ([1, 2], {"inner_text": "x", "list": [2.5]})


def test_json_spells_whole_numbers_as_text(export: Callable[..., list[Path]]) -> None:
    (file,) = export("SELECT 9007199254740993 AS a, 0.5 AS b", "format = 'JSON'")
    assert file.read_text() == '{"a":"9007199254740993","b":0.5}\n'


def test_an_export_of_no_rows_is_one_file_with_a_header(export: Callable[..., list[Path]]) -> None:
    (file,) = export("SELECT 1 AS a FROM UNNEST([]) AS x", "format = 'CSV'")
    assert file.read_text() == "a\n"


def test_files_that_are_there_are_written_over_only_when_asked(export: Callable[..., list[Path]]) -> None:
    export("SELECT 1 AS a", "format = 'CSV'")
    with pytest.raises(exceptions.BadRequest, match="already exists"):
        export("SELECT 2 AS a", "format = 'CSV'")
    (file,) = export("SELECT 3 AS a", "format = 'CSV', overwrite = TRUE")
    assert file.read_text() == "a\n3\n"


@pytest.mark.parametrize("name", ["one.csv", "a-*-b-*.csv"])
def test_a_uri_needs_exactly_one_wildcard(export: Callable[..., list[Path]], name: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="wild card"):
        export("SELECT 1 AS a", "format = 'CSV'", name)


def test_nested_rows_do_not_fit_csv_and_leave_nothing_behind(export: Callable[..., list[Path]], state: Path) -> None:
    with pytest.raises(exceptions.BadRequest, match="nested or repeated"):
        export("SELECT [1] AS a", "format = 'CSV'", "nested-*.csv")
    assert not list((state / "gs/exports").rglob("*nested-*"))


def test_a_query_with_parameters_is_exported(export: Callable[..., list[Path]]) -> None:
    from google.cloud import bigquery

    wanted = [bigquery.ScalarQueryParameter("least", "INT64", 2)]
    (file,) = export(
        "SELECT a FROM UNNEST([1, 2, 3]) AS a WHERE a >= @least ORDER BY a", "format = 'CSV'", query_parameters=wanted
    )
    assert file.read_text() == "a\n2\n3\n"


def test_logical_types_in_avro_are_refused_by_name(export: Callable[..., list[Path]]) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match="use_avro_logical_types"):
        export("SELECT 1 AS a", "format = 'AVRO', use_avro_logical_types = TRUE")
    assert export("SELECT 1 AS a", "format = 'AVRO', use_avro_logical_types = FALSE")


def test_what_a_model_predicts_is_exported(rows: Callable[..., Any], export: Callable[..., list[Path]]) -> None:
    rows("CREATE OR REPLACE TABLE d.known AS SELECT x / 10 AS x, x > 20 AS y FROM UNNEST(GENERATE_ARRAY(1, 40)) AS x")
    rows(
        "CREATE OR REPLACE MODEL d.exported OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['y'], "
        "data_split_method = 'NO_SPLIT') AS SELECT * FROM d.known"
    )
    query = "SELECT predicted_y, x FROM ML.PREDICT(MODEL d.exported, (SELECT 0.1 AS x UNION ALL SELECT 4.0)) ORDER BY x"
    (file,) = export(query, "format = 'CSV'")
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == ["predicted_y", "false", "true"]


def test_an_export_makes_a_bucket_that_is_missing(rows: Callable[..., Any], state: Path) -> None:
    rows("EXPORT DATA OPTIONS (uri = 'gs://not-made-by-anybody/*', format = 'CSV') AS SELECT 1 AS a")
    assert [file.read_text() for file in (state / "gs/not-made-by-anybody").iterdir()] == ["a\n1\n"]

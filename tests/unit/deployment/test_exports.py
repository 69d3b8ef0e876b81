"""Exports as a user meets them: files on this computer and in Cloud Storage, in every format, through real clients."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from deployment.application import Application
from deployment.cli.export import chosen_format
from deployment.cli.main import app as command_line
from deployment.export_file import join
from deployment.exports import export_uri
from deployment.setup import prepare
from etl.clients import storage_client
from etl.errors import BqloopError, InputError, StateError
from etl.settings import environment_file, load_settings
from infra.local.bigquery.export_avro import write_avro
from infra.local.cloud import LocalCloud

ROOT = Path(__file__).resolve().parents[3]
PAIRS = """
  CREATE OR REPLACE VIEW bqloop.duplicate_pairs AS
  SELECT
    'a' AS left_source, CAST(n AS STRING) AS left_id, 'b' AS right_source, 'x, "y"' AS right_id, n / 10 AS probability,
    n >= 5 AS is_duplicate, 0.5 AS threshold, 'p.d.m' AS champion, 'r' AS run_id,
    TIMESTAMP '2026-11-21 05:00:00+00' AS scored_at
  FROM UNNEST(GENERATE_ARRAY(1, 9)) AS n
"""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A local cloud with nine scored pairs and no duplicates."""
    state = tmp_path_factory.mktemp("cloud")
    config = yaml.safe_load(environment_file("local").read_text())
    cloud = LocalCloud(config, state, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BQLOOP_STATE", str(state))
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        made = Application(load_settings("local"))
        prepare(made)
        made.bigquery.query(PAIRS).result()
        yield made
    cloud.stop()


def run(*words: str) -> Result:
    return CliRunner().invoke(command_line, ["export", *words], catch_exceptions=True)


def refusal(*words: str) -> BqloopError:
    error = run(*words).exception
    assert isinstance(error, BqloopError), error
    return error


def left_ids(path: Path) -> list[str]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return sorted(row["left_id"] for row in csv.DictReader(file))
    if path.suffix == ".parquet":
        return sorted(pq.read_table(path)["left_id"].to_pylist())
    with path.open("rb") as file:
        return sorted(row["left_id"] for row in fastavro.reader(file))


@pytest.mark.parametrize("ending", ["csv", "parquet", "avro"])
def test_predictions_become_one_file_and_leave_nothing_in_the_bucket(
    application: Application, tmp_path: Path, ending: str
) -> None:
    target = tmp_path / f"pairs.{ending}"
    told = json.loads(run("predictions", "--to", str(target), "--json").stdout)
    assert told == {"export": "predictions", "format": ending, "rows": 9, "files": [str(target)]}
    assert left_ids(target) == [str(n) for n in range(1, 10)]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    bucket = application.settings.bucket
    assert not list(storage_client(application.settings).list_blobs(bucket, prefix="exports/"))


def test_nothing_scored_gives_a_header_and_says_what_to_do(application: Application, tmp_path: Path) -> None:
    shown = run("duplicates", "--to", str(tmp_path / "none.csv")).stdout
    assert "duplicates: 0 rows" in shown
    assert "bqloop score" in shown
    assert (tmp_path / "none.csv").read_text().startswith("source,deal_id,cluster_id,")


def test_a_file_that_is_there_is_replaced_only_when_asked(application: Application, tmp_path: Path) -> None:
    target = tmp_path / "pairs.csv"
    target.write_text("mine")
    assert "--overwrite" in str(refusal("predictions", "--to", str(target)))
    assert target.read_text() == "mine"
    assert run("predictions", "--to", str(target), "--overwrite").exit_code == 0
    assert len(left_ids(target)) == 9


def test_a_folder_in_cloud_storage_gets_numbered_files(application: Application) -> None:
    folder = f"gs://{application.settings.bucket}/daily/"
    told = json.loads(run("predictions", "--to", folder, "--format", "parquet", "--json").stdout)
    assert told["files"] == [f"{folder}predictions-000000000000.parquet"]
    assert isinstance(refusal("predictions", "--to", folder, "--format", "parquet"), StateError)


def test_what_a_larger_export_left_behind_goes_with_overwrite_and_other_files_stay(application: Application) -> None:
    bucket = storage_client(application.settings).bucket(application.settings.bucket)
    for name in ("p-000000000000.csv", "p-000000000007.csv", "p-notes.csv"):
        bucket.blob(f"again/{name}").upload_from_string("old")
    uri = f"gs://{bucket.name}/again/p-*.csv"
    assert run("predictions", "--to", uri, "--overwrite").exit_code == 0
    left = {blob.name: blob.download_as_text() for blob in bucket.client.list_blobs(bucket.name, prefix="again/")}
    assert sorted(left) == ["again/p-000000000000.csv", "again/p-notes.csv"]
    assert left["again/p-000000000000.csv"].startswith("left_source,")


def test_an_unknown_export_and_an_unknown_bucket_are_told(application: Application, tmp_path: Path) -> None:
    assert "Known: duplicates, predictions" in str(refusal("duplicate", "--to", str(tmp_path / "a.csv")))
    assert "no bucket not-there" in str(refusal("duplicates", "--to", "gs://not-there/a/"))
    assert "no folder" in str(refusal("duplicates", "--to", str(tmp_path / "b" / "a.csv")))


@pytest.mark.parametrize(
    ("to", "given", "expected"),
    [("a.csv", "", "csv"), ("a.PARQUET", "", "parquet"), ("a.csv", "avro", "avro"), ("gs://b/x/", "", "csv")],
)
def test_the_format_is_the_one_given_else_the_names(to: str, given: str, expected: str) -> None:
    assert chosen_format(to, given) == expected


@pytest.mark.parametrize(("to", "given"), [("a", ""), ("a.xlsx", ""), ("a.csv", "orc")])
def test_a_format_that_cannot_be_told_is_asked_for(to: str, given: str) -> None:
    with pytest.raises(InputError, match=r"--format csv\|parquet\|avro"):
        chosen_format(to, given)


def test_a_uri_without_a_wildcard_is_refused_with_a_better_one() -> None:
    assert export_uri("duplicates", "gs://bucket/a/", "csv") == "gs://bucket/a/duplicates-*.csv"
    with pytest.raises(InputError, match=r"such as gs://bucket/a/b-\*\.csv"):
        export_uri("duplicates", "gs://bucket/a/b.csv", "csv")
    for wrong in ("gs://bucket", "gs://bucket/a'b-*", "gs://bucket/a*/b.csv", "gs://bucket/a*b*"):
        with pytest.raises(InputError, match="--to"):
            export_uri("duplicates", wrong, "csv")


@pytest.mark.parametrize("ending", ["csv", "parquet", "avro"])
def test_parts_of_a_large_export_become_one_file(tmp_path: Path, ending: str) -> None:
    import pyarrow as pa

    parts = [tmp_path / str(number) for number in range(3)]
    for number, part in enumerate(parts):
        rows = pa.table({"left_id": [f"{number}-{place}" for place in range(4)]})
        if ending == "csv":
            part.write_text("left_id\n" + "".join(f"{row}\n" for row in rows["left_id"].to_pylist()))
        elif ending == "parquet":
            pq.write_table(rows, part)
        else:
            write_avro(rows, part, "DEFLATE")
    whole = tmp_path / f"whole.{ending}"
    join(parts, whole, ending)
    assert left_ids(whole) == [f"{number}-{place}" for number in range(3) for place in range(4)]

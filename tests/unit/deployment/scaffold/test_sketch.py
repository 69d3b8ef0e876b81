"""What is read off a table, and which files come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployment.cli.new import add_to_environment
from deployment.scaffold import model_files, sketch_of_file, sketch_without_file
from etl.errors import InputError


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


TRIPS = (
    "Trip ID,Stadt,km,at,Fare (CHF)",
    "a,Bern,1.5,2026-05-01 08:00:00,10.5",
    "b,Zug,2,2026-05-01 09:00:00,12",
    "c,Bern,3,,14",
)


def test_the_last_column_is_the_label_and_the_first_unique_one_the_key(tmp_path: Path) -> None:
    sketch = sketch_of_file("fares", table(tmp_path, *TRIPS))

    assert (sketch.task, sketch.label, sketch.keys, sketch.group) == ("regression", "fare_chf", ("trip_id",), "trip_id")
    assert sketch.features == ("stadt", "km")
    assert "TIMESTAMP" in sketch.left_out["at"]
    assert [c.type for c in sketch.columns] == ["STRING", "STRING", "FLOAT64", "TIMESTAMP", "FLOAT64"]
    # Fares 10.5, 12, 14: mean 12.1667, squares (2.7778 + 0.0278 + 3.3611) / 3 = 2.0556
    assert sketch.spread == pytest.approx(2.0556**0.5, rel=1e-4)


def test_a_label_of_two_values_makes_a_classification_of_the_rarer_one(tmp_path: Path) -> None:
    path = table(tmp_path, "id,x,bought", "1,1,won", "2,2,lost", "3,3,lost")

    sketch = sketch_of_file("buyers", path)

    assert (sketch.task, sketch.positive, sketch.keys) == ("classification", "'won'", ("id",))
    policy = yaml.safe_load(model_files(sketch, owner="a@b.c")["sql/buyers/model.yml"])
    assert (policy["task"], policy["positive"]) == ("classification", "won")


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (TRIPS, {"label": "fares"}, "--label fares: there is no such column; there are trip_id, stadt"),
        (TRIPS, {"keys": ["nr"]}, "--key nr: there is no such column"),
        (TRIPS, {"label": "stadt", "task": "regression"}, "--kind regression: stadt is STRING, no number"),
        (("x,y", "1,2", "1,3"), {}, "no column names each row: say which ones do, with --key"),
        (("id,y", "1,2", "2,3"), {}, "no column is left to learn from"),
        (("id,a b,a-b,y", "1,2,3,4"), {}, "columns that differ in more than case and punctuation"),
        (("id,x,y", "1,2,a", "2,3,b", "3,4,c"), {}, "the label has 3 values; two are needed"),
    ],
)
def test_what_cannot_be_made_a_model_of_is_refused_by_name(
    tmp_path: Path, lines: tuple[str, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        sketch_of_file("name", table(tmp_path, *lines), **options)  # type: ignore[arg-type]


def test_no_file_of_a_model_is_left_with_a_blank(tmp_path: Path) -> None:
    for sketch in (sketch_of_file("fares", table(tmp_path, *TRIPS)), sketch_without_file("made_up", "classification")):
        files = model_files(sketch, owner="a@b.c")
        assert all("${" not in text for text in files.values())
        assert f"sql/{sketch.name}/tables/{sketch.name}_rows.sql" in files


def test_a_model_is_named_in_the_environment_once_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "local.yaml"
    file.write_text("# why\nmodels: [deals]\ndataset: d  # all of it\n", encoding="utf-8")

    add_to_environment(file, "fares")
    add_to_environment(file, "fares")

    assert file.read_text(encoding="utf-8") == "# why\nmodels: [deals, fares]\ndataset: d  # all of it\n"

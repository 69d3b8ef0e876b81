"""The SQL that a new model begins with, and what models of single rows and regressions share: checked, and by its cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from google.cloud import bigquery
from sklearn import metrics as reference

from deployment.stages.run import policy_of
from deployment.workbench.cases import Bench, Case, find_cases
from deployment.workbench.check import check
from etl.names import Naming
from etl.settings import Settings, load_settings
from etl.templates import Templates
from etl.warehouse import Warehouse
from tests.second_model import new_model, write_trips

HERE = Path(__file__).parent
SHARED = [c for folder in ("regression", "rows") for c in find_cases(HERE, []) if f"kinds/{folder}/" in c.path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("second")


@pytest.fixture(scope="module")
def fares(root: Path) -> Templates:
    return new_model(root, "fares", write_trips(root / "trips.csv", 1, 300), label="fare")


@pytest.fixture(scope="module")
def tips(root: Path) -> Templates:
    return new_model(root, "tips", write_trips(root / "trips.csv", 1, 300), label="tipped")


@pytest.mark.parametrize("name", ["fares", "tips"])
def test_the_check_finds_nothing_in_a_new_model(name: str, request: pytest.FixtureRequest) -> None:
    templates: Templates = request.getfixturevalue(name)
    settings = load_settings("local", models=(name,))

    project, findings = check(settings, templates)

    assert [f for f in findings if not f.file.startswith("sql/ledger/")] == []
    assert {p for p in project.paths if p.startswith((name, "kinds"))} <= project.analyses.keys()


@pytest.mark.parametrize("name", ["fares", "tips"])
def test_the_cases_of_a_new_model_pass(name: str, root: Path, bench: Bench, request: pytest.FixtureRequest) -> None:
    templates: Templates = request.getfixturevalue(name)
    mine = Bench(bench._client, bench._settings, templates)
    cases = [case for case in find_cases(root / "tests" / "sql") if case.path.startswith(f"{name}/")]

    results = [mine.run(case) for case in cases]

    assert len(results) == 3
    assert [str(result) for result in results if not result.passed] == []


@pytest.mark.parametrize("case", SHARED, ids=[c.file.relative_to(HERE).with_suffix("").as_posix() for c in SHARED])
def test_shared_case(case: object, bench: Bench, fares: Templates) -> None:
    result = Bench(bench._client, bench._settings, fares).run(case)  # type: ignore[arg-type]

    assert result.passed, str(result)


def run_shared(bench: Bench, templates: Templates, path: str, content: str) -> None:
    """A case of a file that models of all kinds share, for a regression: beside the file stand those of a classification."""
    case = Case(Path("a regression's case"), path, yaml.safe_load(content))
    result = Bench(bench._client, bench._settings, templates).run(case)
    assert result.passed, str(result)


def test_versions_of_a_regression_disagree_where_they_are_far_apart(bench: Bench, fares: Templates) -> None:
    content = """
      given:
        training_features:
          - {trip_id: a, fare: 2.0, distance_km: 1.0}
          - {trip_id: b, fare: 4.0, distance_km: 2.0}
          - {trip_id: c, fare: 6.0, distance_km: 3.0}
        inferences:
          - [inference_id, model, version, answered_at, prediction, features]
          - [i1, fares, "1", 2026-05-02 12:00:00, 10.3, {distance_km: 5.0}]
          - [i2, fares, "1", 2026-05-02 12:00:00, 12.0, {distance_km: 5.0}]
          - [i3, fares, "2", 2026-05-02 12:00:00, 99.0, {distance_km: 5.0}]
          - [i4, fares, "1", 2026-05-04 12:00:00, 99.0, {distance_km: 5.0}]
          - [i5, fares, "1", 2026-05-02 12:00:00, null, {distance_km: 5.0}]
      models: [linear_reg]
      parameters: {since: 2026-05-02 00:00:00, until: 2026-05-03 00:00:00, version: "1", tolerated_difference: 1.0}
      expected: [{compared_pairs: 2, disagreements: 1}]
    """
    run_shared(bench, fares, "kinds/any/monitor/shadow.sql", content)


def test_a_rollout_of_a_regression_looks_at_what_it_predicts(bench: Bench, fares: Templates) -> None:
    content = """
      given:
        inferences:
          - [inference_id, request_id, model, version, row_keys, answered_at, prediction, endpoint_ms]
          - [i1, r1, fares, "2", {trip_id: a}, 2026-05-02 01:00:00, 30.0, 10]
          - [i2, r2, fares, "1", {trip_id: b}, 2026-05-02 02:00:00, 10.0, 30]
          - [i3, r3, fares, null, {trip_id: c}, 2026-05-02 03:00:00, null, null]
        predictions:
          - {name: tree, split: validation, prediction: 30.0}
      parameters: {since: 2026-05-02 00:00:00, until: 2026-05-03 00:00:00, version: "2", champion: "1", candidate: tree}
      expected:
        - {requests: 3, failed_requests: 1, challenger_pairs: 1, champion_pairs: 1, shift_from_champion: 1.0,
           shift_from_validation: 0.0}
    """
    run_shared(bench, fares, "kinds/any/monitor/rollout_health.sql", content)


class Regression:
    """`evaluate/` of the regression over given predictions, in a dataset of its own."""

    def __init__(self, client: bigquery.Client, settings: Settings, templates: Templates) -> None:
        self.client, self.templates = client, templates
        self.naming, self.warehouse = Naming.of(settings, "fares"), Warehouse(client, settings)
        policy = policy_of(templates)
        parameters = {**policy.parameters, "bootstrap_replicates": 200}
        self.policy = policy.model_copy(update={"slices": {"city": "city"}, "parameters": parameters})
        client.create_dataset(settings.dataset)

    def put(self, name: str, frame: pd.DataFrame) -> None:
        self.client.load_table_from_json(
            frame.replace({np.nan: None}).to_dict("records"), self.naming.run_table("r", name)
        ).result()

    def build(self, *names: str) -> None:
        run_tables = self.naming.run_tables(
            [*self.templates.stems("fares/evaluate"), *self.templates.stems("fares/features")], "r"
        )
        for name in names:
            statement = self.templates.render(
                f"fares/evaluate/{name}.sql", {"run_table": run_tables, "policy": self.policy}
            )
            self.warehouse.read(statement, self.policy.parameters)

    def table(self, name: str) -> pd.DataFrame:
        return pd.DataFrame([dict(row) for row in self.client.list_rows(self.naming.run_table("r", name))])


@pytest.fixture(scope="module")
def judged(bench: Bench, fares: Templates) -> tuple[Regression, pd.DataFrame]:
    """A champion, a model that is nearer by half, and one that is no better, over 300 rows of 60 groups."""
    world = Regression(bench._client, bench._settings.model_copy(update={"dataset": "second_model"}), fares)
    draw = np.random.default_rng(3)
    actual, noise = draw.gamma(4, 5, 300), draw.normal(0, 3, 300)
    frames = [
        pd.DataFrame(
            {
                "name": name,
                "split": "validation",
                "trip_id": [f"t{n}" for n in range(300)],
                "entity_group": [f"d{n % 60}" for n in range(300)],
                "actual": actual,
                "prediction": actual + share * noise + shift,
            }
        )
        for name, share, shift in (("champion", 1.0, 0.0), ("near", 0.5, 0.0), ("alike", -1.0, 0.01))
    ]
    predictions = pd.concat(frames)
    world.put("predictions", predictions)
    cities = pd.DataFrame(
        {"trip_id": [f"t{n}" for n in range(300)], "city": ["Bern" if n < 100 else None for n in range(300)]}
    )
    world.put("validation_set", cities)
    world.build("metrics", "slices", "bootstrap_counts", "bootstrap_weights", "replicates", "intervals", "comparison")
    return world, predictions


def test_metrics_are_those_of_scikit_learn(judged: tuple[Regression, pd.DataFrame]) -> None:
    world, predictions = judged
    found = world.table("metrics").set_index("name")

    assert found["rows_fingerprint"].nunique() == 1
    for name, rows in predictions.groupby("name"):
        actual, said = rows["actual"], rows["prediction"]
        expected = {
            "row_count": 300,
            "unscored_rows": 0,
            "entity_groups": 60,
            "mean_absolute_error": reference.mean_absolute_error(actual, said),
            "mean_squared_error": reference.mean_squared_error(actual, said),
            "root_mean_squared_error": reference.mean_squared_error(actual, said) ** 0.5,
            "median_absolute_error": reference.median_absolute_error(actual, said),
            "r2_score": reference.r2_score(actual, said),
            "explained_variance": reference.explained_variance_score(actual, said),
        }
        for metric, value in expected.items():
            assert found.loc[name, metric] == pytest.approx(value, rel=1e-9), (name, metric)


def test_slices_are_measured_by_the_rows_of_each_value(judged: tuple[Regression, pd.DataFrame]) -> None:
    world, predictions = judged
    found = world.table("slices").query("name == 'near'").set_index("value", drop=False)
    near = predictions.query("name == 'near'")
    bern = near[near["trip_id"].isin([f"t{n}" for n in range(100)])]

    assert dict(zip(found["value"].fillna("none"), found["row_count"], strict=True)) == {"Bern": 100, "none": 200}
    assert found.loc["Bern", "mean_absolute_error"] == pytest.approx(
        reference.mean_absolute_error(bern["actual"], bern["prediction"])
    )


def test_a_replicate_weighs_whole_groups(judged: tuple[Regression, pd.DataFrame]) -> None:
    world, predictions = judged
    weights = world.table("bootstrap_weights").query("replicate == 7").set_index("block")["weight"]
    counts = world.table("bootstrap_counts").query("name == 'near'").set_index("block")
    drawn = counts.join(weights, how="inner")
    assert len(counts) == predictions["entity_group"].nunique()

    found = world.table("replicates").query("replicate == 7 and name == 'near'").set_index("metric")["value"]

    rows = (drawn["row_count"] * drawn["weight"]).sum()
    assert found["mean_absolute_error"] == pytest.approx((drawn["absolute_error"] * drawn["weight"]).sum() / rows)
    squared = (drawn["squared_error"] * drawn["weight"]).sum() / rows
    variance = (drawn["squared_deviation"] * drawn["weight"]).sum() / rows - (
        (drawn["deviation"] * drawn["weight"]).sum() / rows
    ) ** 2
    assert found["r2_score"] == pytest.approx(1 - squared / variance)


def test_a_smaller_error_is_surely_smaller_and_an_equal_one_is_not(judged: tuple[Regression, pd.DataFrame]) -> None:
    world, _ = judged
    found = world.table("comparison").query("metric == 'mean_absolute_error'").set_index("candidate")

    assert found.loc["near", "lower"] < found.loc["near", "difference"] < found.loc["near", "upper"] < 0
    assert found.loc["alike", "lower"] < 0 < found.loc["alike", "upper"]
    assert found.loc["near", "confidence"] == pytest.approx(1 - 0.05 / 2)

"""Recorded results of the real service, each within the tolerance that it was recorded with (0.1 where not said)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from infra.local.bqml import ModelSpec, call, train

ADELIE = "Adelie Penguin (Pygoscelis adeliae)"
GENTOO = "Gentoo penguin (Pygoscelis papua)"
REGRESSION = (
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
)


def trained(penguins, model_type, label, **options):
    rows = penguins.filter(pc.is_valid(penguins[label]))
    said = {"model_type": model_type, "input_label_cols": [label], "data_split_method": "NO_SPLIT", **options}
    return train(ModelSpec.of(said), rows)


def evaluated(model, data):
    return call("EVALUATE", model, data, {}).to_pylist()[0]


def predicted(model, rows, label):
    return call("PREDICT", model, rows, {}).column(f"predicted_{label}").to_pylist()


def digits(recorded, places):
    """Everything that rounds to the recorded figure: a relative 1e-6, or half of its last place if that is wider."""
    return pytest.approx(recorded, rel=1e-6, abs=0.5 * 10**-places)


@pytest.fixture(scope="module")
def linear(penguins):
    return trained(penguins, "LINEAR_REG", "body_mass_g")


@pytest.fixture(scope="module")
def logistic(penguins):
    return trained(penguins, "LOGISTIC_REG", "sex")


@pytest.fixture(scope="module")
def components(penguins):
    return train(ModelSpec.of({"model_type": "PCA", "num_principal_components": 3}), penguins)


class TestLinearRegression:
    def test_on_the_rows_without_nulls_to_all_digits(self, linear, complete):
        assert complete.num_rows == 334
        found = evaluated(linear, complete)
        recorded = (225.817334, 80540.705944, 0.004972, 173.080816, 0.87529, 0.87529)
        for name, figure in zip(REGRESSION, recorded, strict=True):
            assert found[name] == digits(figure, 6), name

    @pytest.mark.parametrize("given", ["training rows", "nothing"])
    def test_on_its_342_training_rows_to_all_digits(self, linear, penguins, given):
        rows = penguins.filter(pc.is_valid(penguins["body_mass_g"]))
        assert rows.num_rows == 342
        found = evaluated(linear, rows if given == "training rows" else None)
        recorded = ((227.01223, 5), (81838.159892, 6), (0.00507, 5), (173.080816, 6), (0.872377, 6), (0.872377, 6))
        for name, (figure, places) in zip(REGRESSION, recorded, strict=True):
            assert found[name] == digits(figure, places), name

    def test_predicts_the_tagged_penguins(self, linear, tagged):
        assert predicted(linear, tagged, "body_mass_g") == pytest.approx([4030.1, 3280.8, 3177.9], abs=0.05)

    def test_explains_them_without_error(self, linear, tagged):
        rows = call("EXPLAIN_PREDICT", linear, tagged, {}).to_pylist()
        assert [row["approximation_error"] for row in rows] == [0.0, 0.0, 0.0]
        assert [row["predicted_body_mass_g"] for row in rows] == pytest.approx([4030.1, 3280.8, 3177.9], abs=0.05)

    def test_predicts_the_penguins_of_biscoe(self, linear):
        # two rows of the public tutorial on this model
        rows = pa.table(
            {
                "species": [GENTOO, ADELIE],
                "island": ["Biscoe", "Biscoe"],
                "culmen_length_mm": [45.2, 37.7],
                "culmen_depth_mm": [16.4, 16.0],
                "flipper_length_mm": [223, 183],
                "sex": ["MALE", "FEMALE"],
            }
        )
        assert predicted(linear, rows, "body_mass_g") == pytest.approx([5413.510134, 3235.896372], rel=1e-6)


class TestLogisticRegression:
    def test_on_the_rows_without_nulls_to_all_digits(self, logistic, complete):
        found = evaluated(logistic, complete)
        recorded = {
            "precision": 0.616753,
            "recall": 0.618615,
            "accuracy": 0.92515,
            "f1_score": 0.617681,
            "log_loss": 1.498832,
        }
        for name, figure in recorded.items():
            assert found[name] == digits(figure, 6), name
        assert found["roc_auc"] == pytest.approx(0.975807, abs=1e-3)  # the service rounds scores

    def test_predicts_the_tagged_penguins(self, logistic, tagged):
        assert predicted(logistic, tagged, "sex") == ["MALE", "MALE", "FEMALE"]


class TestTrees:
    def test_the_boosted_regressor_on_the_rows_without_nulls(self, penguins, complete, tagged):
        model = trained(penguins, "BOOSTED_TREE_REGRESSOR", "body_mass_g")
        recorded = (108.77582, 20943.272738, 0.00135, 86.313477, 0.967571, 0.967609)
        found = evaluated(model, complete)
        for name, figure in zip(REGRESSION, recorded, strict=True):
            assert found[name] == pytest.approx(figure, rel=0.03), name
        assert predicted(model, tagged, "body_mass_g") == pytest.approx([4293.15, 3410.03, 3357.94], rel=0.02)

    def test_the_boosted_classifier_calls_every_row_right(self, penguins, complete, tagged):
        model = trained(penguins, "BOOSTED_TREE_CLASSIFIER", "sex")
        found = evaluated(model, complete)
        assert found["log_loss"] == pytest.approx(0.331442, rel=0.1)
        assert {name: found[name] for name in ("precision", "recall", "accuracy", "f1_score", "roc_auc")} == {
            "precision": 1.0,
            "recall": 1.0,
            "accuracy": 1.0,
            "f1_score": 1.0,
            "roc_auc": 1.0,
        }
        assert predicted(model, tagged, "sex") == ["MALE", "MALE", "FEMALE"]

    def test_the_random_forest_regressor_on_the_rows_without_nulls(self, penguins, complete, tagged):
        model = trained(penguins, "RANDOM_FOREST_REGRESSOR", "body_mass_g", num_parallel_tree=100, subsample=0.8)
        recorded = (317.031042, 159713.053504, 0.008449, 258.385742, 0.752698, 0.756173)
        found = evaluated(model, complete)
        for name, figure in zip(REGRESSION, recorded, strict=True):
            assert found[name] == pytest.approx(figure, rel=0.1), name
        assert predicted(model, tagged, "body_mass_g") == pytest.approx([3897.34, 3458.39, 3458.39], rel=0.1)


class TestPrincipalComponents:
    def test_eigenvalues_to_all_digits(self, components):
        info = call("PRINCIPAL_COMPONENT_INFO", components, None, {})
        assert info["eigenvalue"].to_pylist() == digits([3.278657, 1.270829, 1.125354], 6)
        assert info["explained_variance_ratio"].to_pylist() == digits([0.469357, 0.181926, 0.1611], 6)
        assert info["cumulative_explained_variance_ratio"].to_pylist() == digits([0.469357, 0.651283, 0.812383], 6)
        assert evaluated(components, None)["total_explained_variance_ratio"] == digits(0.812383, 6)

    def test_the_first_component_to_all_digits(self, components):
        rows = call("PRINCIPAL_COMPONENTS", components, None, {}).to_pylist()[:7]
        found = {row["feature"]: row for row in rows}
        for feature, figure in (
            ("culmen_length_mm", 0.401489),
            ("culmen_depth_mm", -0.377482),
            ("flipper_length_mm", 0.524052),
            ("body_mass_g", 0.501174),
        ):
            assert found[feature]["numerical_value"] == digits(figure, 6)
        species = {pair["category"]: pair["value"] for pair in found["species"]["categorical_value"]}
        assert species[GENTOO] == pytest.approx(0.25068877125667804)
        assert species[ADELIE] == pytest.approx(-0.20622291900416198)
        sex = {pair["category"]: pair["value"] for pair in found["sex"]["categorical_value"]}
        assert sex["_null_filler"] == pytest.approx(-0.0034628622681684906)

    def test_projections(self, components):
        rows = pa.table(
            {
                "species": [ADELIE, GENTOO, ADELIE],
                "island": ["Dream", "Biscoe", "Torgersen"],
                "culmen_length_mm": [37.8, 46.5, 41.1],
                "culmen_depth_mm": [18.1, 14.8, 18.6],
                "flipper_length_mm": [193.0, 217.0, 189.0],
                "body_mass_g": [3750.0, 5200.0, 3325.0],
                "sex": ["MALE", "FEMALE", "MALE"],
            }
        )
        found = call("PREDICT", components, rows, {})
        assert found["principal_component_1"].to_pylist() == pytest.approx([-1.459, 2.258, -1.685], abs=6e-4)
        assert found["principal_component_2"].to_pylist() == pytest.approx([-1.120, -1.351, -0.874], abs=6e-4)
        assert found["principal_component_3"].to_pylist() == pytest.approx([-0.646, 0.443, -0.704], abs=6e-4)


class TestKMeans:
    COLUMNS = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "sex")
    NEW = pa.table(
        {
            "culmen_length_mm": [37.5, 55.8, 39.7, 43.8],
            "culmen_depth_mm": [18.5, 19.8, 18.9, 13.9],
            "flipper_length_mm": [199, 207, 184, 208],
            "sex": ["MALE", "MALE", "MALE", "FEMALE"],
        }
    )

    @pytest.mark.parametrize(
        ("rows", "index", "distance"), [("penguins", 1.523606, 1.965944), ("complete", 1.502182, 1.953408)]
    )
    def test_new_penguins_against_three_clusters(self, request, rows, index, distance):
        data = request.getfixturevalue(rows).select(self.COLUMNS)
        model = train(ModelSpec.of({"model_type": "KMEANS", "num_clusters": 3}), data)
        found = evaluated(model, self.NEW)
        assert found["davies_bouldin_index"] == pytest.approx(index, rel=0.1)
        assert found["mean_squared_distance"] == pytest.approx(distance, rel=0.1)
        assert sorted(call("PREDICT", model, self.NEW, {})["CENTROID_ID"].to_pylist()) == [1, 2, 2, 3]

    def test_the_centroids(self, penguins):
        data = penguins.select(self.COLUMNS)
        model = train(ModelSpec.of({"model_type": "KMEANS", "num_clusters": 3}), data)
        rows = call("CENTROIDS", model, None, {}).to_pylist()
        numbers = [row["numerical_value"] for row in rows if row["numerical_value"] is not None]
        recorded = [47.509677, 14.993548, 217.040123, 38.207813, 18.03125, 187.992188, 47.036346, 18.834808, 197.1612]
        assert numbers == pytest.approx(recorded, rel=0.1)


class TestPipelines:
    """Linear models on numbers that were scaled before: recorded through BigQuery DataFrames.

    (What it recorded for trees was trained with options that are not on record.)
    """

    NUMBERS = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm")

    @pytest.mark.parametrize(
        ("columns", "recorded", "predictions"),
        [
            (NUMBERS, (309.477331, 152184.227219, 0.009524, 257.728263, 0.764356, 0.764356), (3968.8, 3176.3, 3545.2)),
            (
                NUMBERS[:1],
                (528.495599, 421722.261808, 0.022963, 468.895249, 0.346999, 0.346999),
                (3818.845703, 3732.022253, 3679.928123),
            ),
        ],
    )
    def test_linear_regression(self, complete, tagged, columns, recorded, predictions):
        model = trained(complete.select([*columns, "body_mass_g"]), "LINEAR_REG", "body_mass_g")
        found = evaluated(model, complete)
        for name, figure in zip(REGRESSION, recorded, strict=True):
            assert found[name] == pytest.approx(figure, rel=1e-4), name
        assert predicted(model, tagged, "body_mass_g") == pytest.approx(predictions, abs=0.1)

    def test_logistic_regression(self, complete, tagged):
        model = trained(complete.select([*self.NUMBERS, "sex"]), "LOGISTIC_REG", "sex")
        found = evaluated(model, complete)
        recorded = {
            "precision": 0.537091,
            "recall": 0.538636,
            "accuracy": 0.805389,
            "f1_score": 0.537716,
            "log_loss": 1.445433,
        }
        for name, figure in recorded.items():
            assert found[name] == pytest.approx(figure, rel=1e-6), name
        assert found["roc_auc"] == pytest.approx(0.917818, abs=1e-3)
        assert predicted(model, tagged, "sex") == ["MALE", "FEMALE", "FEMALE"]

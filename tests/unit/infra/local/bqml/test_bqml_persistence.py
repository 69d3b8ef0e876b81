import json
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, HparamCandidates, Model, call

FUNCTIONS = ("EVALUATE", "FEATURE_INFO", "TRAINING_INFO")


def check_same(model, loaded, table):
    assert call("PREDICT", loaded, table, {}).equals(call("PREDICT", model, table, {}))
    for function in FUNCTIONS:
        assert call(function, loaded, None, {}).to_pylist() == call(function, model, None, {}).to_pylist()
    assert loaded.spec == model.spec
    assert loaded.feature_columns == model.feature_columns
    assert loaded.label_columns == model.label_columns


@pytest.mark.parametrize("name", ["logistic", "boosted", "regressor"])
def test_a_saved_model_comes_back_the_same(request, table, tmp_path, name):
    model = request.getfixturevalue(name)
    model.save(tmp_path / "m")
    check_same(model, Model.load(tmp_path / "m"), table)


@pytest.mark.parametrize(
    "options", [{"model_type": "KMEANS", "num_clusters": 2}, {"model_type": "PCA", "num_principal_components": 2}]
)
def test_an_unsupervised_model_comes_back_the_same(fitted, table, tmp_path, options):
    model = fitted(table.drop_columns(["label"]), **options)
    model.save(tmp_path / "m")
    check_same(model, Model.load(tmp_path / "m"), table)


def test_a_tuned_model_comes_back_with_its_trials(fitted, table, tmp_path):
    model = fitted(table, model_type="LOGISTIC_REG", num_trials=2, l2_reg=HparamCandidates([0.0, 5.0]))
    model.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert call("TRIAL_INFO", loaded, None, {}).to_pylist() == call("TRIAL_INFO", model, None, {}).to_pylist()
    assert call("PREDICT", loaded, table, {"trial_id": 2}).equals(call("PREDICT", model, table, {"trial_id": 2}))
    assert loaded.spec == model.spec


def test_what_the_caller_put_beside_the_model_comes_back(logistic, tmp_path):
    logistic.save(tmp_path / "m")
    model = Model.load(tmp_path / "m")
    model.extras["transform"] = {"sql": "a + 1", "params": [1, None]}
    model.save(tmp_path / "m")
    assert Model.load(tmp_path / "m").extras == {"transform": {"sql": "a + 1", "params": [1, None]}}


def test_saving_replaces_the_folder_whole(logistic, boosted, tmp_path):
    boosted.save(tmp_path / "m")
    logistic.save(tmp_path / "m")
    assert not list((tmp_path / "m").glob("booster*"))
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_save_that_fails_leaves_the_old_model(logistic, boosted, tmp_path):
    boosted.save(tmp_path / "m")
    broken = Model.load(tmp_path / "m")
    broken.extras["not json"] = object()
    with pytest.raises(TypeError):
        broken.save(tmp_path / "m")
    assert Model.load(tmp_path / "m").model_type == "BOOSTED_TREE_CLASSIFIER"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_nothing_in_the_folder_runs_code_on_load(logistic, boosted, tmp_path):
    for name, model in (("a", logistic), ("b", boosted)):
        model.save(tmp_path / name)
        json.loads((tmp_path / name / "model.json").read_text())
        with zipfile.ZipFile(tmp_path / name / "fit-0.npz") as stored:
            for member in stored.namelist():
                with stored.open(member) as file:
                    assert np.lib.format.read_array(file, allow_pickle=False).dtype != object
        suffixes = {path.suffix for path in (tmp_path / name).iterdir()}
        assert suffixes <= {".json", ".npz", ".arrow", ".ubj"}


def test_metrics_that_are_no_number_survive_as_json(fitted, tmp_path):
    data = pa.table({"x": [0.0] * 4, "label": [0, 0, 0, 1]})
    model = fitted(data, model_type="LOGISTIC_REG")
    assert np.isnan(call("EVALUATE", model, None, {})["precision"][0].as_py())
    model.save(tmp_path / "m")
    assert "NaN" not in (tmp_path / "m" / "model.json").read_text()
    assert np.isnan(call("EVALUATE", Model.load(tmp_path / "m"), None, {})["precision"][0].as_py())


def test_no_model_is_not_found(tmp_path):
    with pytest.raises(BqmlError, match="nothing") as caught:
        Model.load(tmp_path / "nothing")
    assert caught.value.reason == "notFound"

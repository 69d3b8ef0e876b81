import numpy as np
import pytest

from infra.local.bqml import HparamRange, ModelSpec, train

OPTIONS = [
    {"model_type": "LOGISTIC_REG"},
    {"model_type": "LOGISTIC_REG", "l1_reg": 0.01, "auto_class_weights": True},
    {"model_type": "BOOSTED_TREE_CLASSIFIER", "subsample": 0.7, "colsample_bytree": 0.7, "max_iterations": 5},
    {"model_type": "BOOSTED_TREE_CLASSIFIER", "booster_type": "DART", "dropout": 0.3, "max_iterations": 5},
    {"model_type": "RANDOM_FOREST_CLASSIFIER", "num_parallel_tree": 8},
    {"model_type": "LINEAR_REG", "input_label_cols": ["overlap"]},
    {"model_type": "KMEANS", "num_clusters": 3},
    {"model_type": "PCA", "num_principal_components": 2},
    {"model_type": "LOGISTIC_REG", "num_trials": 3, "l2_reg": HparamRange(0.0, 2.0)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_two_trainings_give_the_same_model_bit_for_bit(table, tmp_path, options):
    for name in ("first", "second"):
        train(ModelSpec.of(options), table).save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "second").iterdir())
    for file in files:
        first, second = ((tmp_path / name / file).read_bytes() for name in ("first", "second"))
        if file.endswith(".npz"):
            assert_arrays_equal(tmp_path / "first" / file, tmp_path / "second" / file)
        elif file != "model.json":  # it holds times
            assert first == second


def assert_arrays_equal(first, second):
    with np.load(first) as one, np.load(second) as other:
        assert one.files == other.files
        for name in one.files:
            assert one[name].tobytes() == other[name].tobytes()

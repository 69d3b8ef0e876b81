import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, ModelSpec
from infra.local.bqml.splitting import row_hashes, split_rows


def numbered(rows):
    return pa.table({"x": np.arange(rows, dtype=np.float64), "s": [f"row {i}" for i in range(rows)]})


def split(data, **options):
    return split_rows(ModelSpec.of({"model_type": "LOGISTIC_REG", **options}), data)


def test_under_500_rows_all_train():
    found = split(numbered(499))
    assert found.train.all()
    assert found.evaluation is None


def test_from_500_rows_about_a_fifth_evaluates():
    found = split(numbered(5_000))
    assert abs(found.evaluation.mean() - 0.2) < 0.02
    assert not (found.train & found.evaluation).any()
    assert (found.train | found.evaluation).all()


def test_above_50000_rows_exactly_10000_evaluate():
    assert split(numbered(50_001)).evaluation.sum() == 10_000


def test_no_split_trains_on_all():
    assert split(numbered(5_000), data_split_method="NO_SPLIT").evaluation is None


def test_a_random_split_depends_on_the_row_and_not_on_its_place():
    data = numbered(2_000)
    shuffled = np.random.default_rng(0).permutation(2_000)
    first = split(data, data_split_method="RANDOM", data_split_eval_fraction=0.3).evaluation
    second = split(data.take(shuffled), data_split_method="RANDOM", data_split_eval_fraction=0.3).evaluation
    assert (first[shuffled] == second).all()
    assert abs(first.mean() - 0.3) < 0.04


def test_equal_rows_are_on_the_same_side():
    data = pa.concat_tables([numbered(600), numbered(600)])
    evaluation = split(data).evaluation
    assert (evaluation[:600] == evaluation[600:]).all()


def test_custom_true_and_null_evaluate():
    data = numbered(4).append_column("held", pa.array([True, False, None, False]))
    found = split(data, data_split_method="CUSTOM", data_split_col="held")
    assert found.evaluation.tolist() == [True, False, True, False]


def test_custom_wants_a_bool():
    with pytest.raises(BqmlError, match=r"'x'.*BOOL"):
        split(numbered(10), data_split_method="CUSTOM", data_split_col="x")


def test_a_split_column_that_is_not_there_is_named():
    with pytest.raises(BqmlError, match="'when'"):
        split(numbered(10), data_split_method="SEQ", data_split_col="when")


def test_the_last_rows_by_the_column_evaluate():
    data = pa.table({"t": [5, 1, 4, 2, 3]})
    found = split(data, data_split_method="SEQ", data_split_col="t", data_split_eval_fraction=0.4)
    assert found.evaluation.tolist() == [True, False, True, False, False]


def test_tuning_splits_in_three():
    found = split(numbered(5_000), num_trials=2)
    assert abs(found.evaluation.mean() - 0.1) < 0.02
    assert abs(found.test.mean() - 0.1) < 0.02
    assert abs(found.train.mean() - 0.8) < 0.03


def test_a_tuning_column_says_train_eval_and_test():
    data = numbered(4).append_column("part", pa.array(["TRAIN", "eval", "TEST", "TRAIN"]))
    found = split(data, num_trials=2, data_split_method="CUSTOM", data_split_col="part")
    assert found.train.tolist() == [True, False, False, True]
    assert found.test.tolist() == [False, False, True, False]


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    data = numbered(3).append_column("held", pa.array([True] * 3))
    with pytest.raises(BqmlError, match="no rows to train"):
        split(data, data_split_method="CUSTOM", data_split_col="held")


def test_rows_hash_by_content_across_types():
    data = pa.table({"a": pa.array([0.0, -0.0, None, 1.0]), "l": [[1], [1], [2], None], "b": [True, True, None, False]})
    hashes = row_hashes(data)
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 3

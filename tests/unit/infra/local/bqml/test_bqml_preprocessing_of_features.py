from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError
from infra.local.bqml.encoder import Encoder
from infra.local.bqml.encodings import DUMMY, LABEL, ONE_HOT, TARGET


def encoder(method=ONE_HOT, standardize=True, targets=None, **columns):
    data = pa.table(columns)
    return Encoder.fit(data, data.schema.names, method=method, standardize=standardize, targets=targets), data


def design(fitted, data):
    found = fitted.design(data, intercept=False)
    return np.hstack([found.dense, found.slots.toarray()]) if found.slots is not None else found.dense


def test_numbers_are_standardised_by_the_population_deviation_and_null_is_the_mean():
    fitted, data = encoder(x=pa.array([1.0, 3.0, None]))
    assert design(fitted, data)[:, 0].tolist() == [-1.0, 1.0, 0.0]  # mean 2, deviation 1


def test_every_numeric_type_is_a_number():
    values = [1, 2, 3]
    fitted, data = encoder(
        i=pa.array(values),
        f=pa.array(values, pa.float64()),
        n=pa.array([Decimal(v) for v in values], pa.decimal128(38, 9)),
    )
    found = design(fitted, data)
    assert np.allclose(found[:, 0], found[:, 1])
    assert np.allclose(found[:, 0], found[:, 2])


def test_a_category_gets_a_slot_and_null_gets_the_null_filler():
    fitted, data = encoder(s=pa.array(["b", "a", "b", None]))
    assert fitted.encodings[0].categories == ["b", "a", "_null_filler"]
    assert design(fitted, data).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_an_unseen_category_weighs_nothing():
    fitted, _ = encoder(s=pa.array(["b", "a"]))
    assert design(fitted, pa.table({"s": ["z"]})).tolist() == [[0, 0]]


def test_dummy_encoding_drops_the_most_frequent_category():
    fitted, data = encoder(DUMMY, s=pa.array(["a", "b", "b"]))
    assert fitted.encodings[0].dropped == "b"
    assert design(fitted, data).tolist() == [[1], [0], [0]]


def test_label_encoding_makes_null_and_unseen_missing():
    fitted, _ = encoder(LABEL, standardize=False, s=pa.array(["a", "b", None]))
    found = fitted.matrix(pa.table({"s": pa.array(["a", "b", None, "z"])}))[:, 0]
    assert sorted(found[:2].tolist()) == [0.0, 1.0]
    assert np.isnan(found[2:]).all()


def test_trees_see_unscaled_numbers_and_the_mean_for_null():
    fitted, data = encoder(LABEL, standardize=False, x=pa.array([10.0, 30.0, None]))
    assert fitted.matrix(data)[:, 0].tolist() == [10.0, 30.0, 20.0]


def test_target_encoding_is_a_mean_smoothed_by_one_row():
    targets = np.array([[1.0], [0.0], [1.0], [1.0]])
    fitted, _ = encoder(TARGET, standardize=False, targets=targets, s=pa.array(["a", "a", "b", "b"]))
    overall = 3 / 4
    found = fitted.matrix(pa.table({"s": ["a", "b", "z"]}))[:, 0]
    assert found.tolist() == pytest.approx([(1 + overall) / 3, (2 + overall) / 3, overall])


def test_dates_and_bools_are_categories():
    fitted, _ = encoder(d=pa.array([date(2024, 1, 31)] * 2), b=pa.array([True, False]))
    assert fitted.encodings[0].categories == ["2024-01-31"]
    assert sorted(fitted.encodings[1].categories) == ["false", "true"]


def test_categories_are_printed_as_the_service_prints_them():
    fitted, _ = encoder(
        when=pa.array(["2024-01-31 10:00:00", "2024-01-31 10:00:00.25"]).cast(pa.timestamp("us")),  # a DATETIME
        at=pa.array([time(9, 5), time(9, 5)]),
        raw=pa.array([b"\xff\x00", b"a"]),
    )
    found = {e.name: sorted(e.categories) for e in fitted.encodings}
    assert found["when"] == ["2024-01-31T10:00:00", "2024-01-31T10:00:00.250000"]
    assert found["at"][0].startswith("09:05:00")
    assert found["raw"] == ["/wA=", "YQ=="]  # base64


def test_a_struct_is_spread_into_its_fields():
    fitted, _ = encoder(s=pa.array([{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]))
    assert [e.name for e in fitted.encodings] == ["s_a", "s_b"]


def test_a_timestamp_is_its_unix_time_and_its_calendar_parts():
    fitted, _ = encoder(t=pa.array([datetime(2024, 5, 1, 10, 30, tzinfo=UTC), datetime(2024, 5, 2, tzinfo=UTC)]))
    by_name = {e.name: e for e in fitted.encodings}
    assert by_name["t_unix_time"].kind == "numeric"
    assert sorted(by_name["t_day_of_month"].categories) == ["1", "2"]
    assert by_name["t_year"].categories == ["2024"]


def test_an_array_of_numbers_is_a_vector_and_one_of_strings_is_multi_hot():
    fitted, data = encoder(v=pa.array([[1.0, 2.0], [3.0, 2.0]]), w=pa.array([["a", "b", "a"], None]))
    assert design(fitted, data).tolist() == [[-1, 0, 1, 1, 0], [1, 0, 0, 0, 1]]


def test_a_sparse_array_puts_values_at_their_index():
    kind = pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float64())]))
    fitted, data = encoder(v=pa.array([[{"index": 2, "value": 5.0}], [{"index": 0, "value": 1.0}]], kind))
    assert design(fitted, data).tolist() == [[0, 0, 5], [1, 0, 0]]


def test_arrays_of_differing_lengths_are_refused():
    with pytest.raises(BqmlError, match=r"'v'.*one length"):
        encoder(v=pa.array([[1.0], [1.0, 2.0]]))


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([None, None], pa.float64()), "only NULL"),
        (pa.array([1.0, float("inf")]), "infinite"),
        (pa.array([1.0, float("nan")]), "NaN"),
        (pa.array([[["a"]], [["b"]]]), "not supported"),
        (pa.array([{"a": {"b": 1}}] * 2), "nested"),
    ],
)
def test_a_column_that_cannot_be_a_feature_is_refused_by_name(column, why):
    with pytest.raises(BqmlError, match=why) as caught:
        encoder(bad=column)
    assert "'bad'" in str(caught.value)


def test_what_was_learnt_survives_json():
    fitted, data = encoder(x=pa.array([1.0, 2.0]), s=pa.array(["a", None]))
    assert np.array_equal(design(Encoder.from_json(fitted.to_json()), data), design(fitted, data))


def test_scoring_by_column_is_the_design_times_the_weights():
    fitted, data = encoder(x=pa.array([1.0, 2.0, None]), s=pa.array(["a", None, "b"]), v=pa.array([[1.0, 2.0]] * 3))
    weights = np.random.default_rng(0).normal(size=(fitted.design(data, intercept=True).width, 2))
    by_design = fitted.design(data, intercept=True).dot(weights)
    assert np.allclose(fitted.predictor(data, weights, intercept=True), by_design, atol=1e-12)


def test_the_gram_matrix_of_the_parts_is_that_of_the_whole():
    fitted, data = encoder(x=pa.array([1.0, 2.0, 5.0]), s=pa.array(["a", "b", "a"]))
    parts = fitted.design(data, intercept=True)
    whole = np.hstack([parts.dense, parts.slots.toarray(), np.ones((3, 1))])
    weights = np.array([1.0, 2.0, 3.0])
    assert np.allclose(parts.gram(), whole.T @ whole)
    assert np.allclose(parts.gram(weights), whole.T @ (whole * weights[:, None]))

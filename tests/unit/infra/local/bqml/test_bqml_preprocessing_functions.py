import doctest
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.bqml import BqmlError, preprocessing


def value(function, values, *arguments, kind=None, on=None):
    """What the function gives ``on`` (default: the same) rows after learning from ``values``."""
    column = pa.chunked_array([pa.array(values, kind)])
    params = json.loads(json.dumps(preprocessing.fit(function, [column], arguments)))
    other = column if on is None else pa.chunked_array([pa.array(on, kind)])
    return preprocessing.apply(function, params, [other], arguments).to_pylist()


def indexed(*pairs):
    return [{"index": i, "value": float(v)} for i, v in pairs]


CASES = [
    # recorded from the service: three culmen lengths
    ("STANDARD_SCALER", [39.5, 38.5, 37.9], (), [1.313249, -0.20198, -1.111118]),
    ("STANDARD_SCALER", [2.0, None, 4.0], (), [-1.0, None, 1.0]),
    ("STANDARD_SCALER", [3, 3], (), [0.0, 0.0]),
    ("MIN_MAX_SCALER", [10, 20, 15, None], (), [0.0, 1.0, 0.5, None]),
    ("MAX_ABS_SCALER", [-4, 2], (), [-1.0, 0.5]),
    ("ROBUST_SCALER", [1, 2, 3, 4, 5], (), [-1.0, -0.5, 0.0, 0.5, 1.0]),
    ("ROBUST_SCALER", [1, 2, 3, 4, 5], ([0, 100], True, False), [-2.0, -1.0, 0.0, 1.0, 2.0]),
    ("ROBUST_SCALER", [1, 2, 3, 4, 5], ([25, 75], False), [0.5, 1.0, 1.5, 2.0, 2.5]),
    ("NORMALIZER", [[3.0, 4.0], None], (), [[0.6, 0.8], None]),
    ("NORMALIZER", [[3.0, -4.0]], (1.0,), [[3 / 7, -4 / 7]]),
    ("NORMALIZER", [[3.0, -4.0]], (math.inf,), [[0.75, -1.0]]),
    ("NORMALIZER", [[3.0, 0.0]], (0,), [[3.0, 0.0]]),
    ("BUCKETIZE", [1, 2, 2.5, 9, None], ([2, 3],), ["bin_1", "bin_2", "bin_2", "bin_3", None]),
    ("BUCKETIZE", [1, 2.5, 9], ([2.5, 3], False, "bucket_ranges"), ["(-inf, 2.5)", "[2.5, 3)", "[3, +inf)"]),
    # recorded: the outermost split points fall away, and nothing becomes NULL
    ("BUCKETIZE", [5, 15, 25, 35], ([10, 20, 30], True, "bucket_ranges"), ["(-inf, 20)"] * 2 + ["[20, +inf)"] * 2),
    ("BUCKETIZE", [1], ([2], False, "bucket_ranges_json"), ['{"start": "-Infinity", "end": "2"}']),
    ("QUANTILE_BUCKETIZE", [1, 2, 3, 4, 5], (2,), ["bin_1", "bin_1", "bin_2", "bin_2", "bin_2"]),
    ("LABEL_ENCODER", ["b", "a", None, "b"], (10, 0), [2, 1, 0, 2]),
    ("LABEL_ENCODER", ["b", "a", "b"], (10, 2), [1, 0, 1]),
    ("LABEL_ENCODER", ["b", "a"], (), [0, 0]),  # by default a category must occur five times
    ("ONE_HOT_ENCODER", ["b", "a", None], ("none", 10, 0), [indexed((2, 1)), indexed((1, 1)), indexed((0, 1))]),
    ("ONE_HOT_ENCODER", ["b", "a", "b"], ("most_frequent", 10, 0), [indexed((0, 1)), indexed((1, 1)), indexed((0, 1))]),
    ("MULTI_HOT_ENCODER", [["b", "a", "b"], None], (10, 0), [indexed((1, 1), (2, 1)), indexed((0, 1))]),
    ("IMPUTER", [1, None, 3], ("mean",), [1.0, 2.0, 3.0]),
    ("IMPUTER", [1, None, 3, 9], ("median",), [1.0, 3.0, 3.0, 9.0]),
    ("IMPUTER", ["x", None, "y", "y"], ("most_frequent",), ["x", "y", "y", "y"]),
    # The values of the function's documentation, and of a book's example for two buckets.
    ("HASH_BUCKETIZE", ["a", "b", "c", "d", None], (3,), [0, 1, 1, 2, None]),
    ("HASH_BUCKETIZE", ["horse", "cat", "dog", "fish"], (2,), [1, 0, 0, 0]),
    ("HASH_BUCKETIZE", ["a"], (0,), [-5528939962900187677]),
    ("NGRAMS", [["a", "b", "c"]], (2,), [["a b", "b c"]]),
    ("NGRAMS", [["a", "b", "c"], None, []], ([2, 3], "#"), [["a#b", "a#b#c", "b#c"], None, []]),
    (
        "BAG_OF_WORDS",
        [["a", "b", "b", "z"]] * 2 + [["c"]],
        (2, 2),
        [indexed((0, 1), (1, 1), (2, 2))] * 2 + [indexed((0, 1))],
    ),
    ("FEATURE_CROSS", [{"a": "x", "b": "y"}, {"a": None, "b": "y"}], (), [{"a_b": "x_y"}, {"a_b": None}]),
    ("POLYNOMIAL_EXPAND", [{"x": 2, "y": 3.0}], (), [{"x": 2.0, "x_x": 4.0, "x_y": 6.0, "y": 3.0, "y_y": 9.0}]),
]


@pytest.mark.parametrize(("function", "values", "arguments", "expected"), CASES)
def test_the_documented_value(function, values, arguments, expected):
    found = value(function, values, *arguments)
    if expected and isinstance(expected[0], float):
        assert found == [pytest.approx(e, rel=1e-3) if e is not None else None for e in expected]
    elif function == "NORMALIZER":
        assert [pytest.approx(e) if e else e for e in expected] == found
    else:
        assert found == expected


def test_tf_idf_is_share_times_log_of_inverse_frequency():
    found = value("TF_IDF", [["a", "b", "b", "c"], ["a"]], 10, 1)
    documents = 2
    assert found[0][1]["value"] == pytest.approx(2 / 4 * math.log(1 + documents / (1 + 1)))  # b, in one document
    assert found[1][0]["value"] == pytest.approx(1 / 1 * math.log(1 + documents / (1 + 2)))  # a, in both


def test_a_cross_of_three_has_all_pairs_before_the_triple():
    (row,) = value("FEATURE_CROSS", [{"a": "1", "b": "2", "c": "3"}], 3)
    assert list(row) == ["a_b", "a_c", "b_c", "a_b_c"]


def test_what_was_learnt_is_applied_to_other_rows():
    assert value("MIN_MAX_SCALER", [0, 10], on=[-5, 5, 20]) == [0.0, 0.5, 1.0]  # capped
    assert value("LABEL_ENCODER", ["a", "b"], 10, 0, on=["b", "z"]) == [2, 0]
    assert value("IMPUTER", [2.0, 4.0], "mean", on=[None, 9.0]) == [3.0, 9.0]


@pytest.mark.parametrize(
    ("function", "values", "arguments", "named"),
    [
        ("STANDARD_SCALER", ["a"], (), "STRING"),
        ("LABEL_ENCODER", [1], (), "INT64"),
        ("MULTI_HOT_ENCODER", ["a"], (), "STRING"),
        ("BUCKETIZE", [1], ([3, 2],), "array_split_points"),
        ("BUCKETIZE", [1], ([],), "array_split_points"),
        ("BUCKETIZE", [1], ([1], False, "names"), "output_format"),
        ("QUANTILE_BUCKETIZE", [1], (0,), "num_buckets"),
        ("ROBUST_SCALER", [1], ([75, 25],), "quantile_range"),
        ("NORMALIZER", [[1.0]], (0.5,), "'p'"),
        ("IMPUTER", [1], ("mode",), "strategy"),
        ("IMPUTER", ["a"], ("mean",), "numeric"),
        ("ONE_HOT_ENCODER", ["a"], ("first",), "drop"),
        ("LABEL_ENCODER", ["a"], (1_000_000,), "top_k"),
        ("NGRAMS", [["a"]], ([2, 1],), "range"),
        ("NGRAMS", [["a"]], (0,), "range"),
        ("HASH_BUCKETIZE", ["a"], (-1,), "hash_bucket_size"),
        ("FEATURE_CROSS", [{"a": "x", "b": "y"}], (5,), "degree"),
        ("POLYNOMIAL_EXPAND", [{"a": 1}], (5,), "degree"),
        ("POLYNOMIAL_EXPAND", [{f"f{i}": 1 for i in range(11)}], (), "at most 10"),
        ("STANDARD_SCALER", [1], (2,), "signature"),
        ("RESIZE_IMAGE", [1], (), "RESIZE_IMAGE"),
    ],
)
def test_a_bad_argument_or_column_is_named(function, values, arguments, named):
    with pytest.raises(BqmlError, match=named):
        value(function, values, *arguments)


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_every_number_lands_in_the_quantile_bucket_of_its_rank(values):
    found = value("QUANTILE_BUCKETIZE", values, 4, kind=pa.float64())
    pairs = sorted((v, int(b.removeprefix("bin_"))) for v, b in zip(values, found, strict=True) if v is not None)
    assert [b for _, b in pairs] == sorted(b for _, b in pairs)
    assert all((v is None) == (b is None) for v, b in zip(values, found, strict=True))


@given(st.lists(st.none() | st.sampled_from(["a", "b", "c", "é"]), max_size=40), st.integers(0, 5))
def test_labels_count_from_one_in_the_order_of_the_alphabet(values, threshold):
    kept = sorted(w for w in {v for v in values if v} if values.count(w) >= threshold)
    expected = [kept.index(v) + 1 if v in kept else 0 for v in values]
    assert value("LABEL_ENCODER", values, 100, threshold, kind=pa.string()) == expected


@given(st.lists(st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=6), min_size=1, max_size=20))
def test_a_bag_counts_every_word(documents):
    found = value("BAG_OF_WORDS", documents, 100, 0, kind=pa.list_(pa.string()))
    words = sorted({w for d in documents if d for w in d})
    for document, bag in zip(documents, found, strict=True):
        if document is None:
            assert bag is None
        else:
            expected = [(words.index(w) + 1, float(document.count(w))) for w in sorted(set(document))]
            assert [(pair["index"], pair["value"]) for pair in bag] == expected


def test_chunks_do_not_matter():
    chunked = pa.chunked_array([[1.0, 2.0], [], [3.0, None]])
    params = preprocessing.fit("STANDARD_SCALER", [chunked], [])
    whole = value("STANDARD_SCALER", [1.0, 2.0, 3.0, None])
    assert preprocessing.apply("STANDARD_SCALER", params, [chunked], []).to_pylist() == whole


def test_the_example_of_the_documentation_runs():
    assert doctest.testmod(preprocessing).failed == 0
    assert doctest.testmod(preprocessing).attempted > 0


def test_every_function_says_whether_it_is_analytic():
    analytic = {name for name, signature in preprocessing.SIGNATURES.items() if signature.analytic}
    assert "BUCKETIZE" not in analytic
    assert {"STANDARD_SCALER", "TF_IDF", "IMPUTER"} <= analytic
    for name in set(preprocessing.SIGNATURES) - analytic:
        assert (
            preprocessing.fit(name, [pa.chunked_array([[1]])], [None] * preprocessing.SIGNATURES[name].arguments[0])
            == {}
        )


def test_numbers_of_every_type_are_scaled():
    for kind in (pa.int64(), pa.float32(), pa.float64(), pa.decimal128(38, 9)):
        column = pa.chunked_array([pa.array(np.arange(4)).cast(kind)])
        params = preprocessing.fit("MIN_MAX_SCALER", [column], [])
        assert preprocessing.apply("MIN_MAX_SCALER", params, [column], []).to_pylist()[-1] == 1.0

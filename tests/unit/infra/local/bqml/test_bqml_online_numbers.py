"""Instances of plain numbers take a shorter way to the learner; it must give what the columns give, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, Model
from infra.local.bqml.online import OnlinePredictor
from infra.local.bqml.online_numbers import OnlineNumbers

KINDS: list[dict[str, Any]] = [
    {"model_type": "LOGISTIC_REG"},
    {"model_type": "BOOSTED_TREE_CLASSIFIER", "max_iterations": 5},
    {"model_type": "LINEAR_REG", "input_label_cols": ["price"]},
    {"model_type": "BOOSTED_TREE_REGRESSOR", "input_label_cols": ["price"], "max_iterations": 5},
]


def numbers(rows: int = 300) -> pa.Table:
    """A whole number, a FLOAT64 and a NUMERIC with one decimal, with NULLs in each."""
    draw = np.random.default_rng(5)
    words, ratio = draw.integers(0, 9, rows), draw.uniform(-1.0, 1.0, rows)
    discount = draw.integers(0, 30, rows) / 10
    return pa.table(
        {
            "words": pa.array(words, mask=np.arange(rows) % 30 == 1),
            "ratio": pa.array(ratio, mask=np.arange(rows) % 30 == 2),
            "discount": pa.array(discount, mask=np.arange(rows) % 30 == 3).cast(pa.decimal128(21, 1), safe=False),
            "price": words * 3.5 + discount + draw.normal(0.0, 1.0, rows),
            "label": (ratio + draw.normal(0.0, 0.3, rows) > 0).astype(np.int64),
        }
    )


@pytest.fixture(scope="module", params=KINDS, ids=lambda options: options["model_type"].lower())
def model(request: pytest.FixtureRequest, fitted: Any) -> Model:
    found: Model = fitted(numbers(), data_split_method="NO_SPLIT", **request.param)
    return found


def by_columns(model: Model) -> OnlinePredictor:
    predictor = OnlinePredictor(model)
    predictor._numbers = None
    return predictor


def instances(model: Model, rows: int = 60) -> list[dict[str, Any]]:
    """As JSON has them: a NUMERIC is a number that need not have the column's decimals."""
    names = [field.name for field in model.features]
    read = numbers().select(names).slice(0, rows).to_pylist()
    return [{**row, "discount": None if row["discount"] is None else float(row["discount"]) + 0.04} for row in read]


def test_the_shorter_way_gives_the_margins_of_the_columns_to_the_last_bit(model: Model) -> None:
    shorter = OnlineNumbers.of(model)
    assert shorter is not None
    assert shorter.margins(instances(model)) is not None
    assert OnlinePredictor(model).predict(instances(model)) == by_columns(model).predict(instances(model))


def test_a_row_by_itself_gets_what_it_gets_among_others(model: Model) -> None:
    predictor = OnlinePredictor(model)
    assert [predictor.predict([row])[0] for row in instances(model)] == predictor.predict(instances(model))


@pytest.mark.parametrize(
    "odd",
    [
        {"words": 2.5},
        {"words": True},
        {"ratio": "0.5"},
        {"ratio": [0.5]},
        {"words": float("inf")},
    ],
    ids=str,
)
def test_an_odd_value_is_refused_in_the_words_of_the_columns(model: Model, odd: dict[str, Any]) -> None:
    instance = {**instances(model)[0], **odd}
    said = []
    for predictor in (OnlinePredictor(model), by_columns(model)):
        with pytest.raises((BqmlError, pa.ArrowInvalid)) as caught:
            predictor.predict([instance])
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "odd",
    [{"ratio": float("nan")}, {"discount": float("nan")}, {"words": 2**60 + 1}, {"words": 3.0}, {"ratio": 2**70}],
    ids=str,
)
def test_an_odd_value_that_the_columns_take_gets_their_answer(model: Model, odd: dict[str, Any]) -> None:
    instance = {**instances(model)[0], **odd}
    np.testing.assert_equal(OnlinePredictor(model).predict([instance]), by_columns(model).predict([instance]))


def test_a_model_with_a_category_goes_by_its_columns(boosted: Model) -> None:
    assert OnlineNumbers.of(boosted) is None

"""Small tables that the tests of the BigQuery ML library train on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import Model, ModelSpec, train

Trainer = Callable[..., Model]


def deals(rows: int = 600, seed: int = 3) -> pa.Table:
    """Numbers, a category with NULLs, and a label that depends on them."""
    generator = np.random.default_rng(seed)
    price = generator.normal(100.0, 20.0, rows)
    overlap = generator.uniform(0.0, 1.0, rows)
    shop = generator.choice(["north", "south", "west"], rows)
    score = 4.0 * (overlap - 0.5) + np.where(shop == "north", 1.0, 0.0) + generator.normal(0.0, 0.5, rows)
    return pa.table(
        {
            "price": pa.array(price, mask=np.arange(rows) % 50 == 7),
            "overlap": overlap,
            "shop": pa.array(shop.tolist(), mask=np.arange(rows) % 40 == 3),
            "label": (score > 0).astype(np.int64),
        }
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return deals()


@pytest.fixture(scope="session")
def fitted() -> Trainer:
    """``fitted(table, model_type=..., option=...)``: a trained model."""

    def build(data: pa.Table, **options: Any) -> Model:
        return train(ModelSpec.of(options), data)

    return build


@pytest.fixture(scope="session")
def logistic(table: pa.Table) -> Model:
    return train(ModelSpec.of({"model_type": "LOGISTIC_REG"}), table)


@pytest.fixture(scope="session")
def boosted(table: pa.Table) -> Model:
    return train(ModelSpec.of({"model_type": "BOOSTED_TREE_CLASSIFIER", "max_iterations": 5}), table)


@pytest.fixture(scope="session")
def regressor(table: pa.Table) -> Model:
    spec = ModelSpec.of({"model_type": "LINEAR_REG", "input_label_cols": ["price"], "data_split_method": "NO_SPLIT"})
    return train(spec, table.filter(table["price"].is_valid()))

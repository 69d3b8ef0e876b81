"""The share of positives among unlabelled rows, and the threshold that it asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from deployment.stages.evaluate import Scored
from tests.sql.kinds.classification.evaluate.evaluation import Evaluation, predicted

OVERLAP = 1.2


def drawn(rows: int, share: float, seed: int) -> pd.DataFrame:
    """Rows of one feature, which is higher by a little over a standard deviation where the label is true."""
    chance = np.random.default_rng(seed)
    label = chance.random(rows) < share
    return pd.DataFrame({"signal": chance.normal(label * OVERLAP), "is_duplicate": label})


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_is_found_without_labels(evaluation: Evaluation, share: float) -> None:
    found = threshold_for(evaluation, share)

    assert found.expected_positive_rate == pytest.approx(share, abs=0.03)


def test_rarer_positives_ask_for_a_higher_threshold(evaluation: Evaluation) -> None:
    evaluation = replace(evaluation, policy=without_plateau(evaluation))

    assert threshold_for(evaluation, 0.05).threshold > threshold_for(evaluation, 0.5).threshold + 0.05


def test_a_share_that_somebody_states_is_not_estimated(evaluation: Evaluation) -> None:
    stated = evaluation.policy.parameters | {"expected_positive_rate": 0.3}
    evaluation = replace(evaluation, policy=evaluation.policy.model_copy(update={"parameters": stated}))

    assert threshold_for(evaluation, 0.05).expected_positive_rate == 0.3


def without_plateau(evaluation: Evaluation):  # type: ignore[no-untyped-def]
    parameters = evaluation.policy.parameters | {"threshold_plateau": 0.0}
    return evaluation.policy.model_copy(update={"parameters": parameters})


def threshold_for(evaluation: Evaluation, share: float) -> pd.Series:
    """The row of `thresholds` of a model trained on as many positives as negatives, asked about another mix."""
    asked = replace(evaluation, policy=evaluation.policy.model_copy(update={"asked": "sampled_features"}))
    training, judged = drawn(4000, 0.5, 1), drawn(1000, 0.5, 2)
    asked.put("training_features", training)
    asked.put("sampled_features", drawn(4000, share, 3)[["signal"]])
    model = f"`{asked.naming.candidate_model('r', 'tree')}`"
    rows = asked.naming.run_table("r", "training_features")
    asked.client.query(
        f"CREATE OR REPLACE MODEL {model} OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['is_duplicate'], "
        f"data_split_method = 'NO_SPLIT') AS SELECT * FROM `{rows}`"
    ).result()
    chances = 1 / (1 + np.exp(OVERLAP**2 / 2 - OVERLAP * judged.signal))
    asked.put("predictions", predicted("tree", list(judged.is_duplicate), list(chances)))
    asked.build("curve", "thresholds", scored=[Scored("tree", model, "", "")])
    return asked.table("thresholds").iloc[0]

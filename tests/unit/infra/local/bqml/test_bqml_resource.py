import json

import pytest
from google.cloud import bigquery

from infra.local.bqml import HparamCandidates


def through_the_client(model):
    reference = {"projectId": "p", "datasetId": "d", "modelId": "m"}
    return bigquery.Model.from_api_repr({"modelReference": reference, **json.loads(json.dumps(model.resource()))})


def test_the_client_reads_columns_and_runs(logistic):
    read = through_the_client(logistic)
    assert read.model_type == "LOGISTIC_REGRESSION"
    assert [(c.name, c.type.type_kind.name) for c in read.feature_columns] == [
        ("price", "FLOAT64"),
        ("overlap", "FLOAT64"),
        ("shop", "STRING"),
    ]
    assert [(c.name, c.type.type_kind.name) for c in read.label_columns] == [("label", "INT64")]
    run = read.training_runs[-1]
    assert run["trainingOptions"]["optimizationStrategy"] == "BATCH_GRADIENT_DESCENT"
    assert run["trainingOptions"]["maxIterations"] == "20"
    assert run["results"][0]["learnRate"] == 0.2
    metrics = run["evaluationMetrics"]["binaryClassificationMetrics"]
    assert metrics["positiveLabel"] == "1"
    assert metrics["aggregateClassificationMetrics"]["rocAuc"] > 0.5


def test_a_regressor_has_regression_metrics(regressor):
    run = through_the_client(regressor).training_runs[-1]
    assert run["trainingOptions"]["optimizationStrategy"] == "NORMAL_EQUATION"
    assert run["evaluationMetrics"]["regressionMetrics"]["meanAbsoluteError"] > 0
    assert "learnRate" not in run["results"][0]


def test_options_that_were_said_come_back(fitted, table):
    model = fitted(table, model_type="BOOSTED_TREE_CLASSIFIER", max_iterations=2, subsample=0.9)
    options = through_the_client(model).training_runs[-1]["trainingOptions"]
    assert (options["subsample"], options["maxIterations"], options["boosterType"]) == (0.9, "2", "GBTREE")


def test_trials_and_search_spaces_come_back(fitted, table):
    model = fitted(table, model_type="LOGISTIC_REG", num_trials=2, l2_reg=HparamCandidates([0.0, 1.0]))
    found = model.resource()
    assert found["hparamSearchSpaces"] == {"l2Regularization": {"candidates": {"candidates": [0.0, 1.0]}}}
    assert [trial["trialId"] for trial in found["hparamTrials"]] == ["1", "2"]
    assert found["optimalTrialIds"] == [str(model.optimal_trial)]
    assert through_the_client(model).training_runs[0]["trainingOptions"]["numTrials"] == "2"


@pytest.mark.parametrize("options", [{"model_type": "KMEANS"}, {"model_type": "PCA", "num_principal_components": 1}])
def test_an_unsupervised_model_has_no_label_columns(fitted, table, options):
    read = through_the_client(fitted(table.drop_columns(["label"]), **options))
    assert list(read.label_columns) == []
    assert read.training_runs[-1]["evaluationMetrics"]

"""The SQL that measures models, held to scikit-learn, to NumPy and to arithmetic done by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from evaluation import KEYS, REPLICATES, Evaluation, predicted
from sklearn import metrics as sk

from bench import gate_statistics as twin
from etl.query_parameters import Null
from functions.service.fingerprint import farm_fingerprint

NewEvaluation = Callable[..., Evaluation]


def three_models(rows: int = 600, groups: int = 250, seed: int = 5) -> pd.DataFrame:
    """A champion, a better tree and an equal linear model, on validation and test rows with ties and groups."""
    random = np.random.default_rng(seed)
    frames = []
    for split in ("validation", "test"):
        group = random.integers(0, groups, rows)
        label = random.random(rows) < 0.25
        common = random.normal(size=rows) + 0.5 * random.normal(size=groups)[group]
        for name, strength in (("champion", 1.0), ("tree", 1.8), ("linear", 1.0)):
            latent = strength * (2 * label - 1) + 0.7 * common + 0.5 * random.normal(size=rows)
            frames.append(
                predicted(
                    name,
                    label.tolist(),
                    np.round(1 / (1 + np.exp(-latent)), 3).tolist(),
                    split=split,
                    entity_group=[f"g{g}" for g in group],
                )
            )
    return pd.concat(frames)


@pytest.fixture(scope="module")
def models() -> pd.DataFrame:
    return three_models()


@pytest.fixture(scope="module")
def measured(new_evaluation: NewEvaluation, models: pd.DataFrame) -> Evaluation:
    evaluation = new_evaluation()
    evaluation.compare(models)
    return evaluation


def test_metrics_agree_with_scikit_learn(measured: Evaluation, models: pd.DataFrame) -> None:
    for (name, split), rows in models.groupby(["name", "split"]):
        found = measured.metrics(name, split)
        label, probability = rows.is_positive.astype(bool), rows.probability.astype(float)
        said = probability >= found.threshold
        expected = {
            "precision": sk.precision_score(label, said),
            "recall": sk.recall_score(label, said),
            "f1_score": sk.f1_score(label, said),
            "accuracy": sk.accuracy_score(label, said),
            "average_precision": sk.average_precision_score(label, probability),
            "roc_auc": sk.roc_auc_score(label, probability),
            "log_loss": sk.log_loss(label, probability),
            # Costs of model.yml: 2 a false positive, 1 a false negative.
            "cost": (2 * (said & ~label).sum() + (~said & label).sum()) / len(rows),
        }
        assert {key: pytest.approx(found[key], abs=1e-9) for key in expected} == expected
        assert (found.row_count, found.positives, found.negatives) == (600, label.sum(), (~label).sum())
        assert found.entity_groups == rows.entity_group.nunique()


def test_every_model_is_measured_on_the_same_rows_and_labels(measured: Evaluation) -> None:
    prints = measured.table("metrics").groupby("split").rows_fingerprint.unique()
    assert [len(found) for found in prints] == [1, 1]
    assert prints["test"][0] != prints["validation"][0]


def test_another_label_gives_another_fingerprint(new_evaluation: NewEvaluation) -> None:
    found = []
    for labels in ([True, False, False], [True, False, True]):
        evaluation = new_evaluation()
        evaluation.measure(predicted("tree", labels, [0.9, 0.1, 0.2]))
        found.append(evaluation.metrics("tree").rows_fingerprint)
    assert found[0] != found[1]


def test_the_calibration_error_is_the_mean_gap_of_the_bins(evaluation: Evaluation) -> None:
    # Bin 2 (0.10 to 0.15): mean 0.12, none positive, gap 0.12. Bin 19: mean 0.98, both positive, gap 0.02.
    evaluation.measure(predicted("tree", [False, False, True, True], [0.11, 0.13, 0.97, 0.99]))
    assert evaluation.metrics("tree").expected_calibration_error == pytest.approx((2 * 0.12 + 2 * 0.02) / 4)


def test_a_probability_of_one_lies_in_the_last_bin(evaluation: Evaluation) -> None:
    evaluation.measure(predicted("tree", [True, False], [1.0, 0.0]))
    assert sorted(evaluation.table("bins").bin) == [0, 19]


def test_a_sure_mistake_costs_much_but_not_infinitely_much(evaluation: Evaluation) -> None:
    evaluation.measure(predicted("tree", [True, False], [0.0, 0.0]))
    # -ln(1e-15) = 34.54 for the one, 0 for the other.
    assert evaluation.metrics("tree").log_loss == pytest.approx(-np.log(1e-15) / 2)


def test_the_threshold_is_the_middle_of_the_best_plateau(new_evaluation: NewEvaluation) -> None:
    labels, scores = [True] * 3 + [False] * 3, [0.9, 0.8, 0.7, 0.3, 0.2, 0.1]
    exact = new_evaluation(threshold_plateau=0.0)
    exact.measure(predicted("tree", labels, scores))
    assert exact.metrics("tree").threshold == pytest.approx(0.5)  # between 0.7 and 0.3
    assert exact.metrics("tree").f1_score == 1.0


def test_levels_within_a_standard_error_of_the_best_are_just_as_good(new_evaluation: NewEvaluation) -> None:
    labels, scores = [True, True, False, True, False, False], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    # F1 at 0.85, 0.75, 0.65, 0.55, 0.45, 0.2: 2/4, 4/5, 4/6, 6/7, 6/8, 6/9. The error of 6/7 of three positives is
    # sqrt(6/7 * 1/7 / 3) = 0.202. Within half of it, from 0.756: 0.55 and 0.75. Within all of it, from 0.655: 0.2 to 0.75.
    found = []
    for errors in (0.0, 0.5, 1.0):
        evaluation = new_evaluation(threshold_plateau=errors)
        evaluation.measure(predicted("tree", labels, scores))
        found.append(evaluation.metrics("tree").threshold)
    assert found == pytest.approx([0.55, 0.75, 0.55])


def test_a_wanted_precision_is_reached_with_as_much_recall_as_can_be(new_evaluation: NewEvaluation) -> None:
    # From the top: 1/1, 2/2, 2/3, 3/4, 3/5, 4/6: precision 0.7 is reached with three positives at 0.6 at the best.
    labels, scores = [True, True, False, True, False, True], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    evaluation = new_evaluation(wanted_precision=0.7, threshold_plateau=0.0)
    evaluation.measure(predicted("tree", labels, scores))
    found = evaluation.metrics("tree")
    assert found.threshold == pytest.approx(0.55)
    assert (found.precision, found.recall) == (0.75, 0.75)


def test_a_precision_that_is_never_reached_leaves_no_threshold_and_no_figures_that_need_one(
    new_evaluation: NewEvaluation,
) -> None:
    evaluation = new_evaluation(wanted_precision=0.9)
    evaluation.measure(predicted("tree", [False, True], [0.9, 0.8]))
    found = evaluation.metrics("tree")
    assert found[["threshold", "precision", "recall", "f1_score", "accuracy", "cost"]].isna().all()
    assert found.average_precision == pytest.approx(0.5)


def test_a_rarer_positive_in_production_asks_for_a_higher_threshold(new_evaluation: NewEvaluation) -> None:
    labels, scores = [True, True, False, True, False, False], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    thresholds = []
    for rate in (0.0, 0.5, 0.05):
        evaluation = new_evaluation(expected_positive_rate=rate, threshold_plateau=0.0)
        evaluation.measure(predicted("tree", labels, scores))
        thresholds.append(evaluation.metrics("tree").threshold)
    # Half of the rows are positive, so 0.5 changes nothing: F1 is 2*3/(4+3) at 0.55. At 5 % each false positive counts
    # 19 times: 2*2/(2+3) at 0.75 is better than 2*3/(3+19+3).
    assert thresholds == pytest.approx([0.55, 0.55, 0.75])


def test_the_champion_keeps_the_threshold_that_it_serves_with(evaluation: Evaluation) -> None:
    both = pd.concat([predicted(name, [True, False], [0.9, 0.1]) for name in ("champion", "tree")])
    evaluation.measure(both, champion_threshold=0.95)
    assert evaluation.metrics("champion").threshold == 0.95
    assert evaluation.metrics("champion").recall == 0.0
    assert evaluation.metrics("tree").recall == 1.0


def test_the_test_split_chooses_nothing(new_evaluation: NewEvaluation) -> None:
    validation = predicted("tree", [True, False, True, False], [0.9, 0.7, 0.4, 0.1])
    thresholds = []
    for scores in ([0.9, 0.8, 0.2], [0.1, 0.2, 0.3]):
        evaluation = new_evaluation()
        evaluation.compare(pd.concat([validation, predicted("tree", [True, True, False], scores, split="test")]))
        thresholds.append(evaluation.metrics("tree").threshold)
        assert set(evaluation.table("bootstrap_counts").block) == {
            farm_fingerprint(f"validation{row}") for row in range(4)
        }
    assert thresholds[0] == thresholds[1]


def test_a_row_without_a_probability_is_counted_as_such(evaluation: Evaluation) -> None:
    evaluation.measure(predicted("tree", [True, False, True], [0.9, 0.1, None]))
    found = evaluation.metrics("tree")
    assert (found.row_count, found.unscored_rows, found.positives) == (3, 1, 2)
    assert found.log_loss == pytest.approx(-np.log(0.9))


def test_one_class_only_leaves_ranking_metrics_undefined(evaluation: Evaluation) -> None:
    evaluation.measure(predicted("tree", [False, False], [0.9, 0.1]))
    assert evaluation.metrics("tree")[["threshold", "average_precision", "roc_auc"]].isna().all()


def test_slices_are_measured_by_the_expressions_of_the_policy(evaluation: Evaluation) -> None:
    rows = predicted("champion", [True, True, True, False, True], [0.9, 0.1, 0.9, 0.2, 0.9])
    evaluation.put("validation_set", rows[KEYS].assign(language=["de", "de", "en", "en", None]))
    evaluation.measure(rows, champion_threshold=0.5)
    evaluation.build("slices")
    found = evaluation.table("slices").fillna({"value": "NULL"}).set_index(["slice", "value"])
    assert dict(found.recall) == {("language", "de"): 0.5, ("language", "en"): 1.0, ("language", "NULL"): 1.0}
    assert dict(found.row_count) == {("language", "de"): 2, ("language", "en"): 2, ("language", "NULL"): 1}


def test_the_bootstrap_equals_one_in_numpy_given_the_same_draws(measured: Evaluation, models: pd.DataFrame) -> None:
    rows = models[models.split == "validation"].assign(block=lambda frame: frame.entity_group.map(farm_fingerprint))
    blocks = np.sort(rows.block.unique())
    draws = twin.draws(blocks, REPLICATES)

    table = measured.table("bootstrap_weights").pivot_table(
        index="replicate", columns="block", values="weight", fill_value=0
    )
    assert (table.reindex(columns=blocks).to_numpy() == draws).all()

    replicates = measured.table("replicates").query("metric == 'average_precision'")
    expected = {
        str(name): twin.average_precisions(
            group.is_positive.to_numpy(dtype=bool),
            group.probability.to_numpy(dtype=float),
            np.searchsorted(blocks, group.block),
            draws,
        )
        for name, group in rows.groupby("name")
    }
    for name, values in expected.items():
        found = replicates[replicates.name == name].sort_values("replicate").value
        np.testing.assert_allclose(found, values, atol=1e-9, rtol=0)

    comparison = measured.table("comparison").query("metric == 'average_precision'").set_index("candidate")
    for candidate in ("tree", "linear"):
        row = comparison.loc[candidate]
        observed = measured.metrics(candidate).average_precision - measured.metrics("champion").average_precision
        low, high = twin.bounds(expected[candidate] - expected["champion"], observed, 0.975)
        assert (row.difference, row.lower, row.upper) == pytest.approx((observed, low, high), abs=1e-9)
        assert row.replicates == REPLICATES


def test_a_better_model_is_surely_better_and_an_equal_one_is_not(measured: Evaluation) -> None:
    comparison = measured.table("comparison").query("metric == 'average_precision'").set_index("candidate")
    assert comparison.lower["tree"] > 0
    assert comparison.lower["linear"] < 0 < comparison.upper["linear"]


def test_the_threshold_equals_the_one_chosen_in_numpy(measured: Evaluation, models: pd.DataFrame) -> None:
    for name in ("tree", "linear"):
        rows = models.query("split == 'validation' and name == @name")
        chosen = twin.best_threshold(rows.is_positive.to_numpy(dtype=bool), rows.probability.to_numpy(dtype=float), 1.0)
        assert measured.metrics(name).threshold == pytest.approx(chosen, abs=1e-9)


def test_the_error_rate_is_shared_among_the_candidates(measured: Evaluation) -> None:
    # Two candidates have half of the 5 % each.
    assert measured.table("comparison").confidence.unique() == pytest.approx([0.975])


def test_without_a_champion_there_is_nothing_to_compare_but_every_metric_has_its_interval(
    evaluation: Evaluation, models: pd.DataFrame
) -> None:
    evaluation.compare(models[models.name != "champion"], champion_threshold=Null("FLOAT64"))
    assert evaluation.table("comparison").empty
    intervals = evaluation.table("intervals").set_index(["name", "metric"])
    for name in ("tree", "linear"):
        interval = intervals.loc[(name, "f1_score")]
        assert interval.lower < evaluation.metrics(name).f1_score < interval.upper


def test_measuring_again_gives_the_same_bounds(new_evaluation: NewEvaluation) -> None:
    models = three_models(rows=150, groups=60)
    found = []
    for order in (1, -1):
        evaluation = new_evaluation()
        evaluation.compare(models.iloc[::order])
        table = evaluation.table("comparison").sort_values(["candidate", "metric"], ignore_index=True)
        found.append(table)
    pd.testing.assert_frame_equal(found[0], found[1], rtol=0, atol=1e-12)


def test_many_groups_are_gathered_into_blocks_and_the_interval_stays_about_as_wide(
    new_evaluation: NewEvaluation, measured: Evaluation, models: pd.DataFrame
) -> None:
    gathered = new_evaluation(bootstrap_blocks=60)
    gathered.compare(models)
    assert set(gathered.table("bootstrap_counts").block) <= set(range(60))
    widths = []
    for evaluation in (measured, gathered):
        comparison = evaluation.table("comparison").query("metric == 'f1_score'").set_index("candidate")
        widths.append(comparison.upper["tree"] - comparison.lower["tree"])
    assert widths[1] == pytest.approx(widths[0], rel=0.35)


def test_a_metric_that_most_replicates_leave_undefined_has_no_bounds(new_evaluation: NewEvaluation) -> None:
    # One positive in three groups: in about e**-1 = 37 % of the replicates it is not drawn.
    evaluation = new_evaluation()
    both = [predicted(name, [True, False, False], [0.9, 0.2, 0.1]) for name in ("champion", "tree")]
    evaluation.compare(pd.concat(both))
    comparison = evaluation.table("comparison").query("metric == 'recall'").iloc[0]
    assert comparison.difference == 0.0
    assert np.isnan(comparison.lower)
    assert comparison.replicates < 190


def test_draws_follow_the_poisson_distribution(new_evaluation: NewEvaluation) -> None:
    evaluation = new_evaluation()
    rows = 400
    evaluation.compare(predicted("tree", [row % 4 == 0 for row in range(rows)], [row / rows for row in range(rows)]))
    drawn = evaluation.table("bootstrap_weights").weight.value_counts() / (rows * REPLICATES)
    for weight, share in ((1, 0.36788), (2, 0.18394), (3, 0.06131), (4, 0.01533)):
        # Four standard deviations of a share among 80,000 draws.
        assert drawn[weight] == pytest.approx(share, abs=4 * (share / (rows * REPLICATES)) ** 0.5)

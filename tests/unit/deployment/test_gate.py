"""The gate promotes on evidence only, and says why."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployment.evidence import Comparison, Evidence, ModelEvidence, SliceEvidence
from deployment.gate import Decision, Verdict, decide
from deployment.gate_policy import Approval, GatePolicy, SlicePolicy

METRICS = {"average_precision": 0.80, "f1_score": 0.75, "precision": 0.8, "recall": 0.7, "log_loss": 0.3}
POLICY = GatePolicy(slices=None)


def model(name: str, *, metrics: dict[str, Any] | None = None, **changes: Any) -> ModelEvidence:
    given_rows: dict[str, Any] = {
        "threshold": 0.4,
        "row_count": 1000,
        "positives": 300,
        "negatives": 700,
        "entity_groups": 500,
        "rows_fingerprint": 77,
    }
    return ModelEvidence(name=name, **{**given_rows, **changes}, metrics={**METRICS, **(metrics or {})})


def compared(candidate: str, difference: float | None, lower: float | None, **changes: Any) -> Comparison:
    upper = None if difference is None or lower is None else 2 * difference - lower
    row: dict[str, Any] = {"metric": "average_precision", "confidence": 0.95, "replicates": 1000, "upper": upper}
    return Comparison(candidate=candidate, difference=difference, lower=lower, **{**row, **changes})


def against_champion(difference: float, lower: float, **changes: Any) -> Evidence:
    challenger = model("tree", metrics={"average_precision": METRICS["average_precision"] + difference})
    evidence: dict[str, Any] = {
        "candidates": (challenger,),
        "champion": model("champion"),
        "comparisons": (compared("tree", difference, lower),),
    }
    return Evidence(**{**evidence, **changes})


def failed_rules(decision: Decision) -> set[str]:
    return {finding.rule for finding in decision.findings if not finding.passed}


def test_a_candidate_that_is_surely_better_is_promoted_with_its_threshold() -> None:
    decision = decide(POLICY, against_champion(0.05, 0.01))
    assert (decision.verdict, decision.winner, decision.threshold) == (Verdict.PROMOTE, "tree", 0.4)
    assert decision.champion
    assert decision.reasons == (
        (
            "tree: average_precision 0.85 against 0.8 of the champion: better by +0.0500, by at least +0.0100 with "
            "confidence 0.95; more than the +0.0000 asked for"
        ),
    )


def test_a_better_value_that_may_be_luck_is_rejected() -> None:
    decision = decide(POLICY, against_champion(0.05, -0.01))
    assert decision.verdict is Verdict.REJECT
    assert (decision.winner, decision.threshold) == (None, None)
    assert "by at least -0.0100" in decision.reasons[0]


def test_a_tie_with_the_champion_is_rejected() -> None:
    assert decide(POLICY, against_champion(0.0, 0.0)).verdict is Verdict.REJECT


def test_the_bound_itself_has_to_exceed_the_minimum_improvement() -> None:
    policy = POLICY.model_copy(update={"minimum_improvement": 0.01})
    assert decide(policy, against_champion(0.05, 0.01)).verdict is Verdict.REJECT
    assert decide(policy, against_champion(0.05, 0.0101)).verdict is Verdict.PROMOTE


def test_a_negative_minimum_improvement_asks_only_that_nothing_is_lost() -> None:
    policy = POLICY.model_copy(update={"minimum_improvement": -0.02})
    assert decide(policy, against_champion(0.0, -0.01)).verdict is Verdict.PROMOTE


def test_a_metric_that_is_better_the_lower_it_is_counts_the_other_way_round() -> None:
    policy = POLICY.model_copy(update={"primary": "log_loss"})
    lower_loss = compared("tree", -0.1, -0.15, metric="log_loss")  # bounds -0.15 and -0.05
    higher_loss = compared("tree", 0.1, 0.05, metric="log_loss")
    assert decide(policy, against_champion(0, 0, comparisons=(lower_loss,))).verdict is Verdict.PROMOTE
    assert decide(policy, against_champion(0, 0, comparisons=(higher_loss,))).verdict is Verdict.REJECT


def test_among_candidates_that_pass_the_one_with_the_lowest_loss_wins_when_loss_is_primary() -> None:
    policy = POLICY.model_copy(update={"primary": "log_loss"})
    evidence = Evidence(candidates=(model("a", metrics={"log_loss": 0.4}), model("b", metrics={"log_loss": 0.2})))
    assert decide(policy, evidence).winner == "b"


def test_with_no_champion_floors_alone_decide() -> None:
    policy = POLICY.model_copy(update={"floors": {"f1_score": 0.75}})
    good = decide(policy, Evidence(candidates=(model("tree"),)))
    assert good.verdict is Verdict.PROMOTE
    assert not good.champion
    assert "tree: there is no champion yet, so floors alone decide" in good.reasons
    bad = decide(policy, Evidence(candidates=(model("tree", metrics={"f1_score": 0.7499}),)))
    assert bad.verdict is Verdict.REJECT
    assert bad.reasons == ("tree: f1_score 0.7499 is below the floor of 0.75",)


def test_a_floor_holds_for_a_candidate_that_beats_the_champion_too() -> None:
    policy = POLICY.model_copy(update={"floors": {"recall": 0.9}})
    assert failed_rules(decide(policy, against_champion(0.05, 0.01))) == {"floors.recall"}


@pytest.mark.parametrize(("loss", "verdict"), [(0.3, Verdict.PROMOTE), (0.3001, Verdict.REJECT)])
def test_a_ceiling_bounds_metrics_that_are_better_low(loss: float, verdict: Verdict) -> None:
    policy = POLICY.model_copy(update={"ceilings": {"log_loss": 0.3}})
    assert decide(policy, Evidence(candidates=(model("tree", metrics={"log_loss": loss}),))).verdict is verdict


@pytest.mark.parametrize("undefined", [None, math.nan, math.inf])
def test_an_undefined_metric_never_meets_a_floor(undefined: float | None) -> None:
    policy = POLICY.model_copy(update={"floors": {"precision": 0.1}, "ceilings": {"log_loss": 9.0}})
    candidate = model("tree", metrics={"precision": undefined, "log_loss": undefined})
    decision = decide(policy, Evidence(candidates=(candidate,)))
    assert failed_rules(decision) == {"floors.precision", "ceilings.log_loss"}
    assert "precision is undefined" in decision.reasons[0]


def test_a_candidate_without_its_primary_metric_is_rejected_even_when_nobody_serves() -> None:
    decision = decide(POLICY, Evidence(candidates=(model("tree", metrics={"average_precision": math.nan}),)))
    assert failed_rules(decision) == {"primary"}


@pytest.mark.parametrize(
    ("count", "least"), [("row_count", 200), ("positives", 30), ("negatives", 30), ("entity_groups", 30)]
)
def test_too_few_rows_of_a_kind_prove_nothing(count: str, least: int) -> None:
    one_short: dict[str, Any] = {count: least - 1}
    enough: dict[str, Any] = {count: least}
    too_few = decide(POLICY, Evidence(candidates=(model("tree", **one_short),)))
    assert too_few.verdict is Verdict.REJECT
    assert f"{least - 1} " in too_few.reasons[0]
    assert str(least) in too_few.reasons[0]
    assert decide(POLICY, Evidence(candidates=(model("tree", **enough),))).verdict is Verdict.PROMOTE


def test_three_positives_are_too_few_even_to_beat_a_champion() -> None:
    tree = model("tree", positives=3)
    evidence = against_champion(0.2, 0.1, candidates=(tree,), champion=model("champion", positives=3))
    decision = decide(POLICY, evidence)
    assert decision.verdict is Verdict.REJECT
    assert decision.reasons == ("tree: 3 positives to judge by, the policy asks for 30",)


@pytest.mark.parametrize("threshold", [None, math.nan, -0.1, 1.1])
def test_a_candidate_without_a_usable_threshold_is_rejected(threshold: float | None) -> None:
    assert failed_rules(decide(POLICY, Evidence(candidates=(model("tree", threshold=threshold),)))) == {"threshold"}


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_ends_of_the_threshold_range_are_usable(threshold: float) -> None:
    assert decide(POLICY, Evidence(candidates=(model("tree", threshold=threshold),))).threshold == threshold


def test_rows_that_the_candidate_did_not_score_reject_it() -> None:
    decision = decide(POLICY, Evidence(candidates=(model("tree", unscored_rows=1),)))
    assert decision.reasons == ("tree: 1 of 1000 rows got no answer",)


def test_a_champion_without_predictions_on_some_rows_cannot_be_beaten_on_the_rest() -> None:
    decision = decide(POLICY, against_champion(0.05, 0.01, champion=model("champion", unscored_rows=4)))
    assert decision.verdict is Verdict.REJECT
    assert "the champion has no answer for 4 of 1000 rows" in decision.reasons[0]


@pytest.mark.parametrize("changes", [{"rows_fingerprint": 78}, {"row_count": 999}])
def test_other_rows_or_labels_than_the_champion_was_measured_on_reject(changes: dict[str, Any]) -> None:
    decision = decide(POLICY, against_champion(0.05, 0.01, champion=model("champion", **changes)))
    assert failed_rules(decision) == {"same_rows"}


def test_a_missing_comparison_is_not_taken_for_a_win() -> None:
    decision = decide(POLICY, against_champion(0.05, 0.01, comparisons=()))
    assert decision.reasons == ("tree: 0 comparisons with the champion in average_precision; there must be one",)


def test_a_comparison_in_another_metric_or_of_another_candidate_does_not_count() -> None:
    others = (compared("tree", 0.1, 0.05, metric="recall"), compared("linear", 0.1, 0.05))
    assert failed_rules(decide(POLICY, against_champion(0.05, 0.01, comparisons=others))) == {"improvement"}


@pytest.mark.parametrize("field", ["difference", "lower", "upper"])
def test_an_undefined_comparison_is_not_taken_for_a_win(field: str) -> None:
    undefined = compared("tree", 0.1, 0.05).model_copy(update={field: None})
    decision = decide(POLICY, against_champion(0.05, 0.01, comparisons=(undefined,)))
    assert "cannot be compared" in decision.reasons[0]


def test_two_candidates_need_bounds_that_share_the_error_rate() -> None:
    both = (model("linear"), model("tree"))
    alone = against_champion(0.05, 0.01, candidates=both, comparisons=tuple(compared(m.name, 0.05, 0.01) for m in both))
    decision = decide(POLICY, alone)
    assert decision.verdict is Verdict.REJECT
    assert "0.95 over 2 candidates takes 0.975" in decision.reasons[0]
    # 1 - (1 - 0.95) / 2 = 0.975
    shared = tuple(compared(m.name, 0.05, 0.01, confidence=0.975) for m in both)
    assert decide(POLICY, alone.model_copy(update={"comparisons": shared})).verdict is Verdict.PROMOTE


def test_a_tolerance_bounds_what_a_better_primary_metric_may_cost() -> None:
    policy = POLICY.model_copy(update={"tolerances": {"f1_score": 0.05, "log_loss": 0.1}})

    def decided(**metrics: float) -> Decision:
        return decide(policy, against_champion(0.05, 0.01, candidates=(model("tree", metrics=metrics),)))

    assert decided(f1_score=0.70, log_loss=0.4).verdict is Verdict.PROMOTE  # a loss of exactly the tolerance
    assert failed_rules(decided(f1_score=0.699)) == {"tolerances.f1_score"}
    assert failed_rules(decided(log_loss=0.401)) == {"tolerances.log_loss"}
    assert failed_rules(decided(f1_score=math.nan)) == {"tolerances.f1_score"}


def test_what_the_champion_does_not_have_cannot_be_lost() -> None:
    policy = POLICY.model_copy(update={"tolerances": {"precision": 0.0}})
    champion = model("champion", metrics={"precision": math.nan})
    assert decide(policy, against_champion(0.05, 0.01, champion=champion)).verdict is Verdict.PROMOTE


def sliced(name: str, f1_score: float | None, *, value: str | None = "de", **changes: Any) -> SliceEvidence:
    row: dict[str, Any] = {"slice": "language", "row_count": 100, "positives": 25}
    return SliceEvidence(name=name, value=value, metrics={"f1_score": f1_score}, **{**row, **changes})


def test_one_collapsing_slice_stops_a_candidate_that_is_better_overall() -> None:
    slices = (
        sliced("champion", 0.8),
        sliced("tree", 0.3),
        sliced("champion", 0.7, value=None),
        sliced("tree", 0.7, value=None),
    )
    decision = decide(GatePolicy(), against_champion(0.05, 0.01, slices=slices))
    assert failed_rules(decision) == {"slices.language = de"}
    assert decision.reasons == (
        "tree: f1_score where language = de 0.3 against 0.8 of the champion: beyond the tolerated loss of 0.05 (100 rows)",
    )


@pytest.mark.parametrize("small", [{"row_count": 99}, {"positives": 24}])
def test_a_slice_with_too_few_rows_says_nothing(small: dict[str, Any]) -> None:
    slices = (sliced("champion", 0.8, **small), sliced("tree", 0.3, **small))
    assert decide(GatePolicy(), against_champion(0.05, 0.01, slices=slices)).verdict is Verdict.PROMOTE


def test_a_slice_that_the_candidate_has_no_figures_for_counts_as_collapsed() -> None:
    decision = decide(GatePolicy(), against_champion(0.05, 0.01, slices=(sliced("champion", 0.8),)))
    assert failed_rules(decision) == {"slices.language = de"}


def test_a_slice_policy_may_look_at_another_metric() -> None:
    policy = GatePolicy(slices=SlicePolicy(metric="log_loss", tolerance=0.1))
    slices = tuple(
        SliceEvidence(name=name, slice="s", value="x", row_count=500, positives=99, metrics={"log_loss": loss})
        for name, loss in (("champion", 0.2), ("tree", 0.31))
    )
    assert decide(policy, against_champion(0.05, 0.01, slices=slices)).verdict is Verdict.REJECT


def test_the_best_of_those_that_pass_wins_and_the_others_are_told_why() -> None:
    policy = POLICY.model_copy(update={"floors": {"recall": 0.5}})
    evidence = Evidence(
        candidates=(
            model("linear", metrics={"average_precision": 0.81}),
            model("tree", metrics={"average_precision": 0.85}),
            model("broken", metrics={"average_precision": 0.99, "recall": 0.1}),
        )
    )
    decision = decide(policy, evidence)
    assert decision.winner == "tree"
    assert "linear: passed too, but its average_precision of 0.81 does not beat 0.85 of tree" in decision.reasons
    assert "broken: recall 0.1 is below the floor of 0.5" in decision.reasons
    assert not any(reason.startswith("linear: recall") for reason in decision.reasons)


def test_of_equal_candidates_the_one_named_first_wins() -> None:
    assert decide(POLICY, Evidence(candidates=(model("linear"), model("tree")))).winner == "linear"
    assert decide(POLICY, Evidence(candidates=(model("tree"), model("linear")))).winner == "tree"


@pytest.mark.parametrize(
    ("approval", "first", "later"),
    [
        (Approval.AUTOMATIC, Verdict.PROMOTE, Verdict.PROMOTE),
        (Approval.FIRST, Verdict.HOLD, Verdict.PROMOTE),
        (Approval.MANUAL, Verdict.HOLD, Verdict.HOLD),
    ],
)
def test_approval_holds_what_passed(approval: Approval, first: Verdict, later: Verdict) -> None:
    policy = POLICY.model_copy(update={"approval": approval})
    without_champion = decide(policy, Evidence(candidates=(model("tree"),)))
    assert without_champion.verdict is first
    assert (without_champion.winner, without_champion.threshold) == ("tree", 0.4)
    assert any("approve" in reason for reason in without_champion.reasons) is (first is Verdict.HOLD)
    assert decide(policy, against_champion(0.05, 0.01)).verdict is later


def test_approval_does_not_hold_what_failed() -> None:
    policy = POLICY.model_copy(update={"approval": Approval.MANUAL})
    assert decide(policy, against_champion(0.05, -0.01)).verdict is Verdict.REJECT


def test_a_run_without_candidates_is_rejected_with_a_reason() -> None:
    decision = decide(POLICY, Evidence(candidates=()))
    assert decision.verdict is Verdict.REJECT
    assert "no candidate was trained" in decision.reasons[0]


def test_a_regression_needs_neither_positives_nor_a_threshold() -> None:
    price = model("price", positives=None, negatives=None, threshold=None, metrics={"r2_score": 0.7})
    assert (
        decide(POLICY.model_copy(update={"primary": "r2_score"}), Evidence(candidates=(price,))).verdict
        is Verdict.PROMOTE
    )


@pytest.mark.parametrize(
    ("policy", "key", "says"),
    [
        ({"primary": "f1"}, "primary", "unknown metric 'f1'"),
        ({"floors": {"log_loss": 0.1}}, "floors.log_loss", "put it under ceilings"),
        ({"ceilings": {"recall": 0.1}}, "ceilings.recall", "put it under floors"),
        ({"floors": {"recall": math.nan}}, "floors.recall", "finite"),
        ({"tolerances": {"recall": -0.1}}, "tolerances.recall", "greater than or equal to 0"),
        ({"confidence": 0.4}, "confidence", "greater than 0.5"),
        ({"minimum_positives": 0}, "minimum_positives", "greater than or equal to 1"),
        ({"approval": "sometimes"}, "approval", "automatic"),
        ({"slices": {"tolerence": 0.1}}, "slices.tolerence", "Extra inputs"),
        ({"margin": 0.1}, "margin", "Extra inputs"),
    ],
)
def test_a_mistake_in_the_policy_names_its_key(policy: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        GatePolicy.model_validate(policy)
    error = raised.value.errors()[0]
    assert ".".join(str(part) for part in error["loc"]).removesuffix(".[key]") == key
    assert says in error["msg"]


def test_evidence_is_read_from_rows_of_the_tables() -> None:
    row = {
        "name": "tree",
        "threshold": 0.3,
        "row_count": 10,
        "unscored_rows": 0,
        "positives": 4,
        "negatives": 6,
        "entity_groups": 5,
        "rows_fingerprint": -9,
        "f1_score": 0.5,
        "precision": math.nan,
    }
    evidence = Evidence.of_tables(
        metrics=[{**row, "name": "champion"}, row],
        comparisons=[compared("tree", 0.1, 0.0).model_dump()],
        slices=[{"name": "tree", "slice": "source", "value": "a", "row_count": 3, "positives": 1, "f1_score": None}],
        candidates=["tree"],
    )
    assert evidence.candidates[0].metrics == {"f1_score": 0.5, "precision": None}
    assert evidence.champion is not None
    assert evidence.slices[0].metrics == {"f1_score": None}


def test_a_model_without_a_row_in_the_metrics_table_is_named() -> None:
    with pytest.raises(LookupError, match="no row for tree, champion; it has linear"):
        Evidence.of_tables(
            metrics=[{"name": "linear"}], comparisons=[], slices=[], candidates=["linear", "tree"], champion="champion"
        )


metric_value = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@given(
    difference=metric_value,
    lower=metric_value,
    value=metric_value,
    floor=st.floats(0, 1),
    threshold=metric_value,
    positives=st.integers(0, 100),
    has_champion=st.booleans(),
)
def test_whatever_is_measured_a_promotion_always_has_floors_a_threshold_and_a_sure_improvement(
    difference: float | None,
    lower: float | None,
    value: float | None,
    floor: float,
    threshold: float | None,
    positives: int,
    has_champion: bool,
) -> None:
    policy = POLICY.model_copy(update={"floors": {"average_precision": floor}})
    evidence = Evidence(
        candidates=(model("tree", threshold=threshold, positives=positives, metrics={"average_precision": value}),),
        champion=model("champion") if has_champion else None,
        comparisons=(compared("tree", difference, lower),),
    )
    decision = decide(policy, evidence)
    assert decision.reasons
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    if decision.verdict is Verdict.PROMOTE:
        assert value is not None
        assert value >= floor
        assert decision.threshold is not None
        assert 0 <= decision.threshold <= 1
        assert positives >= policy.minimum_positives
        assert not has_champion or (lower is not None and lower > 0)

"""The gate: may a candidate replace the champion?

Pure functions from policy and evidence to a decision with reasons. Nothing here reads a table, a clock or a file, so
that a decision can be made again from what the ledger recorded of it. The policy is the section `gate:` of `model.yml`.

A candidate passes when every rule holds; the best of those that pass wins. The first model has no champion to beat, and
floors alone decide. What cannot be measured (a metric that is undefined, too few rows) never counts as good.
"""

from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from deployment.evidence import Evidence, ModelEvidence, SliceEvidence, improvement
from deployment.gate_policy import Approval, GatePolicy, SlicePolicy

# Differences of decimal fractions: 0.90 - 0.85 is a little more than 0.05 in binary.
_ROUNDING = 1e-9


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(StrEnum):
    """What becomes of the run's candidates."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"


class Finding(_Frozen):
    """One rule applied to one candidate."""

    candidate: str
    rule: str
    passed: bool
    reason: str


class Decision(_Frozen):
    """The verdict, and everything a person needs to follow it.

    `winner` and `threshold` are set for PROMOTE and HOLD; `champion` tells whether there was one to beat.
    """

    verdict: Verdict
    winner: str | None = None
    threshold: float | None = None
    champion: bool
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]


def decide(policy: GatePolicy, evidence: Evidence) -> Decision:
    """Apply the policy to the evidence.

    >>> model = {"row_count": 900, "positives": 300, "negatives": 600, "entity_groups": 400, "rows_fingerprint": 1}
    >>> tree = ModelEvidence(name="tree", threshold=0.4, metrics={"average_precision": 0.9}, **model)
    >>> decide(GatePolicy(floors={"average_precision": 0.8}), Evidence(candidates=(tree,))).verdict
    <Verdict.PROMOTE: 'PROMOTE'>
    """
    findings = tuple(finding for candidate in evidence.candidates for finding in _findings(policy, evidence, candidate))
    failed = {finding.candidate for finding in findings if not finding.passed}
    passed = [candidate for candidate in evidence.candidates if candidate.name not in failed]
    has_champion = evidence.champion is not None
    if not passed:
        reasons = tuple(finding.reason for finding in findings if not finding.passed)
        return Decision(
            verdict=Verdict.REJECT,
            champion=has_champion,
            reasons=reasons or ("no candidate was trained, so there is nothing to promote",),
            findings=findings,
        )
    # max() keeps the first of equals: the order of model.yml breaks ties.
    winner = max(passed, key=lambda candidate: improvement(policy.primary, candidate.metrics[policy.primary] or 0.0))
    held = policy.approval is Approval.MANUAL or (policy.approval is Approval.FIRST and not has_champion)
    return Decision(
        verdict=Verdict.HOLD if held else Verdict.PROMOTE,
        winner=winner.name,
        threshold=winner.threshold,
        champion=has_champion,
        reasons=(
            *(finding.reason for finding in findings if finding.candidate == winner.name),
            *_why_others_lost(policy.primary, winner, evidence, findings),
            *(("the policy asks for a person's approval: `bqloop approve` or `bqloop reject`",) if held else ()),
        ),
        findings=findings,
    )


def _why_others_lost(
    primary: str, winner: ModelEvidence, evidence: Evidence, findings: tuple[Finding, ...]
) -> Iterator[str]:
    for candidate in evidence.candidates:
        if candidate.name == winner.name:
            continue
        failures = [
            finding.reason for finding in findings if finding.candidate == candidate.name and not finding.passed
        ]
        also_passed = (
            f"{candidate.name}: passed too, but its {primary} of {_show(candidate.metrics.get(primary))} "
            f"does not beat {_show(winner.metrics.get(primary))} of {winner.name}"
        )
        yield from failures or [also_passed]


def _findings(policy: GatePolicy, evidence: Evidence, candidate: ModelEvidence) -> Iterator[Finding]:
    def finding(rule: str, passed: bool, reason: str) -> Finding:
        return Finding(candidate=candidate.name, rule=rule, passed=passed, reason=f"{candidate.name}: {reason}")

    for rule, passed, reason in _rows(policy, candidate):
        yield finding(rule, passed, reason)
    for rule, passed, reason in _absolute(policy, candidate):
        yield finding(rule, passed, reason)
    champion = evidence.champion
    if champion is None:
        yield finding("champion", True, "there is no champion yet, so floors alone decide")
        return
    unsound = _why_not_comparable(candidate, champion)
    if unsound:
        yield finding("same_rows", False, unsound)
        return
    for rule, passed, reason in _against_champion(policy, evidence, candidate, champion):
        yield finding(rule, passed, reason)


def _rows(policy: GatePolicy, candidate: ModelEvidence) -> Iterator[tuple[str, bool, str]]:
    for what, count, minimum in (
        ("rows", candidate.row_count, policy.minimum_rows),
        ("positives", candidate.positives, policy.minimum_positives),
        ("negatives", candidate.negatives, policy.minimum_negatives),
        ("entity_groups", candidate.entity_groups, policy.minimum_entity_groups),
    ):
        # A regression has no positives and no threshold.
        if count is not None and count < minimum:
            reason = f"{count} {what.replace('_', ' ')} to judge by, the policy asks for {minimum}"
            yield f"minimum_{what}", False, reason
    if candidate.unscored_rows:
        yield "scored", False, f"{candidate.unscored_rows} of {candidate.row_count} rows got no answer"
    threshold = candidate.threshold
    if candidate.positives is not None and (threshold is None or not 0 <= threshold <= 1):
        yield "threshold", False, f"no decision threshold could be chosen (got {_show(threshold)})"


def _absolute(policy: GatePolicy, candidate: ModelEvidence) -> Iterator[tuple[str, bool, str]]:
    if candidate.metrics.get(policy.primary) is None:
        yield "primary", False, f"{policy.primary} is undefined on these rows, so there is nothing to rank it by"
    for metric, floor in policy.floors.items():
        value = candidate.metrics.get(metric)
        passed = value is not None and value >= floor
        how = "at or above the floor" if passed else "below the floor"
        yield f"floors.{metric}", passed, _against_limit(metric, value, how, floor)
    for metric, ceiling in policy.ceilings.items():
        value = candidate.metrics.get(metric)
        passed = value is not None and value <= ceiling
        how = "within the ceiling" if passed else "above the ceiling"
        yield f"ceilings.{metric}", passed, _against_limit(metric, value, how, ceiling)


def _against_limit(metric: str, value: float | None, how: str, limit: float) -> str:
    if value is None:
        return f"{metric} is undefined on these rows, so it cannot be held against {_show(limit)}"
    return f"{metric} {_show(value)} is {how} of {_show(limit)}"


def _why_not_comparable(candidate: ModelEvidence, champion: ModelEvidence) -> str | None:
    if champion.unscored_rows:
        return (
            f"the champion has no answer for {champion.unscored_rows} of {champion.row_count} rows, "
            "so the two cannot be compared on the same rows"
        )
    if (candidate.row_count, candidate.rows_fingerprint) != (champion.row_count, champion.rows_fingerprint):
        return (
            f"measured on other rows or labels than the champion ({candidate.row_count} and {champion.row_count} rows, "
            "different fingerprints or counts), which proves nothing"
        )
    return None


def _against_champion(
    policy: GatePolicy, evidence: Evidence, candidate: ModelEvidence, champion: ModelEvidence
) -> Iterator[tuple[str, bool, str]]:
    yield _primary(policy, evidence, candidate, champion)
    for metric, tolerance in policy.tolerances.items():
        yield f"tolerances.{metric}", *_tolerable(metric, tolerance, candidate.metrics, champion.metrics)
    if policy.slices is not None:
        yield from _slices(policy.slices, evidence, candidate)


def _primary(
    policy: GatePolicy, evidence: Evidence, candidate: ModelEvidence, champion: ModelEvidence
) -> tuple[str, bool, str]:
    metric = policy.primary
    found = [row for row in evidence.comparisons if (row.candidate, row.metric) == (candidate.name, metric)]
    if len(found) != 1:
        return "improvement", False, f"{len(found)} comparisons with the champion in {metric}; there must be one"
    comparison = found[0]
    if comparison.difference is None or comparison.lower is None or comparison.upper is None:
        return "improvement", False, f"{metric} is undefined on these rows, so it cannot be compared with the champion"
    # A bound that is right 19 times in 20 for each of five candidates is wrong far more often for one of them.
    wanted = 1 - (1 - policy.confidence) / len(evidence.candidates)
    if comparison.confidence < wanted - _ROUNDING:
        reason = (
            f"the bounds were computed at confidence {comparison.confidence:.4g}; {policy.confidence:g} over "
            f"{len(evidence.candidates)} candidates takes {wanted:.4g}"
        )
        return "improvement", False, reason
    gain = improvement(metric, comparison.difference)
    surely = min(improvement(metric, comparison.lower), improvement(metric, comparison.upper))
    passed = surely > policy.minimum_improvement
    reason = (
        f"{metric} {_show(candidate.metrics.get(metric))} against {_show(champion.metrics.get(metric))} of the "
        f"champion: better by {gain:+.4f}, by at least {surely:+.4f} with confidence {policy.confidence:g}; "
        f"{'more' if passed else 'not more'} than the {policy.minimum_improvement:+.4f} asked for"
    )
    return "improvement", passed, reason


def _slices(policy: SlicePolicy, evidence: Evidence, candidate: ModelEvidence) -> Iterator[tuple[str, bool, str]]:
    def of(name: str) -> dict[tuple[str, str | None], SliceEvidence]:
        return {(row.slice, row.value): row for row in evidence.slices if row.name == name}

    champion_slices = of(evidence.champion.name) if evidence.champion else {}
    mine = of(candidate.name)
    for (name, value), theirs in champion_slices.items():
        few_positives = theirs.positives is not None and theirs.positives < policy.minimum_positives
        if theirs.row_count < policy.minimum_rows or few_positives:
            continue
        where = f"{name} = {value if value is not None else 'NULL'}"
        own = mine.get((name, value))
        passed, reason = _tolerable(
            policy.metric, policy.tolerance, own.metrics if own else {}, theirs.metrics, f" where {where}"
        )
        yield f"slices.{where}", passed, f"{reason} ({theirs.row_count} rows)"


def _tolerable(
    metric: str,
    tolerance: float,
    candidate: dict[str, float | None],
    champion: dict[str, float | None],
    where: str = "",
) -> tuple[bool, str]:
    mine, theirs = candidate.get(metric), champion.get(metric)
    if theirs is None:
        return True, f"{metric}{where} is undefined for the champion, so nothing can be lost there"
    if mine is None:
        return False, f"{metric}{where} is undefined, the champion's is {_show(theirs)}"
    loss = -improvement(metric, mine - theirs)
    passed = loss <= tolerance + _ROUNDING
    return passed, (
        f"{metric}{where} {_show(mine)} against {_show(theirs)} of the champion: "
        f"{'within' if passed else 'beyond'} the tolerated loss of {_show(tolerance)}"
    )


def _show(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"

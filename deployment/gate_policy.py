"""What `model.yml` says under `gate:`: the rules that a candidate has to meet, as data.

Policy only; `deployment.gate` applies it. Errors name the key, because pydantic reports the path to each value.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from deployment.evidence import HIGHER_IS_BETTER, LOWER_IS_BETTER, METRICS, WITHOUT_BOUNDS
from etl.errors import ConfigurationError
from etl.model_policy import ModelPolicy


def _known(metric: str, metrics: frozenset[str]) -> str:
    if metric in metrics:
        return metric
    if metric in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        better = "higher" if metric in HIGHER_IS_BETTER else "lower"
        raise ValueError(
            f"{metric} is better the {better} it is; put it under {'floors' if better == 'higher' else 'ceilings'}"
        )
    raise ValueError(f"unknown metric {metric!r}; known are {', '.join(sorted(metrics))}")


Metric = Annotated[str, AfterValidator(lambda metric: _known(metric, HIGHER_IS_BETTER | LOWER_IS_BETTER))]
FloorMetric = Annotated[str, AfterValidator(lambda metric: _known(metric, HIGHER_IS_BETTER))]
CeilingMetric = Annotated[str, AfterValidator(lambda metric: _known(metric, LOWER_IS_BETTER))]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SlicePolicy(_Policy):
    """No slice with enough rows may fall by more than `tolerance` in `metric`."""

    metric: Metric = "f1_score"
    tolerance: Tolerance = 0.05
    minimum_rows: int = Field(100, ge=1)
    minimum_positives: int = Field(25, ge=0)


class Approval(StrEnum):
    """Who has the last word on a candidate that passed."""

    AUTOMATIC = "automatic"
    FIRST = "first"  # a person approves the first champion, later ones promote themselves
    MANUAL = "manual"


class GatePolicy(_Policy):
    """The section `gate:` of `model.yml`.

    Attributes:
        primary: the metric in which a candidate has to beat the champion, and by which candidates are ranked.
        minimum_improvement: by how much, at the lower confidence bound. Negative: not worse than that.
        confidence: one-sided probability with which the improvement must hold, over all candidates together.
        floors: metric to the least value that is good enough, champion or not.
        ceilings: the same for metrics that are better the lower they are.
        tolerances: metric to the greatest loss against the champion that a better primary metric may cost.
        slices: how far a part of the rows may fall; None to leave slices out of the decision.
        minimum_rows: validation rows below which nothing is promoted; so for positives, negatives, groups.
        approval: automatic, first or manual.
    """

    primary: Metric = "average_precision"
    minimum_improvement: Finite = 0.0
    confidence: float = Field(0.95, gt=0.5, lt=1)
    floors: dict[FloorMetric, Finite] = {}
    ceilings: dict[CeilingMetric, Finite] = {}
    tolerances: dict[Metric, Tolerance] = {}
    slices: SlicePolicy | None = SlicePolicy()
    minimum_rows: int = Field(200, ge=1)
    minimum_positives: int = Field(30, ge=1)
    minimum_negatives: int = Field(30, ge=1)
    minimum_entity_groups: int = Field(30, ge=1)
    approval: Approval = Approval.AUTOMATIC


def gate_policy_of(policy: ModelPolicy) -> GatePolicy:
    """The section `gate:` of a model's policy.

    Raises:
        ConfigurationError: It is wrong, or names a metric that a model of this kind does not have; the text names the key.
    """
    slices = policy.gate.get("slices", {})
    given = {**_DEFAULTS[policy.task], **policy.gate}
    if isinstance(slices, dict):  # null leaves slices out of the decision
        given["slices"] = {**_SLICE_DEFAULTS[policy.task], **slices}
    try:
        gate = GatePolicy.model_validate(given)
    except ValidationError as error:
        lines = [f"  gate.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"sql/{policy.model}/model.yml is wrong:\n" + "\n".join(lines)) from error
    lines = list(_out_of_place(gate, policy.task))
    if lines:
        raise ConfigurationError(f"sql/{policy.model}/model.yml is wrong:\n" + "\n".join(lines))
    return gate


_DEFAULTS = {"classification": {}, "regression": {"primary": "mean_absolute_error"}}
_SLICE_DEFAULTS: dict[str, dict[str, object]] = {
    "classification": {},
    "regression": {"metric": "r2_score", "tolerance": 0.1},
}


def _out_of_place(gate: GatePolicy, task: str) -> Iterator[str]:
    """What names a metric of another kind of model, or one that cannot be what it is named for."""
    named = {"primary": [gate.primary], "floors": gate.floors, "ceilings": gate.ceilings, "tolerances": gate.tolerances}
    if gate.slices:
        named["slices.metric"] = [gate.slices.metric]
    for key, metrics in named.items():
        for metric in metrics:
            if metric not in METRICS[task]:
                yield f"  gate.{key}: a {task} has no {metric}; it has {', '.join(sorted(METRICS[task]))}"
    if gate.primary in WITHOUT_BOUNDS:
        yield f"  gate.primary: {gate.primary} is compared without bounds, so no promotion can rest on it"

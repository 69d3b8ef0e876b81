"""What the gate looks at: how champion and candidates did on the same rows.

SQL in `evaluate/` measures everything; this module only gives its result tables names and types. No metric is computed
here, and nothing here decides: `deployment.gate` does.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

# By kind of label, as sql/kinds/<task>/evaluate/metrics.sql gives them.
_HIGHER: Mapping[str, frozenset[str]] = {
    "classification": frozenset({"precision", "recall", "f1_score", "accuracy", "average_precision", "roc_auc"}),
    "regression": frozenset({"r2_score", "explained_variance"}),
}
_LOWER: Mapping[str, frozenset[str]] = {
    "classification": frozenset({"log_loss", "expected_calibration_error", "cost"}),
    "regression": frozenset(
        {
            "mean_absolute_error",
            "mean_squared_error",
            "mean_squared_log_error",
            "median_absolute_error",
            "root_mean_squared_error",
        }
    ),
}
HIGHER_IS_BETTER = frozenset().union(*_HIGHER.values())
LOWER_IS_BETTER = frozenset().union(*_LOWER.values())
METRICS = {task: _HIGHER[task] | _LOWER[task] for task in _HIGHER}
# Those that the bootstrap does not compute again, so that no bound is known of their difference.
WITHOUT_BOUNDS = frozenset({"expected_calibration_error", "mean_squared_log_error", "median_absolute_error"})


def improvement(metric: str, difference: float) -> float:
    """The difference, candidate minus champion, turned so that more is better."""
    return -difference if metric in LOWER_IS_BETTER else difference


def _defined(value: object) -> object:
    """NaN and infinity mean what NULL means: the metric is undefined on these rows."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Measured = Annotated[float | None, BeforeValidator(_defined)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Measurements(_Frozen):
    metrics: dict[str, Measured]

    @model_validator(mode="before")
    @classmethod
    def _gather_metrics(cls, data: Any) -> Any:
        """A row of a table has a column a metric; all columns that are no field of ours are metrics."""
        if not isinstance(data, Mapping) or "metrics" in data:
            return data
        fields = {key: value for key, value in data.items() if key in cls.model_fields}
        return {**fields, "metrics": {key: value for key, value in data.items() if key not in cls.model_fields}}


class ModelEvidence(_Measurements):
    """One model over all rows of the validation set.

    `rows_fingerprint` is a hash of the keys and labels that were scored: two models with the same one were measured on
    the same rows. Positives, negatives and threshold are None for a regression. A metric that is undefined (precision when nothing is predicted positive) is None.
    """

    name: str
    threshold: Measured = None
    row_count: int
    unscored_rows: int = 0
    positives: int | None = None
    negatives: int | None = None
    entity_groups: int
    rows_fingerprint: int


class SliceEvidence(_Measurements):
    """One model over one part of the rows: those where the slice's column has that value."""

    name: str
    slice: str
    value: str | None
    row_count: int
    positives: int | None = None


class Comparison(_Frozen):
    """One candidate against the champion in one metric: candidate minus champion, with bounds of a paired bootstrap.

    `lower` holds with the one-sided probability `confidence`, and so does `upper`; both are shared among the candidates
    (Bonferroni), so `confidence` is that of each single comparison.
    """

    candidate: str
    metric: str
    difference: Measured
    lower: Measured
    upper: Measured
    confidence: float
    replicates: int


class Evidence(_Frozen):
    """All that was measured in a run, candidates in the order in which `model.yml` names them."""

    candidates: tuple[ModelEvidence, ...]
    champion: ModelEvidence | None = None
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[SliceEvidence, ...] = ()

    @classmethod
    def of_tables(
        cls,
        *,
        metrics: Iterable[Mapping[str, Any]],
        comparisons: Iterable[Mapping[str, Any]],
        slices: Iterable[Mapping[str, Any]],
        candidates: Iterable[str],
        champion: str | None = "champion",
    ) -> Self:
        """Evidence from the rows of a run's tables `metrics`, `comparison` and `slices`.

        Args:
            metrics: one row a model.
            comparisons: one row a candidate and metric.
            slices: one row a model, slice and value.
            candidates: their names, in the order that breaks ties.
            champion: the name under which the champion was scored; None when there is none yet.

        Raises:
            LookupError: a candidate or the champion has no row in `metrics`.
        """
        by_name = {row["name"]: row for row in metrics}
        names = list(candidates)
        missing = [name for name in [*names, *([champion] if champion else [])] if name not in by_name]
        if missing:
            raise LookupError(
                f"The metrics table has no row for {', '.join(missing)}; it has {', '.join(sorted(by_name)) or 'none'}. "
                "Were all models scored, and is the validation set empty?"
            )
        return cls(
            candidates=tuple(ModelEvidence.model_validate(dict(by_name[name])) for name in names),
            champion=ModelEvidence.model_validate(dict(by_name[champion])) if champion else None,
            comparisons=tuple(Comparison.model_validate(dict(row)) for row in comparisons),
            slices=tuple(SliceEvidence.model_validate(dict(row)) for row in slices),
        )

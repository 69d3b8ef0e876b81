"""The OPTIONS list of CREATE MODEL: validated by name, type, bounds and against one another before anything trains.

What options exist stands in ``option_tables``, how one is checked in ``option_values``, and how they go together in
``option_rules``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BqmlError
from .hyperparameters import HparamCandidates, HparamRange
from .option_rules import check_together
from .option_tables import (
    CLASSIFIERS,
    DEFAULT_SEARCH,
    LINEAR,
    OBJECTIVES,
    SUPERVISED,
    TABLES,
)
from .option_values import checked_value


@dataclass(frozen=True)
class ModelSpec:
    """A validated OPTIONS list: ``options`` holds what was said; ``value(name)`` adds the documented default."""

    model_type: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ModelSpec:
        """Validate raw options (``model_type`` among them; names in any case, Python or Hparam values).

        Raises BqmlError(invalidQuery) that names the option.
        """
        given = {name.lower(): value for name, value in options.items()}
        model_type = given.pop("model_type", None)
        if model_type is None:
            raise BqmlError("Option MODEL_TYPE is required for CREATE MODEL.")
        model_type = {"LINEAR_REGRESSION": "LINEAR_REG", "LOGISTIC_REGRESSION": "LOGISTIC_REG"}.get(
            str(model_type).upper(), str(model_type).upper()
        )
        table = TABLES.get(model_type)
        if table is None:
            raise BqmlError(
                f"MODEL_TYPE {model_type!r} is not carried out here. Supported: {', '.join(sorted(TABLES))}."
            )
        checked: dict[str, Any] = {}
        for name, value in given.items():
            option = table.get(name)
            if option is None:
                raise BqmlError(f"Option(s) {name.upper()} are not supported for {model_type} model training.")
            if value is None:
                raise BqmlError(f"Option {name.upper()} must not be NULL.")
            checked[name] = checked_value(name, option, value)
        spec = cls(model_type, checked)
        check_together(spec)
        return spec

    def value(self, name: str) -> Any:
        """The option's value, or its documented default (None where BigQuery decides by the data)."""
        return self.options[name] if name in self.options else TABLES[self.model_type][name].default

    def has(self, name: str) -> bool:
        """Whether the model type knows the option at all."""
        return name in TABLES[self.model_type]

    def replaced(self, values: Mapping[str, Any]) -> ModelSpec:
        """The same spec with some options set (one trial's hyperparameters). No re-validation."""
        return ModelSpec(self.model_type, {**self.options, **values})

    @property
    def supervised(self) -> bool:
        """Whether it learns from a label."""
        return self.model_type in SUPERVISED

    @property
    def classifier(self) -> bool:
        """Whether the label is a class."""
        return self.model_type in CLASSIFIERS

    @property
    def linear(self) -> bool:
        """LINEAR_REG or LOGISTIC_REG."""
        return self.model_type in LINEAR

    @property
    def trees(self) -> bool:
        """Boosted trees or a random forest."""
        return self.supervised and not self.linear

    @property
    def tuned(self) -> bool:
        """Whether NUM_TRIALS was given."""
        return "num_trials" in self.options

    @property
    def search_space(self) -> dict[str, HparamRange | HparamCandidates]:
        """The hyperparameters that trials vary: those said, or the documented default ranges if none was."""
        said = {n: v for n, v in self.options.items() if isinstance(v, (HparamRange, HparamCandidates))}
        return said or dict(DEFAULT_SEARCH[self.model_type])

    @property
    def objective(self) -> str:
        """The metric that picks the best trial (lower case)."""
        said = self.options.get("hparam_tuning_objectives")
        return str(said[0]).lower() if said else OBJECTIVES[self.model_type][0]

    @property
    def label_columns(self) -> list[str]:
        """INPUT_LABEL_COLS; empty for an unsupervised model."""
        return list(self.value("input_label_cols")) if self.supervised else []

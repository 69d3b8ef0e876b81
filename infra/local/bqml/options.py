"""The OPTIONS list of CREATE MODEL: which options each model type has, their types, bounds and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelSpec:
    """A validated OPTIONS list.

    ``options`` holds what the statement said (lower-case names, Python values); ``value(name)`` adds the default.
    """

    model_type: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ModelSpec:
        """Validate raw options (``model_type`` among them). Raises BqmlError that names the option."""
        return cls(str(options["model_type"]).upper(), dict(options))

    def value(self, name: str) -> Any:
        """The option's value, or its documented default."""
        return self.options.get(name)

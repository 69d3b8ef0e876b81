"""A model that is a line of JSON; apart from the clients, which take seconds to import and a child process can spare."""

import json
from pathlib import Path
from typing import Any

PROJECT = "vertex-test"


class ConstantModel:
    """Answers every instance with the same probability; wants exactly the feature `x`."""

    def __init__(self, model_dir: Path) -> None:
        self._probability: float = json.loads((model_dir / "model.json").read_text())

    def predict_instances(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for index, instance in enumerate(instances):
            if set(instance) != {"x"}:
                raise ValueError(f"Failed to process element: {index} of 'instances' list: features must be: x")
        return [
            {
                "predicted_label": ["1" if self._probability >= 0.5 else "0"],
                "label_probs": [self._probability, 1 - self._probability],
                "label_values": ["1", "0"],
            }
            for _ in instances
        ]

"""Runs `sql/kinds/classification/evaluate/` over given predictions, in a dataset of its own on the local BigQuery."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pandas as pd
from google.cloud import bigquery

from etl.model_policy import ModelPolicy, load_policy
from etl.names import Naming
from etl.query_parameters import Null
from etl.settings import Settings
from etl.templates import Templates
from etl.warehouse import Warehouse

MODEL = "deal_duplicates"
REPLICATES = 200
KEYS = ["left_source", "left_id", "right_source", "right_id"]
# What stands behind `predictions`, in the order in which it is needed.
MEASURES = ("curve", "thresholds", "outcomes", "bins", "metrics")
BOOTSTRAP = ("bootstrap_counts", "bootstrap_weights", "replicates", "intervals", "comparison")


@dataclass
class Evaluation:
    """A dataset with the tables of one run."""

    client: bigquery.Client
    settings: Settings
    policy: ModelPolicy
    templates: Templates
    naming: Naming

    @classmethod
    def at(cls, client: bigquery.Client, settings: Settings, **policy: Any) -> Evaluation:
        client.create_dataset(settings.dataset)
        loaded = load_policy(MODEL)
        # Fewer replicates than production's: what is computed from them is the same.
        parameters = loaded.parameters | {"bootstrap_replicates": REPLICATES} | policy
        changed = loaded.model_copy(update={"slices": {"language": "language"}, "parameters": parameters})
        return cls(client, settings, changed, Templates.from_tree(MODEL), Naming.of(settings, MODEL))

    def put(self, table: str, frame: pd.DataFrame) -> None:
        """Load a frame as a table of the run."""
        self.client.load_table_from_dataframe(frame, self.naming.run_table("r", table)).result()

    def build(self, *names: str, champion_threshold: float | Null = 0.5, **context: Any) -> None:
        """Build tables of `evaluate/` in the given order."""
        stems = [*self.templates.stems(f"{MODEL}/evaluate"), *self.templates.stems(f"{MODEL}/features")]
        parameters = {**self.policy.parameters, "champion_threshold": champion_threshold}
        warehouse = Warehouse(self.client, self.settings)
        for name in names:
            context = {"run_table": self.naming.run_tables(stems, "r"), "policy": self.policy, **context}
            statement = self.templates.render(f"{MODEL}/evaluate/{name}.sql", context)
            warehouse.read(statement, parameters)

    def measure(self, predictions: pd.DataFrame, **options: Any) -> None:
        """Metrics of given predictions, and what they rest on."""
        self.put("predictions", predictions)
        self.build(*MEASURES, **options)

    def compare(self, predictions: pd.DataFrame, **options: Any) -> None:
        """Metrics and bootstrap of given predictions."""
        self.measure(predictions, **options)
        self.build(*BOOTSTRAP, **options)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run; numbers as they come, NUMERIC ones as floats."""
        table = self.client.get_table(self.naming.run_table("r", name))
        frame = self.client.list_rows(table).to_dataframe(create_bqstorage_client=False)
        numeric = [field.name for field in table.schema if field.field_type == "NUMERIC"]
        return frame.astype(dict.fromkeys(numeric, float))

    def metrics(self, name: str, split: str = "validation") -> pd.Series:
        """The row of one model in `metrics`."""
        found = self.table("metrics").query("name == @name and split == @split")
        return found.iloc[0]


def new_dataset() -> str:
    return f"d_{uuid.uuid4().hex[:8]}"


def predicted(
    name: str, labels: list[bool], probabilities: list[float | None], *, split: str = "validation", **columns: Any
) -> pd.DataFrame:
    """Predictions of one model: a pair each, every pair an entity group of its own unless `entity_group` is given."""
    rows = range(len(labels))
    return pd.DataFrame(
        {
            "name": name,
            "split": split,
            "left_source": "a",
            "left_id": [f"{split}{row}" for row in rows],
            "right_source": "b",
            "right_id": [str(row) for row in rows],
            "entity_group": [f"{split}{row}" for row in rows],
            "is_positive": labels,
            "probability": pd.array(probabilities, dtype="Float64"),
            **columns,
        }
    )

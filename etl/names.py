"""The names that a template may use: what `{{ table.raw_deals }}` and its like stand for.

A namespace gives a back-quoted full name for each name that it knows and refuses every other one, listing
those that there are. `run_table` also remembers what was asked of it: that is how the loop learns in which order
the files of a folder run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from etl.errors import TemplateError
from etl.settings import Settings


def quoted(*parts: str) -> str:
    """A back-quoted BigQuery name of its parts.

    Raises:
        TemplateError: A part holds a character that could end the quotes.
    """
    for part in parts:
        if not re.fullmatch(r"[A-Za-z0-9_.:$-]+", part):
            raise TemplateError(f"{part!r} cannot be a part of a BigQuery name")
    return f"`{'.'.join(parts)}`"


def run_slug(model: str, run_id: str) -> str:
    """The part of table and model names that stands for the run: `deal_duplicates-2026-11-21` → `2026_11_21`.

    Raises:
        TemplateError: The run is not one of that model.
    """
    prefix = f"{model}-"
    if not run_id.startswith(prefix) or not re.fullmatch(r"[A-Za-z0-9-]+", run_id[len(prefix) :]):
        raise TemplateError(f"{run_id!r} is not a run of model {model!r}: runs are called {prefix}<date>")
    return run_id[len(prefix) :].replace("-", "_")


@dataclass
class Namespace:
    """Names under one word of a template; attribute access gives the full name.

    Attributes:
        word: What templates call it, such as `run_table`.
        full_names: Full name (not quoted) by short name.
        used: The short names that were asked for so far.
    """

    word: str
    full_names: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):  # Python's own protocols ask for these
            raise AttributeError(name)
        if name not in self.full_names:
            near = difflib.get_close_matches(name, self.full_names, n=1)
            hint = f" Did you mean {self.word}.{near[0]}?" if near else ""
            raise TemplateError(f"{self.word}.{name} is unknown.{hint} Known: {', '.join(sorted(self.full_names))}")
        self.used.add(name)
        return f"`{self.full_names[name]}`"


@dataclass(frozen=True)
class Naming:
    """How things of one model in one environment are called.

    Attributes:
        project: Google Cloud project.
        dataset: Dataset of the model's tables.
        ledger_dataset: Dataset of the loop's own tables.
        model: The continuously trained model, a folder under `sql/`.
    """

    project: str
    dataset: str
    ledger_dataset: str
    model: str

    @classmethod
    def of(cls, settings: Settings, model: str) -> Naming:
        """The naming of `model` in the environment of `settings`."""
        return cls(settings.project, settings.dataset, settings.ledger_dataset, model)

    def table(self, name: str) -> str:
        """Full name of a persistent table."""
        return f"{self.project}.{self.dataset}.{name}"

    def run_table(self, slug: str, name: str) -> str:
        """Full name of a table that belongs to one run."""
        return f"{self.project}.{self.dataset}.{self.model}__{slug}__{name}"

    def candidate_model(self, slug: str, candidate: str) -> str:
        """Full name of the BigQuery model that `candidate` becomes in a run."""
        return f"{self.project}.{self.dataset}.{self.model}__{slug}__{candidate}"

    def tables(self, names: Iterable[str]) -> Namespace:
        """The namespace `table`."""
        return Namespace("table", {name: self.table(name) for name in names})

    def ledger(self, names: Iterable[str]) -> Namespace:
        """The namespace `ledger`."""
        return Namespace("ledger", {name: f"{self.project}.{self.ledger_dataset}.{name}" for name in names})

    def run_tables(self, names: Iterable[str], slug: str, elsewhere: Mapping[str, str] | None = None) -> Namespace:
        """The namespace `run_table`: tables of run `slug`, but those in `elsewhere` of the run whose slug stands there."""
        slugs = elsewhere or {}
        return Namespace("run_table", {name: self.run_table(slugs.get(name, slug), name) for name in names})


def run_of(model: str, slug: str) -> str:
    """The run that a slug stands for, the reverse of `run_slug`."""
    return f"{model}-{slug.replace('_', '-')}"


def candidate_of(model_name: str) -> tuple[str, str]:
    """The run's slug and the candidate in the name of a BigQuery model made by `Naming.candidate_model`.

    >>> candidate_of("p.d.deal_duplicates__2026_11_21__boosted_tree")
    ('2026_11_21', 'boosted_tree')
    """
    _, slug, candidate = model_name.rsplit(".", 1)[-1].split("__", 2)
    return slug, candidate

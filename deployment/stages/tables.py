"""Building a run's tables: the files of a folder, in the order in which they need each other.

The order is read off the templates (which `run_table.*` each one uses); nobody writes it down. Only what the wanted
tables need is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deployment.stages.run import Champion, Run, policy_of
from etl.names import Namespace
from etl.templates import RenderedSql, Templates, in_order
from etl.warehouse import Warehouse

# Folders whose files build tables of a run.
TABLE_FOLDERS = ("features", "evaluate", "predict")


class FeatureColumns(Sequence[str]):
    """The feature columns of a run: read off its training table when a template first asks for them.

    Args:
        warehouse: Where the table stands.
        table: Full name of the training table.
        not_features: Its columns that are none.
    """

    def __init__(self, warehouse: Warehouse, table: str, not_features: frozenset[str]) -> None:
        self._warehouse = warehouse
        self._table = table
        self._not_features = not_features
        self._read: list[str] | None = None

    @property
    def types(self) -> Sequence[tuple[str, str]]:
        """Name and BigQuery type of each."""
        found = self._warehouse.column_types(self._table)
        return [(name, kind) for name, kind in found if name not in self._not_features]

    def _columns(self) -> list[str]:
        if self._read is None:
            self._read = [c for c in self._warehouse.columns(self._table) if c not in self._not_features]
        return self._read

    def __getitem__(self, index: Any) -> Any:
        return self._columns()[index]

    def __len__(self) -> int:
        return len(self._columns())

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns())


@dataclass(frozen=True)
class TableSet:
    """Tables of one run, made by one set of templates.

    Attributes:
        run: The stage that asks.
        templates: The SQL that makes them: that in force, or that of the champion's run.
        slug: The run whose names they bear.
        elsewhere: Slug by name for tables that stand under another run's name and are not built here.
        extra: Further variables of the templates.
    """

    run: Run
    templates: Templates
    slug: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def name(self, table: str) -> str:
        """Back-quoted full name of a table of this set."""
        return str(getattr(self._run_tables(), table))

    def render(self, path: str) -> RenderedSql:
        """Render a template with the names of this set."""
        return self.templates.render(path, self._context())

    def build(self, targets: Sequence[str], *, rehearse: bool = True, **parameters: Any) -> list[str]:
        """Build the targets and all that they need.

        Args:
            targets: Names of the tables that are wanted.
            rehearse: Dry-run each statement first; not worth it for SQL that has run already.
            parameters: Query parameters beside those of the run.

        Returns:
            The names of the tables that were built, in that order.

        Raises:
            TemplateError: A template is wrong.
            StatementError: BigQuery refuses one.
            StillRunning: The deadline came first; the same call goes on.
        """
        order = in_order(self._needs(), list(targets))
        # All templates are rendered before the first job runs, so that a mistake in the last costs nothing.
        statements = {name: self.render(self._paths()[name]) for name in order}
        own = "" if self.slug == self.run.slug else f"{self.slug}-"
        for name, statement in statements.items():
            self.run.execute(statement, f"{own}{name}", rehearse=rehearse, **parameters)
        return order

    def _paths(self) -> dict[str, str]:
        model = self.templates.model
        found: dict[str, str] = {}
        for folder in TABLE_FOLDERS:
            for path in self.templates.folder(f"{model}/{folder}"):
                found[path.rsplit("/", 1)[-1].removesuffix(".sql")] = path
        return found

    def _needs(self) -> dict[str, frozenset[str]]:
        context = self._context() | {"feature_columns": ["feature"]}
        return {
            name: self.templates.render(path, context).run_tables
            for name, path in self._paths().items()
            if name not in self.elsewhere and not self._is_unusable(path)
        }

    def _is_unusable(self, path: str) -> bool:
        """Whether a folder's variables are missing here, so that its files cannot be wanted."""
        folder = path.split("/")[-2]
        return (folder == "evaluate" and "scored" not in self.extra) or (
            folder == "predict" and "champion" not in self.extra
        )

    def _run_tables(self) -> Namespace:
        return self.run.naming.run_tables(self._paths(), self.slug, self.elsewhere)

    def _context(self) -> dict[str, Any]:
        naming, model = self.run.naming, self.templates.model
        policy = policy_of(self.templates)
        tables = self.templates.stems(f"{model}/tables")
        training = naming.run_table(self.elsewhere.get("training_features", self.slug), "training_features")
        return {
            "table": naming.tables(tables),
            "run_table": self._run_tables(),
            "ledger": naming.ledger(self.templates.stems("ledger")),
            "policy": policy,
            "quarantined": any(check.severity == "quarantine" for check in policy.checks.values()),
            "feature_columns": FeatureColumns(self.run.warehouse, training, policy.not_features),
            **self.extra,
        }


def of_run(run: Run, **extra: Any) -> TableSet:
    """The run's own tables."""
    return TableSet(run, run.templates, run.slug, extra=extra)


def with_frozen(run: Run, version: Champion, **extra: Any) -> TableSet:
    """Tables of the run's own, made with a version's SQL and its frozen statistics."""
    elsewhere = dict.fromkeys(version.policy.frozen, version.slug)
    elsewhere["training_features"] = version.slug
    return TableSet(run, version.templates, run.slug, elsewhere, extra)


def as_champion(run: Run, champion: Champion) -> TableSet:
    """Tables beside the run's own, for the same rows, as the champion computes them."""
    shared = {name: run.slug for name in champion.policy.shared if name in run.policy.shared}
    own = with_frozen(run, champion)
    return replace(own, slug=f"{run.slug}_champion", elsewhere={**own.elsewhere, **shared})

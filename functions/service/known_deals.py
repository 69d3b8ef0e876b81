"""Deals that a request names instead of giving them: looked up in the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from deployment.application import Application
from etl.names import Naming

Key = tuple[str, str]


class KnownDeals(Protocol):
    """Where known deals are found."""

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[str, Any]]:
        """The latest version of each known deal, as raw_deals has it; the unknown ones are left out."""


class WarehouseDeals:
    """Known deals straight from BigQuery.

    Args:
        app: bqloop in this environment.
        model: The model.
    """

    def __init__(self, app: Application, model: str) -> None:
        templates = app.templates(model)
        tables = Naming.of(app.settings, model).tables(templates.stems(f"{model}/tables"))
        self._warehouse = app.warehouse(model)
        self._statement = templates.render(f"{model}/serve/deals_by_id.sql", {"table": tables})

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[str, Any]]:
        """The latest version of each known deal.

        Raises:
            UnavailableError: BigQuery cannot be reached.
        """
        if not keys:
            return {}
        parameters = {
            "keys": ["\n".join(key) for key in keys],
            "sources": sorted({source for source, _ in keys}),
            "deal_ids": sorted({deal_id for _, deal_id in keys}),
        }
        rows = self._warehouse.read(self._statement, parameters)
        return {(row["source"], row["deal_id"]): row for row in rows}

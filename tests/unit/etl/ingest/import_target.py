"""A dataset that tests import into and ask questions of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etl.names import Naming
from etl.templates import Templates
from etl.warehouse import Warehouse

TABLES = ("raw_deals", "labels", "rejected_rows")


@dataclass
class Target:
    warehouse: Warehouse
    templates: Templates

    @classmethod
    def with_tables(cls, warehouse: Warehouse) -> Target:
        target = cls(warehouse, Templates.from_tree("deal_duplicates"))
        for name in TABLES:
            target.create(name)
        return target

    def create(self, name: str, edit: Callable[[str], str] = str) -> None:
        """Create one of the tables, its DDL edited."""
        table = Naming.of(self.warehouse.settings, "deal_duplicates").tables([name])
        ddl = self.templates.render(f"deal_duplicates/tables/{name}.sql", {"table": table})
        self.warehouse.client.query(edit(ddl.text)).result()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query; `{}` is the dataset."""
        return [
            tuple(row.values())
            for row in self.warehouse.client.query(sql.format(self.warehouse.settings.dataset)).result()
        ]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT COUNT(*) FROM {{}}.{table}")[0][0])

    def tables(self) -> list[str]:
        return sorted(t.table_id for t in self.warehouse.client.list_tables(self.warehouse.settings.dataset))

"""Earlier states of a table for `FOR SYSTEM_TIME AS OF`, without a copy at every change.

bqemulator copies the whole table after each DML statement and each streamed batch, which is quadratic for a log. Most
changes here are appends: for them it is enough to remember how many rows there were at what time. A copy is made once
before a statement that changes or removes rows, and the earlier states are then the first rows of that copy. A table that is
replaced as a whole is not copied: it is set aside under another name.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from bqemulator.catalog.models import SnapshotMeta
from bqemulator.domain.errors import UnsupportedFeatureError
from bqemulator.domain.events import TableDataChanged
from bqemulator.storage.engine import SNAPSHOTS_SCHEMA
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.versioning.snapshots import SnapshotManager

from .engine import ThreadedEngine
from .errors import BigQueryError

LOG = '"_bqloop"."table_states"'
SET_ASIDE = "_set_aside_"
"""How the names of tables begin that stand beside the one which took their place; copies stand in a schema of their own."""

Place = tuple[str, str, str]
"""Project, dataset and name of a table; no project where the dataset is a schema of bqemulator's own."""


@dataclass(frozen=True)
class _State:
    """A table's first `rows` rows at `at`; in the table itself, or in the copy that was made since."""

    at: datetime
    rows: int
    copy: str | None


class TimeTravel(SnapshotManager):
    """bqemulator's snapshot manager with states instead of copies; its callers notice no difference."""

    _engine: ThreadedEngine

    def open(self) -> None:
        """Make room for the states; called once, before the first statement."""
        self._engine.execute('CREATE SCHEMA IF NOT EXISTS "_bqloop"')
        self._engine.execute(
            f"CREATE TABLE IF NOT EXISTS {LOG} "
            "(project VARCHAR, dataset VARCHAR, name VARCHAR, moment TIMESTAMPTZ, n BIGINT, copy VARCHAR)"
        )

    def before_change(self, project_id: str, dataset_id: str, table_id: str, *, append_only: bool) -> None:
        """To be called before a statement changes a table, inside its transaction."""
        if self._catalog.get_table(project_id, dataset_id, table_id) is None:
            return
        key = [project_id, dataset_id, table_id]
        reference = quoted_table_ref(*key)
        if not self._has_states(*key):
            self._note(key, self._created(*key))
        if append_only:
            return
        copy = f"s_{uuid.uuid4().hex}"
        self._engine.execute(f'CREATE TABLE "{SNAPSHOTS_SCHEMA}"."{copy}" AS SELECT * FROM {reference}')
        self._is_in(copy, key)

    def before_replacement(self, project_id: str, dataset_id: str, table_id: str) -> None:
        """To be called before a statement makes a table anew without reading it, inside its transaction: it is gone then."""
        key = [project_id, dataset_id, table_id]
        self.before_change(*key, append_only=True)
        if self._catalog.get_table(*key) is None:
            return
        name = f"{SET_ASIDE}{uuid.uuid4().hex}"
        self._engine.execute(f'ALTER TABLE {quoted_table_ref(*key)} RENAME TO "{name}"')
        self._is_in(name, key)

    def _is_in(self, copy: str, key: list[str]) -> None:
        """The states that were a table's own are now those of a copy."""
        self._engine.execute(
            f"UPDATE {LOG} SET copy = ? WHERE project = ? AND dataset = ? AND name = ? AND copy IS NULL", [copy, *key]
        )

    def record_change(self, project_id: str, dataset_id: str, table_id: str) -> SnapshotMeta | None:
        """To be called after a change, inside its transaction."""
        if self._catalog.get_table(project_id, dataset_id, table_id) is not None:
            self._note([project_id, dataset_id, table_id], self._clock.now())
        self._events.publish(TableDataChanged(project_id, dataset_id, table_id))
        return None

    def forget(self, project_id: str, dataset_id: str, table_id: str) -> None:
        """The table is dropped or replaced: its states go."""
        key = [project_id, dataset_id, table_id]
        for state in self._states(*key):
            if state.copy:
                self._drop(project_id, dataset_id, state.copy)
        self._engine.execute(f"DELETE FROM {LOG} WHERE project = ? AND dataset = ? AND name = ?", key)

    def drop_snapshots_for_table(
        self, project_id: str, dataset_id: str, table_id: str, *, include_user: bool = True
    ) -> int:
        """bqemulator's call for a table that is deleted."""
        self.forget(project_id, dataset_id, table_id)
        dropped: int = super().drop_snapshots_for_table(project_id, dataset_id, table_id, include_user=include_user)
        return dropped

    def state_at(self, project: str, dataset: str, table: str, target: datetime) -> tuple[Place, int] | None:
        """Where a table's state at `target` is: which table has it, itself or a copy, and how many of its first rows.

        None if the table is still as it was then.

        Raises:
            BigQueryError: `target` lies in the future, beyond the retention, or before the table.
        """
        target = target if target.tzinfo else target.replace(tzinfo=UTC)
        now = self._clock.now()
        if target > now + timedelta(seconds=1):
            raise _no_such_time(f"Invalid time travel timestamp {target.isoformat()}: it is in the future")
        if target < now - timedelta(days=self._retention_days):
            raise _no_such_time(
                f"Invalid time travel timestamp {target.isoformat()}: beyond the window of {self._retention_days} days"
            )
        states = self._states(project, dataset, table)
        born = self._created(project, dataset, table)
        past = [state for state in states if state.at <= target]
        if not past:
            if states or target < born:
                raise _no_such_time(
                    f"Invalid snapshot time {target.isoformat()} for table {project}:{dataset}.{table}: "
                    f"the table was created or replaced at {born.isoformat()}"
                )
            return None
        state = past[-1]
        if state.copy is not None:
            return _place(project, dataset, state.copy), state.rows
        return None if state is states[-1] else ((project, dataset, table), state.rows)

    def resolve_time_travel(
        self, project_id: str, dataset_id: str, table_id: str, target: datetime
    ) -> SnapshotMeta | None:
        """bqemulator's question, asked for snapshots and clones of an earlier state; only the present one is given.

        Raises:
            UnsupportedFeatureError: the table has changed since `target`.
        """
        if self.state_at(project_id, dataset_id, table_id, target) is None:
            return None
        raise UnsupportedFeatureError(
            "A snapshot or clone FOR SYSTEM_TIME AS OF an earlier state is not carried out here"
        )

    def purge_expired(self) -> int:
        """Forget what lies before the retention, and drop the copies that nothing within it needs; how many these were.

        The last state before the retention begins stays: it is how the table was when it began.
        """
        begins = self._clock.now() - timedelta(days=self._retention_days)
        with contextlib.suppress(duckdb.TransactionException), self._engine.transaction():
            copies = self._copies()
            self._engine.execute(
                f"DELETE FROM {LOG} AS old WHERE moment < (SELECT max(moment) FROM {LOG} AS newer WHERE "
                "newer.project = old.project AND newer.dataset = old.dataset AND newer.name = old.name "
                "AND newer.moment <= ?)",
                [begins],
            )
            expired = copies - self._copies()
            for copy in expired:
                self._drop(*copy)
            return len(expired)
        return 0  # somebody changed a table in this moment; the next time will do

    def _copies(self) -> set[tuple[str, str, str]]:
        found = self._engine.rows(f"SELECT DISTINCT project, dataset, copy FROM {LOG} WHERE copy IS NOT NULL")
        return {(project, dataset, copy) for project, dataset, copy in found}

    def _drop(self, project: str, dataset: str, copy: str) -> None:
        place = _place(project, dataset, copy)
        reference = quoted_table_ref(*place) if place[0] else f'"{place[1]}"."{place[2]}"'
        self._engine.execute(f"DROP TABLE IF EXISTS {reference}")

    def _has_states(self, project: str, dataset: str, name: str) -> bool:
        # Not `_states`: a log that has been appended to for days has hundreds of thousands of them.
        query = f"SELECT 1 FROM {LOG} WHERE project = ? AND dataset = ? AND name = ? LIMIT 1"
        return bool(self._engine.rows(query, [project, dataset, name]))

    def _created(self, project: str, dataset: str, name: str) -> datetime:
        meta: Any = self._catalog.get_table(project, dataset, name)
        created: datetime = meta.creation_time if meta is not None else self._clock.now()
        return created

    def _states(self, project: str, dataset: str, name: str) -> list[_State]:
        rows = self._engine.rows(
            f"SELECT epoch_us(moment), n, copy FROM {LOG} WHERE project = ? AND dataset = ? AND name = ? ORDER BY moment, rowid",
            [project, dataset, name],
        )
        return [_State(datetime.fromtimestamp(at / 1e6, UTC), n, copy) for at, n, copy in rows]

    def _note(self, key: list[str], at: datetime) -> None:
        self._engine.execute(
            f"INSERT INTO {LOG} SELECT ?, ?, ?, ?, count(*), NULL FROM {quoted_table_ref(*key)}",
            [*key, at],
        )


def _place(project: str, dataset: str, copy: str) -> Place:
    return (project, dataset, copy) if copy.startswith(SET_ASIDE) else ("", SNAPSHOTS_SCHEMA, copy)


def _no_such_time(message: str) -> BigQueryError:
    # bqemulator's reason is `outOfRange`, which is none of BigQuery's: clients take it for a fault of the server.
    return BigQueryError("invalidQuery", message, location="query")

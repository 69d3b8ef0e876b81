"""What Pub/Sub must not forget: topics, subscriptions, messages and who has not acknowledged them yet, in SQLite.

A method returns when its change is committed to the write-ahead log, so a killed process loses nothing that was
answered. (`synchronous=NORMAL`: a power cut may take the last instant with it, a kill does not.) The store decides
nothing: no back-off, no ack deadlines, no dead letters. The broker calls it under its own lock.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, published_at REAL NOT NULL, size INTEGER NOT NULL, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  subscription INTEGER NOT NULL, seq INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
  available_at REAL NOT NULL, acked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (subscription, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_of_message ON deliveries (seq);
"""


@dataclass(frozen=True)
class StoredDelivery:
    """A message that a subscription has not acknowledged."""

    seq: int
    size: int
    failures: int
    available_at: float


class MessageStore:
    """One SQLite file. Not thread-safe: the broker's lock guards it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("PRAGMA busy_timeout=5000")
        self._database.executescript(_SCHEMA)
        # A message's number is its ID, and that is unique beyond this file, as Google's is: BigQuery knows rows by it.
        self._database.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'messages', ?"
            " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'messages')",
            (10**15 + secrets.randbelow(8 * 10**15),),
        )

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is done inside; committed when the block ends."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def topics(self) -> list[bytes]:
        """All topics, serialised."""
        return [row[0] for row in self._database.execute("SELECT proto FROM topics ORDER BY name")]

    def put_topic(self, name: str, proto: bytes) -> None:
        """Create or replace a topic."""
        self._database.execute("INSERT OR REPLACE INTO topics VALUES (?, ?)", (name, proto))

    def delete_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions and their messages stay."""
        self._database.execute("DELETE FROM topics WHERE name = ?", (name,))

    def subscriptions(self) -> list[tuple[int, bytes]]:
        """All subscriptions: own number and serialised form."""
        return list(self._database.execute("SELECT id, proto FROM subscriptions ORDER BY name"))

    def add_subscription(self, name: str, proto: bytes) -> int:
        """Create a subscription; its own number is never used again, even when the name is."""
        cursor = self._database.execute("INSERT INTO subscriptions (name, proto) VALUES (?, ?)", (name, proto))
        return int(cursor.lastrowid or 0)

    def replace_subscription(self, number: int, proto: bytes) -> None:
        """Store a changed subscription."""
        self._database.execute("UPDATE subscriptions SET proto = ? WHERE id = ?", (proto, number))

    def delete_subscription(self, number: int) -> None:
        """Delete a subscription and all that it had not acknowledged."""
        with self.transaction():
            self._database.execute("DELETE FROM deliveries WHERE subscription = ?", (number,))
            self._database.execute("DELETE FROM subscriptions WHERE id = ?", (number,))
            self._drop_orphans()

    def next_message(self, published_at: float, size: int) -> int:
        """Reserve the number of a new message; `set_message` fills it in."""
        cursor = self._database.execute(
            "INSERT INTO messages (published_at, size, proto) VALUES (?, ?, x'')", (published_at, size)
        )
        return int(cursor.lastrowid or 0)

    def set_message(self, seq: int, proto: bytes, subscriptions: Iterable[int], available_at: float) -> None:
        """Store a message for every subscription of its topic; with none it is gone, as on Google Cloud."""
        rows = [(number, seq, available_at) for number in subscriptions]
        if not rows:
            self._database.execute("DELETE FROM messages WHERE seq = ?", (seq,))
            return
        self._database.execute("UPDATE messages SET proto = ? WHERE seq = ?", (proto, seq))
        self._database.executemany("INSERT INTO deliveries (subscription, seq, available_at) VALUES (?, ?, ?)", rows)

    def messages(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """The serialised messages of these numbers; one that has gone is left out."""
        found: dict[int, bytes] = {}
        for seq in seqs:
            row = self._database.execute("SELECT proto FROM messages WHERE seq = ?", (seq,)).fetchone()
            if row is not None:
                found[seq] = row[0]
        return found

    def unacknowledged(self, number: int) -> list[StoredDelivery]:
        """What the subscription has not acknowledged, oldest first."""
        rows = self._database.execute(
            "SELECT seq, size, failures, available_at FROM deliveries JOIN messages USING (seq)"
            " WHERE subscription = ? AND NOT acked ORDER BY seq",
            (number,),
        )
        return [StoredDelivery(*row) for row in rows]

    def acknowledge(self, number: int, seqs: Iterable[int], *, retain: bool) -> None:
        """Take messages off a subscription; `retain` keeps them for a later seek."""
        for seq in seqs:
            if retain:
                self._database.execute(
                    "UPDATE deliveries SET acked = 1 WHERE subscription = ? AND seq = ?", (number, seq)
                )
                continue
            self._database.execute("DELETE FROM deliveries WHERE subscription = ? AND seq = ?", (number, seq))
            self._database.execute(
                "DELETE FROM messages WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE seq = ?)", (seq, seq)
            )

    def record_failure(self, number: int, seq: int, failures: int, available_at: float) -> None:
        """Note a failed delivery and when the next one may be."""
        self._database.execute(
            "UPDATE deliveries SET failures = ?, available_at = ? WHERE subscription = ? AND seq = ?",
            (failures, available_at, number, seq),
        )

    def published_before(self, number: int, instant: float) -> list[int]:
        """The unacknowledged messages of a subscription that were published before an instant (seconds)."""
        rows = self._database.execute(
            "SELECT seq FROM deliveries JOIN messages USING (seq)"
            " WHERE subscription = ? AND NOT acked AND published_at < ?",
            (number, instant),
        )
        return [row[0] for row in rows]

    def restore_from(self, number: int, instant: float, available_at: float) -> list[StoredDelivery]:
        """Un-acknowledge the retained messages published at or after an instant; returns them."""
        rows = self._database.execute(
            "SELECT seq, size FROM deliveries JOIN messages USING (seq)"
            " WHERE subscription = ? AND acked AND published_at >= ? ORDER BY seq",
            (number, instant),
        ).fetchall()
        for seq, _ in rows:
            self._database.execute(
                "UPDATE deliveries SET acked = 0, failures = 0, available_at = ? WHERE subscription = ? AND seq = ?",
                (available_at, number, seq),
            )
        return [StoredDelivery(seq, size, 0, available_at) for seq, size in rows]

    def expire(self, number: int, instant: float) -> list[int]:
        """Drop what a subscription holds from before an instant, acknowledged or not; returns the numbers."""
        rows = self._database.execute(
            "SELECT seq FROM deliveries JOIN messages USING (seq) WHERE subscription = ? AND published_at < ?",
            (number, instant),
        ).fetchall()
        seqs = [row[0] for row in rows]
        self.acknowledge(number, seqs, retain=False)
        return seqs

    def _drop_orphans(self) -> None:
        self._database.execute(
            "DELETE FROM messages WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = messages.seq)"
        )

"""Which messages of one subscription wait, which are out with a subscriber, and until when.

Pure bookkeeping: no clock, no disk, no thread of its own. The broker calls it under its lock and passes the time in.
What must outlive the process (the messages, the failures counted) is the message store's; leases are in memory only,
because a lease that its server forgot is a message to deliver again.
"""

import heapq
from dataclasses import dataclass, field


@dataclass
class Holder:
    """One consumer's open deliveries, so that a streaming pull can be held to its flow control."""

    messages: int = 0
    bytes: int = 0


@dataclass
class _Pending:
    size: int
    failures: int
    available_at: float
    leases: int = 0
    lease_until: float | None = None
    holder: Holder | None = None


@dataclass(frozen=True)
class Lease:
    """One delivery: message `seq` is out until its ack deadline. `number` tells it from earlier deliveries of the same."""

    seq: int
    number: int
    failures: int


@dataclass
class DeliveryQueue:
    """The messages of one subscription that nobody has acknowledged yet."""

    _pending: dict[int, _Pending] = field(default_factory=dict)
    _ready: list[tuple[float, int]] = field(default_factory=list)
    _leased: dict[int, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, seq: int) -> bool:
        return seq in self._pending

    def add(self, seq: int, *, size: int, available_at: float, failures: int = 0) -> None:
        """Let message `seq` wait until `available_at` (seconds)."""
        self._pending[seq] = _Pending(size, failures, available_at)
        heapq.heappush(self._ready, (available_at, seq))

    def lease(
        self, now: float, *, until: float, limit: int, max_bytes: int | None = None, holder: Holder | None = None
    ) -> list[Lease]:
        """Take up to `limit` available messages, oldest first, and at least one however large it is."""
        leases: list[Lease] = []
        taken = 0
        while len(leases) < limit and (head := self._head()) is not None and head[0] <= now:
            seq = head[1]
            entry = self._pending[seq]
            if leases and max_bytes is not None and taken + entry.size > max_bytes:
                break
            heapq.heappop(self._ready)
            taken += entry.size
            entry.leases += 1
            entry.lease_until = until
            self._leased[seq] = None
            if holder is not None:
                entry.holder = holder
                holder.messages += 1
                holder.bytes += entry.size
            leases.append(Lease(seq, entry.leases, entry.failures))
        return leases

    def holds(self, seq: int, number: int) -> bool:
        """Is delivery `number` of `seq` still the one that is out?"""
        entry = self._pending.get(seq)
        return entry is not None and entry.lease_until is not None and entry.leases == number

    def extend(self, seq: int, until: float) -> None:
        """Move the ack deadline of the delivery that is out."""
        self._pending[seq].lease_until = until

    def release(self, seq: int, *, available_at: float, failures: int | None = None) -> None:
        """Put a delivered message back: it is delivered again from `available_at` on."""
        entry = self._pending[seq]
        self._end_lease(seq, entry)
        entry.available_at = available_at
        if failures is not None:
            entry.failures = failures
        heapq.heappush(self._ready, (available_at, seq))

    def remove(self, seq: int) -> bool:
        """Forget an acknowledged message. False if it was not there: acknowledged before."""
        entry = self._pending.pop(seq, None)
        if entry is None:
            return False
        self._end_lease(seq, entry)
        return True

    def failures(self, seq: int) -> int:
        """How many deliveries of `seq` have failed so far."""
        return self._pending[seq].failures

    def expired(self, now: float) -> list[int]:
        """The messages whose ack deadline has passed."""
        return [seq for seq in self._leased if (self._pending[seq].lease_until or 0.0) <= now]

    def next_available(self) -> float | None:
        """When the next message can be delivered; None if all are out or there is none."""
        head = self._head()
        return None if head is None else head[0]

    def _head(self) -> tuple[float, int] | None:
        # An entry of the heap counts only while it says what `_pending` says; acknowledging does not search the heap.
        while self._ready:
            available_at, seq = self._ready[0]
            entry = self._pending.get(seq)
            if entry is not None and entry.lease_until is None and entry.available_at == available_at:
                return self._ready[0]
            heapq.heappop(self._ready)
        return None

    def _end_lease(self, seq: int, entry: _Pending) -> None:
        self._leased.pop(seq, None)
        entry.lease_until = None
        if entry.holder is not None:
            entry.holder.messages -= 1
            entry.holder.bytes -= entry.size
            entry.holder = None

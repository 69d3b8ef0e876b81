"""A local Pub/Sub that Google's own clients speak to: publish, pull, push, BigQuery; back-off and dead letters.

At least once, durable, small. What it does not know (filters, ordering, exactly-once, snapshots, schemas) it refuses by
name instead of taking it and doing something else.
"""

from infra.local.pubsub.host import PubSubHost
from infra.local.pubsub.server import PubSubServer

__all__ = ["PubSubHost", "PubSubServer"]

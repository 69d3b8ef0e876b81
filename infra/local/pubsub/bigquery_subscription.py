"""BigQuery subscriptions: messages become rows of a table, through the real BigQuery client.

At least once, as on Google Cloud: a message is acknowledged after BigQuery has taken its row. The message ID goes along
as insert ID, so that BigQuery drops the repeat of a row. A row that does not fit the table is a failed delivery and ends
in the dead-letter topic; a table that is missing or a BigQuery that is down holds the messages back and blames none.
"""

import base64
import json
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

import requests
from google.api_core import exceptions as google_errors
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import types

from infra.local.pubsub.broker import Broker, Delivery
from infra.local.pubsub.consumer import Consumer

_log = logging.getLogger(__name__)
_TIMEOUT = 30.0
# The consumer tries again by itself, and says so in the subscription's state meanwhile.
_ONCE = Retry(predicate=lambda _: False)
_LONGEST_PAUSE = 1.0
# Rows are gathered for so long between two writes: one write of fifty costs BigQuery hardly more than one of one.
_GATHER = 0.2

# What says nothing about the rows: no table, no room, nobody there.
_AWAY = (
    google_errors.NotFound,
    google_errors.TooManyRequests,
    google_errors.ServiceUnavailable,
    google_errors.RetryError,
    requests.exceptions.RequestException,
)
_IdentifiedRow = tuple[str, dict[str, Any]]


class BigQueryConsumer(Consumer):
    """Writes one BigQuery subscription. `endpoint` is BigQuery's, as `http://host:port`."""

    batch = 500

    def __init__(self, broker: Broker, definition: Any, endpoint: str) -> None:
        super().__init__(broker, definition)
        self._config = definition.bigquery_config
        self._table_id = self._config.table.replace(":", ".", 1)
        self._client = bigquery.Client(
            project=self._table_id.split(".")[0],
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # google-auth ships no types for it
            client_options={"api_endpoint": endpoint},
        )
        self._schema: Sequence[bigquery.SchemaField] | None = None
        self._setbacks = 0
        self._written_at = 0.0

    def ready(self) -> bool:
        """Whether the table is there; pauses before it is asked for again."""
        if self._setbacks and self._stopped.wait(min(_LONGEST_PAUSE, 0.05 * 2.0 ** min(self._setbacks, 10))):
            return False
        if self._stopped.wait(max(0.0, self._written_at + _GATHER - time.monotonic())):
            return False
        if self._schema is None:
            try:
                # Once: the property is parsed anew each time that it is asked for.
                self._schema = self._client.get_table(self._table_id, retry=_ONCE, timeout=_TIMEOUT).schema
            except google_errors.NotFound:
                self._hold(types.BigQueryConfig.State.NOT_FOUND)
                return False
            except Exception as error:  # noqa: BLE001 - whatever keeps BigQuery from answering, the messages wait
                _log.debug("%s waits for BigQuery: %s", self.name, error)
                self._hold(types.BigQueryConfig.State.STATE_UNSPECIFIED)
                return False
        self._broker.directory.report_state(
            self.name, types.Subscription.State.ACTIVE, types.BigQueryConfig.State.ACTIVE
        )
        return True

    def deliver(self, deliveries: list[Delivery]) -> None:
        """Write the rows; acknowledge those taken, fail those that do not fit, release all if BigQuery did not answer."""
        rows: dict[str, dict[str, Any]] = {}
        misfits = False
        for delivery in deliveries:
            try:
                rows[delivery.ack_id] = self._row(delivery)
            except ValueError as error:
                misfits = True
                self._broker.fail(self.name, [delivery.ack_id], str(error))
        self._written_at = time.monotonic()
        ids = {delivery.ack_id: delivery.message.message_id for delivery in deliveries}
        if rows:
            self._write({ack_id: (ids[ack_id], row) for ack_id, row in rows.items()})
        if misfits:
            self._schema = None  # Its schema may have changed; read it again.

    def _write(self, rows: dict[str, _IdentifiedRow]) -> None:
        """Write rows by ack ID and settle each."""
        try:
            errors = self._client.insert_rows_json(
                self._table_id,
                [row for _, row in rows.values()],
                row_ids=[message_id for message_id, _ in rows.values()],
                skip_invalid_rows=True,
                retry=_ONCE,
                timeout=_TIMEOUT,
            )
        except _AWAY as error:
            _log.debug("%s could not write to %s: %s", self.name, self._table_id, error)
            self._schema = None
            self._setbacks += 1
            self._broker.release(self.name, rows)
            return
        except google_errors.GoogleAPICallError as error:
            # BigQuery refused the request as a whole; by itself each row shows whether it was the one.
            if len(rows) == 1:
                self._broker.fail(self.name, rows, str(error))
                return
            for ack_id, row in rows.items():
                self._write({ack_id: row})
            return
        self._setbacks = 0
        refused = {error["index"]: json.dumps(error["errors"]) for error in errors}
        ack_ids = list(rows)
        self._broker.acknowledge(self.name, [a for index, a in enumerate(ack_ids) if index not in refused])
        for index, reason in refused.items():
            self._broker.fail(self.name, [ack_ids[index]], reason)
        if refused:
            self._schema = None  # Its schema may have changed; read it again.

    def _hold(self, state: int) -> None:
        self._setbacks += 1
        self._broker.directory.report_state(self.name, types.Subscription.State.RESOURCE_ERROR, state)

    def _row(self, delivery: Delivery) -> dict[str, Any]:
        assert self._schema is not None  # noqa: S101 - `ready` came first
        message = delivery.message
        if self._config.use_table_schema:
            row = _fields(message.data, self._schema, drop_unknown=self._config.drop_unknown_fields)
        else:
            row = {"data": _plain(message.data, self._schema)}
        if self._config.write_metadata:
            row |= {
                "subscription_name": self.name,
                "message_id": message.message_id,
                "publish_time": message.publish_time.ToJsonString(),
                "attributes": json.dumps(dict(message.attributes)),
            }
        return row


def _fields(data: bytes, schema: Iterable[bigquery.SchemaField], *, drop_unknown: bool) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except ValueError as error:
        raise ValueError(
            f"The message is not JSON, and the subscription writes by the table's schema: {error}"
        ) from None
    if not isinstance(record, dict):
        # Bad data, not a wrong call: the message fails like one that does not parse.
        raise ValueError("The message is not a JSON object, and the subscription writes by the table's schema.")  # noqa: TRY004
    return _columns(record, schema, "", drop_unknown=drop_unknown)


def _columns(
    record: dict[str, Any], schema: Iterable[bigquery.SchemaField], path: str, *, drop_unknown: bool
) -> dict[str, Any]:
    """The fields of a JSON object as insertAll takes them: a JSON column as text, records likewise, unknown ones refused."""
    fields = {field.name.lower(): field for field in schema}
    row = {}
    for name, value in record.items():
        field = fields.get(name.lower())
        if field is None:
            if drop_unknown:
                continue
            raise ValueError(f"no such field: {path}{name}.")
        if field.field_type in ("RECORD", "STRUCT"):
            nested = [
                _columns(v, field.fields, f"{path}{name}.", drop_unknown=drop_unknown) if isinstance(v, dict) else v
                for v in (value if isinstance(value, list) else [value])
            ]
            row[name] = nested if isinstance(value, list) else nested[0]
        elif isinstance(value, dict) or (isinstance(value, list) and field.mode != "REPEATED"):
            row[name] = json.dumps(value)
        else:
            row[name] = value
    return row


def _plain(data: bytes, schema: Iterable[bigquery.SchemaField]) -> str:
    column = next((field for field in schema if field.name == "data"), None)
    if column is not None and column.field_type == "BYTES":
        return base64.b64encode(data).decode()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"The message is not UTF-8, and the column `data` is not BYTES: {error}") from None

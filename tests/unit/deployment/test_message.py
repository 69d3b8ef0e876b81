import datetime as dt
import json

import pytest

from deployment.stages.message import StageMessage, decode_message, scheduled_run_id
from etl.errors import InputError

PUBLISHED = dt.datetime(2026, 3, 1, 5, 0, 7, tzinfo=dt.UTC)


def test_the_schedulers_message_becomes_the_run_of_the_day_it_was_published() -> None:
    message = decode_message(b'{"model": "deal_duplicates"}', stage="check", published=PUBLISHED)
    assert message.run_id == "deal_duplicates-2026-03-01"
    assert message.as_of == PUBLISHED


def test_a_second_delivery_of_the_same_message_is_the_same_run() -> None:
    first = decode_message(b'{"model": "deal_duplicates"}', stage="check", published=PUBLISHED)
    again = decode_message(b'{"model": "deal_duplicates"}', stage="check", published=PUBLISHED)
    assert first == again


def test_the_day_of_a_run_is_that_of_utc_wherever_the_clock_stands() -> None:
    east = dt.datetime(2026, 3, 2, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    assert scheduled_run_id("deals", "check", east) == "deals-2026-03-01"


def test_score_and_monitor_are_runs_of_their_own() -> None:
    assert scheduled_run_id("deals", "score", PUBLISHED) == "deals-score-2026-03-01"
    assert scheduled_run_id("deals", "monitor", PUBLISHED) == "deals-monitor-2026-03-01"


def test_a_successor_is_of_the_same_run_and_instant() -> None:
    message = decode_message(b'{"model": "deals"}', stage="check", published=PUBLISHED)
    following = message.successor("features", force=True)
    assert (following.run_id, following.as_of, following.stage) == (message.run_id, PUBLISHED, "features")
    assert decode_message(following.model_dump_json().encode(), stage="features", published=PUBLISHED) == following


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"not json", "Invalid JSON"),
        (b"[1]", "message"),
        (b"{}", "model"),
        (b'{"model": "DROP TABLE"}', "model"),
        (b'{"model": "deals", "run_id": "other-2026-01-01"}', "run_id"),
        (b'{"model": "deals", "run_id": "deals-`x`"}', "run_id"),
        (b'{"model": "deals", "as_of": "yesterday"}', "as_of"),
        (b'{"model": "deals", "as_of": "2026-01-01T00:00:00"}', "as_of"),
        (b'{"model": "deals", "surprise": 1}', "surprise"),
        (b'{"model": "deals", "stage": "train"}', "stage"),
        (b"\xff\xfe", "message"),
    ],
)
def test_a_malformed_message_is_refused_with_the_field_at_fault(data: bytes, field: str) -> None:
    with pytest.raises(InputError, match=field):
        decode_message(data, stage="check", published=PUBLISHED)


def test_the_attempt_is_one_unless_a_replay_says_otherwise() -> None:
    raw = {"model": "deals", "run_id": "deals-2026-03-01", "stage": "train", "as_of": PUBLISHED.isoformat()}
    assert StageMessage.model_validate(raw).attempt == 1
    assert (
        decode_message(
            json.dumps({**raw, "options": {"attempt": 2}}).encode(), stage="train", published=PUBLISHED
        ).attempt
        == 2
    )

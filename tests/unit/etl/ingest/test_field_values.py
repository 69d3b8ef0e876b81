from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import InputError
from etl.ingest.prices import read_price
from etl.ingest.values import as_text, typed


def at(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


def parsed(kind, *values):
    reasons = {}
    column = typed("f", kind, pa.array(values, pa.string()), reasons)
    return column.to_pylist(), reasons


def test_numeric_takes_29_digits_and_rounds_beyond_nine_decimals_away_from_zero():
    values, reasons = parsed(
        "NUMERIC", "9" * 29, "0.0000000005", "-0.0000000005", "1e3", None, "9" * 29 + ".0000000004"
    )
    assert values == [Decimal("9" * 29), Decimal("1e-9"), Decimal("-1e-9"), Decimal(1000), None, Decimal("9" * 29)]
    assert reasons == {}


@pytest.mark.parametrize("text", ["1" + "0" * 29, "1e29", "1e999999", "9" * 29 + ".9999999999"])
def test_a_number_beyond_numeric_is_refused(text):
    values, reasons = parsed("NUMERIC", "1", text)
    assert values == [Decimal(1), None]
    assert "beyond NUMERIC" in reasons[1][0]


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "12a", "--1", "1,5", "0x1F"])
def test_what_is_no_number_is_refused(text):
    values, reasons = parsed("NUMERIC", text)
    assert values == [None]
    assert reasons == {0: [f"f: {text!r} is not a number"]}


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31", at(2026, 1, 31)),
        ("2026-01-31T10:20:30Z", at(2026, 1, 31, 10, 20, 30)),
        ("2026-01-31 10:20:30.123456", at(2026, 1, 31, 10, 20, 30, 123456)),
        ("2026-01-31T10:20:30+02:00", at(2026, 1, 31, 8, 20, 30)),
        ("20260131T102030Z", at(2026, 1, 31, 10, 20, 30)),
    ],
)
def test_timestamps_are_iso_8601_and_utc_where_they_name_no_zone(text, instant):
    assert parsed("TIMESTAMP", text) == ([instant], {})


@pytest.mark.parametrize("text", ["2026-02-31", "31.01.2026", "yesterday", "1700000000", "2026-01-31T25:00:00Z"])
def test_what_is_no_instant_is_refused_and_the_others_stay(text):
    values, reasons = parsed("TIMESTAMP", "2026-01-01", text, None)
    assert values == [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, None]
    assert list(reasons) == [1]


def test_truth_has_several_spellings():
    yes = ["1", "true", "TRUE", "Yes", "y", "t"]
    no = ["0", "false", "No", "n", "F"]
    values, reasons = parsed("BOOLEAN", *yes, *no, None, "maybe", "2")
    assert values == [True] * len(yes) + [False] * len(no) + [None] * 3
    assert reasons == {i: [f"f: {v!r} is none of 1, 0, true, false, yes, no"] for i, v in ((12, "maybe"), (13, "2"))}


def test_whole_numbers_floats_dates_and_json_of_columns_that_an_analyst_adds():
    assert parsed("INTEGER", "42", str(2**63 - 1), str(2**63), "1.5")[0] == [42, 2**63 - 1, None, None]
    assert parsed("FLOAT", "1.5", "1e-3", "inf", "x")[0] == [1.5, 0.001, None, None]
    assert parsed("DATE", "2026-01-31", "2026-13-01")[0] == [dt.date(2026, 1, 31), None]
    assert parsed("JSON", '{"b": 1, "a": 2}', "{")[0] == ['{"a": 2, "b": 1}', None]


def test_a_type_that_no_text_can_fill_is_refused_by_name():
    with pytest.raises(InputError, match="cannot fill a column of type GEOGRAPHY"):
        parsed("GEOGRAPHY", "POINT(1 2)")


def test_empty_and_blank_values_are_null():
    assert as_text("f", ["", "  ", " a "], {}).to_pylist() == [None, None, "a"]


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("399.0", "399", None),
        ("1,299.00 €", "1299", "EUR"),
        ("1.299,00 €", "1299", "EUR"),
        ("EUR 12,50", "12.5", "EUR"),
        ("15.00 USD", "15", "USD"),
        ("1 299,- kr", "1299", None),
        ("CHF 1'299.50", "1299.5", "CHF"),
        ("$5", "5", None),
        ("£1,299,000", "1299000", "GBP"),
        ("1.299", "1.299", None),
        ("19.989999999999998", "19.99", None),
        ("0", "0", None),
    ],
)
def test_a_price_is_read_as_shops_write_it(text, amount, currency):
    assert read_price(text) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,299", "two ways"),
        ("-5", "negative"),
        ("free", "not a number"),
        ("5 EUR $US", "currency"),
        ("€ 5 USD", "two currencies"),
        ("1.2.3", "not a number"),
        ("", "not a number"),
    ],
)
def test_a_price_that_cannot_be_read_in_one_way_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_price(text)


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_any_plain_price_is_itself_and_so_it_is_in_german(amount):
    assert read_price(str(amount))[0] == amount
    german = f"{amount:,.2f} €".translate(str.maketrans(",.", ".,"))
    assert read_price(german) == (amount, "EUR")


@given(st.text(max_size=15))
def test_no_text_at_all_breaks_the_reading_of_prices(text):
    try:
        amount, _ = read_price(text)
    except ValueError:
        return
    assert amount >= 0

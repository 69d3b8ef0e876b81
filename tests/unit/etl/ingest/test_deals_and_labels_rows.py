from __future__ import annotations

from decimal import Decimal

import pytest
from ingest_files import LABELS, staged_text

from etl.ingest.staging import _short


def deals(tmp_path, *rows):
    return staged_text(tmp_path, "deal_id,source,title,price,list_price,currency\n" + "\n".join(rows) + "\n")


def test_a_currency_beside_the_price_fills_the_empty_field_and_codes_are_upper_case(tmp_path):
    good, _ = deals(tmp_path, "1,s,tv,5 €,,", "2,s,tv,5 €,6 EUR,eur", "3,s,tv,5,,usd", "4,s,tv,5 €,,", "5,s,tv,5,,")
    assert [r.get("currency") for r in good] == ["EUR", "EUR", "USD", "EUR", None]
    assert good[1]["list_price"] == Decimal(6)


def test_a_row_that_names_two_currencies_is_refused(tmp_path):
    _, refused = deals(tmp_path, "1,s,tv,5 €,,USD", "2,s,tv,5 €,6 GBP,")
    assert [r["reason"] for r in refused] == [
        "currency: the row names EUR and USD",
        "currency: the row names EUR and GBP",
    ]


def test_a_currency_that_is_no_code_is_refused(tmp_path):
    _, refused = deals(tmp_path, "1,s,tv,5,,Euro")
    assert refused[0]["reason"] == "currency: 'Euro' is no ISO 4217 code, such as EUR"


def test_a_row_tells_all_that_is_wrong_with_it_at_once(tmp_path):
    _, refused = deals(tmp_path, ",s,,free,-1,")
    assert refused[0]["reason"] == (
        "price: 'free' is not a number; list_price: '-1' is negative; deal_id: missing; title: missing"
    )
    assert refused[0]["content"] == ",s,,free,-1,"


def test_reasons_are_counted_without_the_values_they_are_about():
    assert _short("price: 'it''s' is negative") == "price: is negative"
    assert _short("not UTF-8: byte 0xE9 at column 11") == "not UTF-8"
    assert _short("a NUL character at column 9") == "a NUL character"
    assert _short("title: missing") == "title: missing"


def test_the_same_content_has_the_same_hash_in_any_format_and_order_of_columns(tmp_path):
    hashes = [
        staged_text(tmp_path, text, name=name)[0][0]["content_hash"]
        for name, text in (
            ("a.csv", "deal_id,source,title,price,shelf\n1,s,tv,5.0,A\n"),
            ("b.csv", "shelf,price,title,source,deal_id\nA,5 ,tv,s,1\n"),
            ("c.ndjson", '{"deal_id": 1, "source": "s", "title": "tv", "price": 5, "shelf": "A", "brand": ""}'),
        )
    ]
    other = staged_text(tmp_path, "deal_id,source,title,price,shelf\n1,s,tv,5.01,A\n")[0][0]["content_hash"]
    moved = staged_text(tmp_path, "deal_id,source,title,brand,price,shelf\n1,s,,tv,5.0,A\n2,s,tv,,5,A\n")[0][0]
    assert len(set(hashes)) == 1
    assert other not in hashes
    assert moved["content_hash"] not in hashes  # another deal_id


def labels(tmp_path, text, **constants):
    given = {"left_source": "abt", "right_source": "buy", **constants}
    return staged_text(tmp_path, text, name="labels.csv", kind=LABELS, **given)


def test_a_label_needs_its_verdict(tmp_path):
    good, refused = labels(tmp_path, "left_id,right_id,is_duplicate\n1,2,1\n1,3,\n")
    assert [r["is_duplicate"] for r in good] == [True]
    assert refused[0]["reason"] == "is_duplicate: missing"


@pytest.mark.parametrize(
    ("given", "kept"), [("valid", "validation"), ("DEV", "validation"), ("train", "train"), ("", None)]
)
def test_a_split_may_have_its_usual_other_names(tmp_path, given, kept):
    good, _ = labels(tmp_path, f"left_id,right_id,is_duplicate,split\n1,2,1,{given}\n")
    assert good[0].get("split") == kept


def test_an_unknown_split_is_refused(tmp_path):
    _, refused = labels(tmp_path, "left_id,right_id,is_duplicate,split\n1,2,1,holdout\n")
    assert refused[0]["reason"] == "split: 'holdout' is none of train, validation, test"


def test_a_deal_paired_with_itself_is_refused_but_the_same_id_of_two_sources_is_not(tmp_path):
    text = "left_id,right_id,is_duplicate\n1,1,1\n"
    assert len(labels(tmp_path, text)[0]) == 1
    assert labels(tmp_path, text, right_source="abt")[1][0]["reason"] == "left_id, right_id: '1' is paired with itself"

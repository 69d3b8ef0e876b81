"""The baseline that `python -m bench blocking` holds blocking against."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from bench.blocking import nearest_titles, ordered


def test_the_nearest_titles_share_rare_words_and_are_of_other_sources() -> None:
    records = {
        ("a", "1"): "acme kettle red",
        ("a", "2"): "acme kettle blue",
        ("b", "1"): "kettle acme 1.7 l",
        ("b", "2"): "acme red toaster zx9",
        ("b", "3"): "toaster zx9",
        ("a", "3"): "bolt",
    }
    nearest = nearest_titles(records, 2)
    assert nearest["b", "3"] == []  # its words stand in its own source alone
    assert nearest["a", "2"][0] == ("b", "1")
    assert {source for deal, others in nearest.items() for source, _ in others if deal[0] == "a"} == {"b"}
    assert nearest["a", "3"] == []


def test_one_source_is_compared_with_itself_and_never_a_record_with_itself() -> None:
    nearest = nearest_titles({("a", str(n)): f"lamp model {n}" for n in range(4)}, 3)
    assert all(deal not in others and len(others) == 3 for deal, others in nearest.items())


def test_a_pair_is_one_pair_whichever_way_round() -> None:
    assert ordered(("b", "1"), ("a", "2")) == ordered(("a", "2"), ("b", "1")) == (("a", "2"), ("b", "1"))

from __future__ import annotations

import pyarrow.compute as pc
import pytest

from etl.sample_deals import World, generate_day, generate_labels

WORLD = World(3, 2000)


def truth_of(*days: int) -> dict[tuple[str, str], int]:
    found = {}
    for day in days:
        for row in generate_day(3, day, 2000).truth.to_pylist():
            found[row["source"], row["deal_id"]] = row["offer"]
    return found


def sides(row: dict[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    return (row["left_source"], row["left_id"]), (row["right_source"], row["right_id"])


def test_labels_are_about_deals_that_are_there_and_each_has_one_of_the_day():
    today, known = truth_of(3), truth_of(0, 1, 2, 3)
    for row in generate_labels(WORLD, 3, 400).to_pylist():
        left, right = sides(row)
        assert left in known
        assert right in known
        assert left != right
        assert left in today or right in today


def test_without_slips_the_verdicts_are_the_truth():
    known = truth_of(0, 1, 2, 3)
    for row in generate_labels(WORLD, 3, 400, error_rate=0).to_pylist():
        left, right = sides(row)
        assert row["is_duplicate"] == (known[left] == known[right])


def test_reviewers_slip_as_often_as_they_are_said_to():
    honest = generate_labels(WORLD, 3, 1000, error_rate=0)
    human = generate_labels(WORLD, 3, 1000, error_rate=0.1)
    assert honest.drop("is_duplicate") == human.drop("is_duplicate")
    slips = pc.sum(pc.not_equal(honest["is_duplicate"], human["is_duplicate"])).as_py()
    assert 60 < slips < 140  # 1000 * 0.1, four standard deviations of 9.5 to each side


def test_shares_are_kept_and_no_pair_is_labelled_twice():
    made = generate_labels(WORLD, 3, 500, positives=0.3, error_rate=0)
    assert made.num_rows == 500
    assert pc.sum(made["is_duplicate"]).as_py() == 150
    assert len({frozenset(sides(row)) for row in made.to_pylist()}) == 500


def test_the_same_day_gives_the_same_labels_and_another_day_others():
    assert generate_labels(WORLD, 2, 50) == generate_labels(WORLD, 2, 50)
    pairs = [{frozenset(sides(r)) for r in generate_labels(WORLD, day, 200).to_pylist()} for day in (1, 2)]
    assert not pairs[0] & pairs[1]


def test_most_negatives_look_like_duplicates():
    known = truth_of(0, 1, 2, 3)
    negatives = [sides(r) for r in generate_labels(WORLD, 3, 500, error_rate=0).to_pylist() if not r["is_duplicate"]]
    same_pack = sum(known[left] // 6 == known[right] // 6 for left, right in negatives)
    assert same_pack / len(negatives) == pytest.approx(0.85, abs=0.02)


def test_a_day_too_small_for_so_many_labels_gives_fewer():
    made = generate_labels(World(1, 20), 0, 1000)
    assert 0 < made.num_rows < 200


def test_text_alone_does_not_tell_duplicates():
    """Titles of hard pairs overlap as much as those of true ones: the best threshold on their overlap stays weak."""
    titles = {}
    for day in range(4):
        for row in generate_day(3, day, 2000).deals.to_pylist():
            titles[row["source"], row["deal_id"]] = set(row["title"].lower().split())
    scored = []
    for row in generate_labels(WORLD, 3, 800, error_rate=0).to_pylist():
        left, right = (titles[side] for side in sides(row))
        scored.append((len(left & right) / len(left | right), row["is_duplicate"]))
    total = sum(true for _, true in scored)

    def f1(threshold: float) -> float:
        hits = sum(true for score, true in scored if score >= threshold)
        return 2 * hits / (total + sum(score >= threshold for score, _ in scored))

    assert max(f1(score) for score, _ in scored) < 0.75

"""Splink on DuckDB over deals in a Parquet file; runs in an environment of its own and knows nothing of bqloop.

    python peers_splink.py DEALS.parquet LABELS.parquet PAIRS.parquet [--labels] --threads 4 --memory 8GB

Set up as its documentation and its authors' discussions advise for names made of many words: words weighed by their
rarity, several blocking rules on rare values, exploded arrays of rare words among them, u by random sampling; m by
expectation maximisation, or with --labels from the pairs that people called duplicates. It gets the text cleaned, and
prices in one currency. Pairs from a probability of 0.99 are called duplicates: on these deals that gave a better F1 than
0.5, 0.9 or 0.999, and than the threshold that is best on the labels. Writes the pairs with their probability and prints
one line of JSON: seconds by step, pairs, clusters, peak memory.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import duckdb
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import Linker, SettingsCreator, block_on
from splink.internals.duckdb.database_api import DuckDBAPI

PREPARE = (Path(__file__).parent / "peers_splink.sql").read_text()
THRESHOLD = 0.99
RULES = [
    block_on("model"),
    block_on("rare_words", arrays_to_explode=["rare_words"]),
    block_on("rare_pairs", arrays_to_explode=["rare_pairs"]),
]


def words_alike() -> cl.CustomComparison:
    """The share of two titles' words that they have in common, rare words counting more."""
    alike = "words_alike(words_l, words_r, words_weight_l, words_weight_r)"
    levels = [cll.NullLevel("words_weight")]
    levels += [cll.CustomLevel(f"{alike} >= {least}", f"at least {least}") for least in (0.8, 0.6, 0.45, 0.3, 0.15)]
    return cl.CustomComparison([*levels, cll.ElseLevel()], output_column_name="words_weight")


def prices_alike() -> cl.CustomComparison:
    """How far two prices in one currency are apart."""
    ratio = "least(price_l, price_r) / greatest(price_l, price_r)"
    levels = [cll.NullLevel("price")]
    levels += [cll.CustomLevel(f"{ratio} >= {least}", f"at least {least}") for least in (0.98, 0.9, 0.75, 0.5)]
    return cl.CustomComparison([*levels, cll.ElseLevel()], output_column_name="price")


def settings() -> SettingsCreator:
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            words_alike(),
            cl.LevenshteinAtThresholds("model", [1, 2]).configure(term_frequency_adjustments=True),
            cl.ArrayIntersectAtSizes("sizes", [2, 1]),
            cl.ExactMatch("brand").configure(term_frequency_adjustments=True),
            prices_alike(),
            cl.ExactMatch("merchant").configure(term_frequency_adjustments=True),
        ],
        blocking_rules_to_generate_predictions=RULES,
        retain_matching_columns=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deals", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--labels", dest="learn_from_labels", action="store_true")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--memory", default="8GB")
    given = parser.parse_args()
    con = duckdb.connect(config={"threads": given.threads, "memory_limit": given.memory})
    seconds: dict[str, float] = {}
    began = time.monotonic()

    def lap(step: str) -> None:
        seconds[step] = time.monotonic() - began - sum(seconds.values())

    con.execute(PREPARE.replace("DEALS", str(given.deals))).fetchall()
    database = DuckDBAPI(connection=con)
    linker = Linker(database.register("deals"), settings(), log_level=None)
    lap("prepare")
    training = linker.training
    training.estimate_probability_two_random_records_match([block_on("model", "brand")], recall=0.3)
    training.estimate_u_using_random_sampling(max_pairs=1_000_000, min_count_per_level=None, seed=1)
    if given.learn_from_labels:
        con.execute(DUPLICATES, [str(given.labels)]).fetchall()
        training.estimate_m_from_pairwise_labels(database.register("duplicates"))
    else:
        training.estimate_parameters_using_expectation_maximisation(block_on("model"), record_sample_proportion=1.0)
        training.estimate_parameters_using_expectation_maximisation(
            block_on("brand", "price"), record_sample_proportion=1.0
        )
    lap("train")
    predicted = linker.inference.predict(threshold_match_probability=0.001)
    con.execute(f"CREATE TABLE scored AS SELECT * FROM {predicted.physical_name}").fetchall()
    lap("predict")
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
        predicted, threshold_match_probability=THRESHOLD
    )
    count = con.execute(f"SELECT COUNT(DISTINCT cluster_id) FROM {clusters.physical_name}").fetchall()[0][0]
    lap("cluster")
    con.execute(f"COPY ({PAIRS.replace('$1', str(THRESHOLD))}) TO '{given.pairs}' (FORMAT parquet)").fetchall()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    pairs = con.execute("SELECT COUNT(*) FROM scored").fetchall()[0][0]
    told = {"seconds": seconds, "threshold": THRESHOLD, "pairs": pairs, "clusters": count, "peak_gb": peak}
    print(json.dumps(told))


DUPLICATES = """
CREATE TABLE duplicates AS
SELECT DISTINCT
  least(left_source || '/' || left_id, right_source || '/' || right_id) AS unique_id_l,
  greatest(left_source || '/' || left_id, right_source || '/' || right_id) AS unique_id_r
FROM read_parquet(?)
WHERE is_duplicate
"""
PAIRS = """
SELECT unique_id_l AS one_id, unique_id_r AS two_id, match_probability AS probability, match_probability >= $1 AS called
FROM scored
"""

if __name__ == "__main__":
    main()

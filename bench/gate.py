"""How often the gate errs, and how often it sees a better challenger: a simulation with the model's own policy.

Champion and challenger score the same pairs; pairs come in entity groups whose difficulty is their own, most of the noise is
common to both models, and each has some of its own. The challenger's threshold is chosen on the rows that judge it, the
champion's on others, as in the loop. Every trial ends in `deployment.gate.decide`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bench import gate_statistics as statistics
from bench.gate_plot import power_curves_svg
from deployment.evidence import Comparison, Evidence, ModelEvidence
from deployment.gate import Verdict, decide
from deployment.gate_policy import GatePolicy
from etl.model_policy import load_policy


@dataclass(frozen=True)
class Sample:
    """One validation set: the group and the label of each pair, and what both models say of it."""

    group: statistics.Ints
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]]
    champion: statistics.Floats
    challenger: statistics.Floats


def sample(random: Generator, groups: int, positives: float, better: float) -> Sample:
    """Draw a validation set.

    Args:
        random: Where chance comes from.
        groups: Entity groups, of two pairs in the mean.
        positives: Share of the pairs that are duplicates.
        better: How much farther the challenger sets duplicates apart, in standard deviations of the noise.
    """
    group = np.repeat(np.arange(groups), random.geometric(0.5, groups))
    rows = len(group)
    positive = random.random(rows) < positives
    common = random.normal(size=rows) + 0.5 * random.normal(size=groups)[group]

    def scores(strength: float) -> statistics.Floats:
        latent = strength * positive + math.sqrt(0.7) * common + math.sqrt(0.3) * random.normal(size=rows)
        result: statistics.Floats = 1 / (1 + np.exp(2.0 - latent))
        return result

    return Sample(group, positive, scores(2.4), scores(2.4 + better))


def trial(
    random: Generator, policy: GatePolicy, groups: int, positives: float, better: float
) -> tuple[bool, bool, float]:
    """One challenger before the gate: whether the whole policy promotes it, whether the primary metric alone would, and
    by how much its average precision is better on these rows.
    """
    drawn = random.poisson(1, (1000, groups))
    known = sample(random, groups, positives, 0.0)
    frozen = statistics.best_threshold(known.positive, known.champion, 1.0)
    rows = sample(random, groups, positives, better)
    chosen = statistics.best_threshold(rows.positive, rows.challenger, 1.0)
    values, replicates, models = {}, {}, {}
    for name, scores, threshold in (("champion", rows.champion, frozen), ("tree", rows.challenger, chosen)):
        values[name] = statistics.average_precision(rows.positive, scores)
        replicates[name] = statistics.average_precisions(rows.positive, scores, rows.group, drawn)
        models[name] = ModelEvidence(
            name=name,
            threshold=threshold,
            row_count=len(rows.group),
            positives=int(rows.positive.sum()),
            negatives=int((~rows.positive).sum()),
            entity_groups=groups,
            rows_fingerprint=0,
            metrics={
                "average_precision": values[name],
                "f1_score": statistics.f1_score(rows.positive, scores, threshold),
            },
        )
    difference = values["tree"] - values["champion"]
    lower, upper = statistics.bounds(replicates["tree"] - replicates["champion"], difference, policy.confidence)
    comparison = Comparison(
        candidate="tree",
        metric="average_precision",
        difference=difference,
        lower=lower,
        upper=upper,
        confidence=policy.confidence,
        replicates=1000,
    )
    evidence = Evidence(candidates=(models["tree"],), champion=models["champion"], comparisons=(comparison,))
    return decide(policy, evidence).verdict is Verdict.PROMOTE, lower > policy.minimum_improvement, difference


def main(arguments: list[str]) -> None:
    """Print a row a setting: how many of the trials were promoted."""
    parser = argparse.ArgumentParser(prog="python -m bench gate", description=__doc__)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--groups", type=int, nargs="+", default=[60, 150, 600])
    parser.add_argument("--better", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
    parser.add_argument("--positives", type=float, default=0.15)
    parser.add_argument("--svg", type=Path, help="draw the power curves into this file")
    options = parser.parse_args(arguments)
    # Slices are left out: the simulated pairs have none, and the rule can only make a promotion rarer.
    policy = GatePolicy.model_validate({**load_policy("deal_duplicates").gate, "slices": None})
    error = 1 - policy.confidence
    allowed = error + 1.645 * math.sqrt(error * (1 - error) / options.trials)
    print(
        f"{options.trials} trials each; stated error rate {error:.1%} (up to {allowed:.1%} is chance at this many trials)"
    )
    print(f"{'groups':>7}{'positives':>11}{'better by':>11}{'AP gain':>9}{'promoted':>10}{'by AP alone':>13}")
    curves: dict[str, list[tuple[float, float]]] = {}
    for groups in options.groups:
        for better in options.better:
            random = np.random.default_rng(options.seed)
            found = [trial(random, policy, groups, options.positives, better) for _ in range(options.trials)]
            promoted, alone, gains = (np.mean([row[place] for row in found]) for place in range(3))
            positives = 2 * groups * options.positives
            # An equal challenger gains nothing but by chance, and a drawn gain is of one sample.
            curves.setdefault(f"{positives:.0f} duplicates", []).append(
                (float(gains) if better else 0.0, float(promoted))
            )
            print(f"{groups:7d}{positives:11.0f}{better:11.1f}{gains:+9.3f}{promoted:10.1%}{alone:13.1%}", flush=True)
    if options.svg:
        options.svg.write_text(power_curves_svg(curves, error=error, trials=options.trials), encoding="utf-8")

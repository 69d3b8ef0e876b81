"""While two versions answer, the index is of one of them; the other computes from the deals as they came."""

from __future__ import annotations

import pyarrow as pa
import pytest

from deployment.stages.run import policy_of
from etl.templates import Templates
from functions.service.compact_index import CompactIndex
from functions.service.feature_program import FeatureProgram
from functions.service.policy import serving_policy
from tests.unit.functions.service.first_guess import weights_of_the_first_guess
from tests.unit.functions.service.small_service import KNOWN, MODEL


def program(deals: int) -> FeatureProgram:
    templates = Templates.from_tree(MODEL)
    policy = policy_of(templates)
    frozen = {
        "token_stats": pa.table({"field": ["", "word"], "token": ["", "sony"], "deals": [deals, 4]}),
        "key_stats": pa.table({"key": ["sony"], "deals": [4]}),
        "guess_weights": weights_of_the_first_guess(),
    }
    return FeatureProgram(templates, policy, serving_policy(policy), frozen)


@pytest.mark.parametrize("of_the_index", [True, False])
def test_a_judged_pair_of_a_deal_that_the_index_does_not_know_is_no_rival_and_no_error(of_the_index: bool) -> None:
    mine, theirs = program(8), program(80)
    assert mine.compiled is not None
    index = CompactIndex.of(mine.compiled, KNOWN)
    asked = (("a", "0"), ("b", "0"))
    unknown = (("a", "0"), ("z", "long ago"))
    version = mine if of_the_index else theirs
    with_it = index.request([]).features(version, [asked], [unknown])
    without = index.request([]).features(version, [asked])
    assert with_it == without
    assert len(with_it) == 1

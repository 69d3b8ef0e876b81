"""The traffic rules hold whatever is asked for, in whatever order."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from infra.local.vertex.errors import ApiError
from infra.local.vertex.serving import Route, ServedModel
from infra.local.vertex.traffic import NEW_MODEL, check_split, split_at_deploy, split_at_undeploy

IDS = ["1", "2", "3"]
SPLITS = st.one_of(
    st.just({}),
    st.dictionaries(st.sampled_from([NEW_MODEL, *IDS]), st.integers(-10, 110)),
    # Half of what is asked for adds up, else nearly everything would be refused.
    st.tuples(st.sampled_from([NEW_MODEL, *IDS]), st.sampled_from(IDS), st.integers(0, 100)).map(
        lambda drawn: {drawn[1]: drawn[2], drawn[0]: 100 if drawn[0] == drawn[1] else 100 - drawn[2]}
    ),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["deploy", "undeploy", "update"]), st.sampled_from(IDS), SPLITS), max_size=12
)


@given(STEPS)
def test_traffic_goes_to_deployed_models_only_and_adds_up_after_every_step(
    steps: list[tuple[str, str, dict[str, int]]],
) -> None:
    deployed: list[str] = []
    split: dict[str, int] = {}
    for action, model, wanted in steps:
        with contextlib.suppress(ApiError):
            if action == "deploy" and model not in deployed:
                split = split_at_deploy(split, wanted, model, deployed)
                deployed.append(model)
            elif action == "undeploy" and model in deployed:
                split = split_at_undeploy(split, wanted, model, deployed)
                deployed.remove(model)
            elif action == "update":
                check_split(wanted, deployed)
                split = wanted
        assert set(split) <= set(deployed)
        assert sum(split.values()) == 100 or not any(split.values())


@given(st.integers(1, 99), st.floats(0, 1, exclude_max=True))
def test_a_draw_falls_into_the_share_that_covers_it(share: int, chance: float) -> None:
    models = {key: ServedModel(key, f"m@{key}", None, {}) for key in ("1", "2", "3")}
    drawn = Route(models, {"1": share, "2": 0, "3": 100 - share}).draw(chance)
    assert drawn is models["1" if chance * 100 < share else "3"]


def test_without_traffic_nobody_is_drawn() -> None:
    assert Route({}, {}).draw(0.5) is None

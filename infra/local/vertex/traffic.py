"""The rules of an endpoint's traffic split, as the API documents them. Pure: splits in, splits or an error out."""

from collections.abc import Collection, Mapping
from typing import Any

from infra.local.vertex.errors import invalid, precondition

# How a deploy request names the model that it is just deploying.
NEW_MODEL = "0"


def parse_split(given: Any) -> dict[str, int]:
    """Read a `trafficSplit` from JSON; int32 values may come as numbers or as strings of digits."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid("traffic_split must be a map from DeployedModel IDs to percentages.")
    split: dict[str, int] = {}
    for key, value in given.items():
        if isinstance(value, bool) or not str(value).removeprefix("-").isdigit():
            raise invalid(f"traffic_split[{key!r}] must be a whole number, not {value!r}.")
        split[key] = int(value)
    return split


def check_split(split: Mapping[str, int], deployed: Collection[str]) -> None:
    """Raise unless the split is empty, or its keys are deployed and its values from 0 to 100 add up to 100."""
    if not split:
        return
    unknown = sorted(set(split) - set(deployed))
    if unknown:
        raise invalid(
            f"traffic_split contains DeployedModel IDs that are not deployed on this Endpoint: {', '.join(unknown)}."
        )
    outside = {key: value for key, value in split.items() if not 0 <= value <= 100}
    if outside:
        raise invalid(f"traffic_split percentages must be between 0 and 100, got {outside}.")
    total = sum(split.values())
    if total != 100:
        raise invalid(f"traffic_split percentages must add up to 100, got {total}.")


def split_at_deploy(
    current: Mapping[str, int], given: Mapping[str, int], new_id: str, deployed: Collection[str]
) -> dict[str, int]:
    """The split after a deployment: `given` with "0" replaced by the new ID; the current one if none was given."""
    if not given:
        return dict(current)
    if new_id in given:
        raise invalid(f'traffic_split must name the model that is being deployed "{NEW_MODEL}", not {new_id}.')
    replaced = {new_id if key == NEW_MODEL else key: value for key, value in given.items()}
    check_split(replaced, {*deployed, new_id})
    return replaced


def split_at_undeploy(
    current: Mapping[str, int], given: Mapping[str, int], leaving: str, deployed: Collection[str]
) -> dict[str, int]:
    """The split after an undeployment; refused while the leaving model still has traffic and others stay."""
    staying = set(deployed) - {leaving}
    if not staying:
        return {}
    if given:
        if given.get(leaving, 0) > 0:
            raise invalid(f"traffic_split must not give traffic to DeployedModel {leaving}, which is being undeployed.")
        kept = {key: value for key, value in given.items() if key != leaving}
        check_split(kept, staying)
        return kept
    if current.get(leaving, 0) > 0:
        raise precondition(
            f"DeployedModel {leaving} has {current[leaving]}% of the traffic: move it in traffic_split to undeploy it."
        )
    return {key: value for key, value in current.items() if key != leaving}

"""The section `serving:` of a model's policy: which of its templates the service runs, and its limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl.errors import ConfigurationError
from etl.model_policy import ModelPolicy


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lookup(_Section):
    """How a frozen table, too large to be read whole at each request, is looked up.

    Attributes:
        key: Its key columns.
        of: The run table whose rows are looked up, by columns of the same names.
        always: Keys that are wanted at every request.
    """

    key: tuple[str, ...] = Field(min_length=1)
    of: str
    always: tuple[dict[str, str], ...] = ()


class Nearest(_Section):
    """How far a deal looks around in the block of a key, so that a request need not read a block that has grown large.

    Attributes:
        by: Columns of the first `indexed` table, numbers or dates without NULLs, in whose order the deals of a block stand.
        reach: The parameter that says how many deals before and behind a deal it meets at most.
    """

    by: tuple[str, ...] = Field(min_length=1)
    reach: str


class Candidates(_Section):
    """How candidates of new deals are found.

    Attributes:
        pairs: The run table of candidate pairs.
        keys: The run table of keys by which deals find each other.
        key: Its column that two deals must share.
        asking: Alias in `pairs` of the deals that choose; those of a request alone do.
        indexed: Run tables that are kept for all known deals, `keys` among them; each has a column `deal_key`.
        nearest: Which deals of a block `pairs` lets a deal meet, where it does not meet all of them.
        index: Where known deals are looked up: in `memory` (or in files that processes share), or in `bigquery` itself.
    """

    pairs: str = "candidate_pairs"
    keys: str = "deal_keys"
    key: str = "key"
    asking: str = "mine"
    indexed: tuple[str, ...] = ("clean_deals", "deal_norms", "deal_keys")
    nearest: Nearest | None = None
    index: Literal["memory", "bigquery"] = "memory"


class Feedback(_Section):
    """When what people say becomes a label; sql/<model>/serve/labels_from_feedback.sql says what each key does.

    Attributes:
        labels_per_voice: Labels a day that one person can make without anybody agreeing.
    """

    labels_per_voice: int = Field(default=50, ge=1)


class ServingPolicy(_Section):
    """What the service has to know of a model.

    Attributes:
        deals: The table that the deals of a request stand for.
        pairs: The run table with the pairs whose features are asked for.
        features: The run table with the features.
        ranked: The run table by which pairs are ranked among their rivals, if each of its rows follows from its own pair
            alone: the index then keeps the rows of known pairs. Has columns left_key and right_key.
        rival: Alias under which the templates read the rivals, from that table or what follows from it.
        lookups: Frozen tables that are looked up by key; all others are small and read whole.
        candidates: How candidates are found.
        index_days: Deals seen in that many days are kept in the index.
        max_deals: Deals in one request.
        max_pairs: Pairs in one request.
        max_rows: Rows in one request, of a model of single rows.
        refresh_seconds: How often the service looks whether another version serves, and for new deals.
        feedback: What becomes of verdicts.
        monitor: What the stage `monitor` watches; validated by `deployment.stages.monitor`.
    """

    deals: str = "raw_deals"
    pairs: str = "compared_pairs"
    features: str = "pair_features"
    ranked: str | None = None
    rival: str = "rival"
    lookups: dict[str, Lookup] = {}
    candidates: Candidates = Candidates()
    index_days: int = Field(default=90, ge=1)
    max_deals: int = Field(default=100, ge=1)
    max_pairs: int = Field(default=1000, ge=1)
    max_rows: int = Field(default=1000, ge=1)
    refresh_seconds: float = Field(default=30, gt=0)
    feedback: Feedback = Feedback()
    monitor: dict[str, Any] = {}


_ABOUT_TEMPLATES = frozenset({"deals", "pairs", "features", "ranked", "rival", "lookups", "candidates"})


def kept_serving_policy(policy: ModelPolicy) -> ServingPolicy:
    """What the section of a run says of that run's templates; limits and the like are those in force, not those of then."""
    about_templates = {key: value for key, value in policy.serving.items() if key in _ABOUT_TEMPLATES}
    return serving_policy(policy.model_copy(update={"serving": about_templates}))


def serving_policy(policy: ModelPolicy) -> ServingPolicy:
    """Validate the section.

    Raises:
        ConfigurationError: A key is unknown or wrong; the text names it.
    """
    try:
        return ServingPolicy.model_validate(policy.serving)
    except ValidationError as error:
        lines = [f"  serving.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"sql/{policy.model}/model.yml is wrong:\n" + "\n".join(lines)) from error

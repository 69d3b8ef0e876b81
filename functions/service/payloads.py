"""What the service takes and gives, validated at the edge; its OpenAPI document is made of these models."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the character NUL")
    return text


def _in_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from error


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 -- pydantic wants a ValueError
    return value


Word = Annotated[str, Field(max_length=1_000), AfterValidator(_without_nul)]
Line = Annotated[str, Field(max_length=10_000), AfterValidator(_without_nul)]
Text = Annotated[str, Field(max_length=100_000), AfterValidator(_without_nul)]
Name = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_without_nul)]
Moment = Annotated[dt.datetime, AfterValidator(_in_utc)]
Amount = Annotated[
    Decimal,
    BeforeValidator(_no_boolean),
    Field(ge=0, max_digits=38, decimal_places=9, allow_inf_nan=False),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DealIn(_Body):
    """A deal: given whole, with its title; or by source and deal_id alone, and looked up."""

    source: Name = Field(description="Who told us: a shop, a feed, a community")
    deal_id: Name = Field(description="Unique within its source")
    title: Line | None = Field(
        default=None, min_length=1, description="As posted; leave out to have the deal looked up"
    )
    description: Text | None = None
    brand: Word | None = None
    model_number: Word | None = None
    category: Word | None = None
    merchant: Word | None = None
    url: Line | None = None
    price: Amount | None = Field(default=None, description="What the buyer pays, in `currency`")
    list_price: Amount | None = Field(default=None, description="What it is said to have cost before")
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217")
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    attributes: dict[str, Any] | None = Field(default=None, description="Whatever else; no feature reads it")

    @model_validator(mode="after")
    def _is_whole_or_a_reference(self) -> Self:
        more = self.model_fields_set - {"source", "deal_id", "title"}
        if self.title is None and more:
            raise ValueError(f"a deal given whole needs a title (there is {', '.join(sorted(more))})")
        return self

    @property
    def key(self) -> tuple[str, str]:
        """Its source and ID."""
        return self.source, self.deal_id

    @property
    def row(self) -> dict[str, Any]:
        """Its columns as raw_deals has them."""
        return self.model_dump(exclude={"attributes"})


class PairIn(_Body):
    """Two deals; their order does not matter."""

    left: DealIn
    right: DealIn

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.left.key == self.right.key:
            raise ValueError("left and right are the same deal")
        return self


class ScoreRequest(_Body):
    """Pairs of deals to be scored."""

    pairs: list[PairIn] = Field(min_length=1)
    rivals: Literal["index", "request"] = Field(
        default="index",
        description="Whom a pair is held against: the other candidates of its deals, or the pairs of this request alone",
    )
    explain: bool = Field(default=False, description="Tell which features weighed most")
    features: bool = Field(default=False, description="Give the features as they were sent to the model")


class DuplicatesRequest(_Body):
    """New deals whose duplicates are wanted."""

    deals: list[DealIn] = Field(min_length=1)
    all_candidates: bool = Field(default=False, description="Give candidates below the threshold too")
    explain: bool = Field(default=True, description="Tell which features weighed most, for the duplicates")
    features: bool = Field(default=False, description="Give the features as they were sent to the model")


class DealRef(_Body):
    """Source and ID of a deal."""

    source: Name
    deal_id: Name

    @property
    def key(self) -> tuple[str, str]:
        """Its source and ID."""
        return self.source, self.deal_id


class FeedbackRequest(_Body):
    """A person's verdict on a pair."""

    left: DealRef
    right: DealRef
    is_duplicate: Annotated[bool, Field(strict=True)]
    given_by: Name = Field(description="Who says so: a pseudonym will do, the same for the same person")
    reason: Line | None = None
    request_id: str | None = Field(default=None, pattern="^[0-9a-f-]{36}$", description="The answer that it is about")
    asked: bool = Field(default=False, description="Whether the review queue asked for it")

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.left.key == self.right.key:
            raise ValueError("left and right are the same deal")
        return self


class Attribution(BaseModel):
    """How much one feature moved the probability: with it as it is, less with it at its mean in training."""

    feature: str
    attribution: float


class Scored(BaseModel):
    """What the model says of one pair."""

    left: DealRef
    right: DealRef
    probability: float
    is_duplicate: bool
    top_attributions: list[Attribution] | None = None
    features: dict[str, Any] | None = None


class _Answer(BaseModel):
    request_id: str
    model: str
    version: str | None = Field(description="Version in the model registry that answered")
    deployed_model: str | None = Field(description="Deployed model of the endpoint that answered")
    threshold: float | None = Field(description="From this probability on the version says yes")


class ScoreAnswer(_Answer):
    """The pairs in the order of the request."""

    results: list[Scored]


class Found(BaseModel):
    """What was found for one deal; most probable first."""

    deal: DealRef
    candidates: int = Field(description="How many pairs were looked at")
    duplicates: list[Scored]


class DuplicatesAnswer(_Answer):
    """The deals in the order of the request."""

    results: list[Found]


class FeedbackAnswer(BaseModel):
    """The verdict is kept; whether it becomes a label is decided by sql/<model>/serve/labels_from_feedback.sql."""

    feedback_id: str
    request_id: str


class ProblemAnswer(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] = []

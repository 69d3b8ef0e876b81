"""What `POST /models/<model>/predict` takes and gives; the columns of a row are the model's own, so they are no fields here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class PredictRequest(BaseModel):
    """Rows to ask about."""

    model_config = ConfigDict(extra="forbid")

    instances: list[dict[str, JsonValue]] = Field(
        min_length=1, description="One object a row: values by column of the model's table of rows, its keys at least"
    )
    features: bool = Field(default=False, description="Whether to answer with the features that were computed, too")


class Predicted(BaseModel):
    """What the version says of one row."""

    keys: dict[str, JsonValue] = Field(description="The columns that name the row")
    prediction: float | None = Field(default=None, description="Of a regression: the label as the version expects it")
    probability: float | None = Field(default=None, description="Of a classification: how likely the row is positive")
    is_positive: bool | None = Field(default=None, description="Whether the probability reaches the threshold")
    features: dict[str, JsonValue] | None = Field(default=None, description="The features as the endpoint was asked")


class PredictAnswer(BaseModel):
    """The answer; predictions stand in the order of the instances."""

    request_id: str
    model: str
    version: str = Field(description="The version in the model registry that answered")
    deployed_model: str
    threshold: float | None = Field(
        default=None, description="Of a classification: from this probability on it says yes"
    )
    predictions: list[Predicted]

"""Features of single rows in the service: the model's own SQL over rows of the columns that its table has."""

from __future__ import annotations

import pytest

from etl.errors import ConfigurationError, TemplateError
from etl.model_policy import parse_policy
from etl.templates import Templates
from functions.service.policy import serving_policy
from functions.service.row_program import RowProgram

POLICY = """
owner: a@b.c
description: d
task: regression
rows: things
label: price
keys: [id]
parameters: {scale: 2.0}
freshness: {min_new_rows: 1, min_new_labels: 1, min_labels: 2, max_age_days: 1}
gate: {}
serving: {features: row_features}
"""
TABLE = """
CREATE TABLE IF NOT EXISTS {{ table.things }} (
  id STRING NOT NULL OPTIONS (description = 'a, (b)'),
  size FLOAT64,
  pieces INT64,
  is_new BOOL,
  made DATE,
  worth NUMERIC,
  notes JSON,
  price FLOAT64,
  ingested_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP() NOT NULL
)
PARTITION BY DATE(ingested_at)
"""
SCALED = """
CREATE OR REPLACE TABLE {{ run_table.scaled }} AS
SELECT id, size * @scale AS size, pieces, is_new, made, worth FROM {{ table.things }} WHERE ingested_at <= @as_of
"""
FEATURES = """
CREATE OR REPLACE TABLE {{ run_table.row_features }} AS
SELECT id, size, COALESCE(pieces, 0) AS pieces, is_new, DATE_DIFF(DATE '2026-01-03', made, DAY) AS age, worth
FROM {{ run_table.scaled }}
WHERE id != 'left out'
"""


def program(features: str = FEATURES) -> RowProgram:
    sources = {
        "m/model.yml": POLICY,
        "m/tables/things.sql": TABLE,
        "m/features/scaled.sql": SCALED,
        "m/features/row_features.sql": features,
    }
    policy = parse_policy("m", POLICY, source="model.yml")
    return RowProgram(Templates("m", sources), policy, serving_policy(policy), {})


def test_rows_go_through_the_models_own_sql() -> None:
    rows = [
        {"id": "a", "size": 1.5, "pieces": 3, "is_new": True, "made": "2026-01-01", "worth": "1.25"},
        {"id": "b"},
        {"id": "left out"},
    ]

    found = {row["id"]: row for row in program().compute(rows)}

    assert found == {
        "a": {"id": "a", "size": 3.0, "pieces": 3, "is_new": True, "age": 2, "worth": 1.25},
        "b": {"id": "b", "size": None, "pieces": 0, "is_new": None, "age": None, "worth": None},
    }


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ({"id": "a", "size": 2, "pieces": 3.0, "made": "2026-01-01", "worth": 1}, []),
        ({"id": "a", "size": "2"}, ["/size must be a number"]),
        ({"id": "a", "size": True}, ["/size must be a number"]),
        ({"id": "a", "pieces": 1.5}, ["/pieces must be a whole number"]),
        ({"id": "a", "pieces": 2**70}, ["/pieces must be a whole number"]),
        ({"id": 7}, ["/id must be a string"]),
        ({"id": "a", "is_new": 1}, ["/is_new must be true or false"]),
        ({"id": "a", "made": "tomorrow"}, ["/made must be a date such as 2026-11-21"]),
        ({"id": "a", "ingested_at": "08:00"}, ["/ingested_at must be an instant such as 2026-11-21T08:00:00Z"]),
        ({"size": 1.0}, ["/id missing; it names the row"]),
        ({"id": "a", "notes": {}}, ["/notes there is no such column; there are id, size"]),
    ],
)
def test_a_wrong_value_is_named_by_its_column(row: dict[str, object], faults: list[str]) -> None:
    found = [f"{fault.pointer} {fault.detail}" for fault in program().faults("", row)]

    assert len(found) == len(faults)
    assert all(one.startswith(said) for one, said in zip(found, faults, strict=True))


def test_a_function_that_nobody_has_compared_is_refused_when_the_version_is_loaded() -> None:
    with pytest.raises(TemplateError, match="SOUNDEX"):
        program(FEATURES.replace("COALESCE(pieces, 0)", "SOUNDEX(id)"))


def test_a_parameter_that_the_policy_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="@since"):
        program(FEATURES.replace("id != 'left out'", "pieces > @since"))

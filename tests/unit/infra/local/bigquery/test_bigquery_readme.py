"""The README's table of the local BigQuery against the local BigQuery."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.api_core import exceptions

README = Path(__file__).parents[5] / "infra/local/README.md"

CARRIED_OUT = {
    "ASSERT": "ASSERT TRUE AS 'fine'",
    "MERGE": "MERGE d.readme t USING (SELECT 2 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT ROW",
    "EXPORT DATA": "EXPORT DATA OPTIONS (uri = 'gs://readme/*.csv', overwrite = TRUE) AS SELECT 1 AS a",
    "transactions": "BEGIN TRANSACTION; DELETE FROM d.readme WHERE FALSE; COMMIT TRANSACTION",
    "JOBS for a region": "SELECT COUNT(*) FROM `region-us`.INFORMATION_SCHEMA.JOBS",
    "clones": "CREATE OR REPLACE TABLE d.readme_clone CLONE d.readme",
}
REFUSED = {
    "GEOGRAPHY": "SELECT ST_GEOGPOINT(1, 2)",
    "ML.FORECAST": "SELECT * FROM ML.FORECAST(MODEL d.readme)",
    "FOR SYSTEM_TIME AS OF on a view": "SELECT * FROM d.readme_view FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
    "remote and imported models": "CREATE MODEL d.readme_model OPTIONS (model_type = 'tensorflow', model_path = 'gs://x')",
}


@pytest.fixture(scope="module", autouse=True)
def tables(rows):
    rows("CREATE OR REPLACE TABLE d.readme AS SELECT 1 AS a")
    rows("CREATE OR REPLACE VIEW d.readme_view AS SELECT * FROM d.readme")


@pytest.mark.parametrize("said", CARRIED_OUT)
def test_what_the_readme_says_is_carried_out_is(rows, said):
    assert said in README.read_text(encoding="utf-8")
    rows(CARRIED_OUT[said])


@pytest.mark.parametrize("said", REFUSED)
def test_what_the_readme_says_is_refused_is(rows, said):
    assert said in README.read_text(encoding="utf-8")
    with pytest.raises(exceptions.GoogleAPICallError):
        rows(REFUSED[said])

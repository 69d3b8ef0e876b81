"""Extract jobs: of tables bqemulator's, of models (`bq extract -m`) what EXPORT MODEL does."""

from __future__ import annotations

from collections.abc import Callable

from .errors import BigQueryError
from .job import Job, Outcome
from .ml.model_ddl import ModelDdl

FORMATS = ("ML_TF_SAVED_MODEL", "ML_XGBOOST_BOOSTER")


class ExtractJobs:
    """Carries out extract jobs."""

    def __init__(self, tables: Callable[[Job], Outcome], models: ModelDdl) -> None:
        self._tables = tables
        self._models = models

    def run(self, job: Job) -> Outcome:
        """Carry out the job.

        Raises:
            DomainError: as BigQuery would fail it.
        """
        source = job.section.get("sourceModel")
        if source is None:
            return self._tables(job)
        uris = job.section.get("destinationUris") or [job.section.get("destinationUri") or ""]
        if len(uris) != 1:
            raise BigQueryError("invalid", "A model is extracted to one destinationUri, a folder in Cloud Storage")
        said = job.section.get("destinationFormat")
        if said is not None and said not in FORMATS:
            raise BigQueryError("invalid", f"destinationFormat {said} is none of a model's: {', '.join(FORMATS)}")
        trial = (job.section.get("modelExtractOptions") or {}).get("trialId")
        key = (source.get("projectId") or job.project, source["datasetId"], source["modelId"])
        written = self._models.export_to(key, uris[0], int(trial) if trial else None, said)
        return Outcome(statistics={"destinationUriFileCounts": [str(written)]})

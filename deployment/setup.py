"""The datasets and tables that the loop needs, made where they are missing.

Terraform makes the datasets on Google Cloud; tables and views come from the same DDL everywhere, and that DDL may run
again at any time: `CREATE TABLE IF NOT EXISTS`, `CREATE OR REPLACE VIEW`.
"""

from __future__ import annotations

from google.cloud import bigquery

from deployment.application import Application
from etl.errors import UnavailableError
from etl.names import Naming
from etl.templates import RenderedSql


def prepare(app: Application) -> None:
    """Make datasets, tables and views of every model of the environment.

    Raises:
        StatementError: A DDL file is wrong; the text gives its path and line.
        UnavailableError: BigQuery cannot be reached.
    """
    settings = app.settings
    for dataset in (settings.dataset, settings.ledger_dataset):
        wanted = bigquery.Dataset(f"{settings.project}.{dataset}")
        wanted.location = settings.location
        try:
            app.bigquery.create_dataset(wanted, exists_ok=True, retry=bigquery.DEFAULT_RETRY.with_timeout(30))
        except Exception as error:
            address = settings.endpoints.bigquery or "Google's address"
            raise UnavailableError(f"BigQuery at {address} cannot be used: {error}") from error
    for model in settings.models:
        warehouse = app.warehouse(model)
        for statement in [*app.ledger(model).definitions(), *definitions(app, model)]:
            warehouse.read_arrow(statement)


def definitions(app: Application, model: str) -> list[RenderedSql]:
    """The DDL of a model's own tables."""
    templates, naming = app.templates(model), Naming.of(app.settings, model)
    context = {"table": naming.tables(templates.stems(f"{model}/tables"))}
    return [templates.render(path, context) for path in templates.folder(f"{model}/tables")]

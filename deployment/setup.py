"""The datasets and tables that the loop needs, made where they are missing.

Terraform makes the datasets on Google Cloud; tables and views come from the same DDL everywhere, and that DDL may run
again at any time: `CREATE TABLE IF NOT EXISTS`, `CREATE OR REPLACE VIEW`. A table that stands gets the columns that its
DDL has gained since.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.api_core import exceptions as api
from google.cloud import bigquery

from deployment.application import Application
from deployment.table_columns import add_missing_columns, make_table
from etl.errors import UnavailableError
from etl.names import Naming
from etl.templates import RenderedSql
from etl.warehouse import Warehouse


def prepare(app: Application) -> None:
    """Make datasets, tables and views of every model of the environment.

    Raises:
        StatementError: A DDL file is wrong; the text gives its path and line.
        StateError: A column stands with another type than its DDL says.
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
    for warehouse, statement in _of_all_models(app):
        make_table(warehouse, statement)


def add_columns(app: Application) -> None:
    """Give the tables that stand the columns that they lack; what is not there is not made.

    For before new code is installed: its first rows may hold what the tables of the version before had no room for.

    Raises:
        StateError: A column stands with another type than the DDL says.
        UnavailableError: BigQuery cannot be reached.
    """
    try:
        app.bigquery.get_dataset(f"{app.settings.project}.{app.settings.dataset}", timeout=30)
    except (api.NotFound, api.Forbidden):
        return  # a new installation: Terraform switches BigQuery on and makes the datasets
    for warehouse, statement in _of_all_models(app):
        add_missing_columns(warehouse, statement)


def definitions(app: Application, model: str) -> list[RenderedSql]:
    """The DDL of a model's own tables."""
    templates, naming = app.templates(model), Naming.of(app.settings, model)
    context = {"table": naming.tables(templates.stems(f"{model}/tables"))}
    return [templates.render(path, context) for path in templates.folder(f"{model}/tables")]


def _of_all_models(app: Application) -> Iterator[tuple[Warehouse, RenderedSql]]:
    """The DDL of the ledger and of every model's tables, with the warehouse that is to run it."""
    for model in app.settings.models:
        warehouse = app.warehouse(model)
        for statement in [*app.ledger(model).definitions(), *definitions(app, model)]:
            yield warehouse, statement

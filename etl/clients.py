"""Google's clients for one environment; the only place that knows about addresses.

There is no local mode: an environment that names an address gets a client that talks to that address, with
Application Default Credentials like any other.
"""

from __future__ import annotations

from typing import Any

from google.api_core.client_options import ClientOptions
from google.cloud import bigquery

from etl.settings import Settings


def bigquery_client(settings: Settings) -> bigquery.Client:
    """A BigQuery client for the environment's project and location."""
    address = settings.endpoints.bigquery
    return bigquery.Client(
        project=settings.project,
        location=settings.location,
        client_options=ClientOptions(api_endpoint=address) if address else None,
    )


def storage_client(settings: Settings) -> Any:
    """A Cloud Storage client for the environment's project."""
    from google.cloud.storage import Client  # here, because functions start faster without it

    address = settings.endpoints.storage
    return Client(
        project=settings.project,
        client_options=ClientOptions(api_endpoint=address) if address else None,
    )

"""The command `index`: the files in which the service finds candidates, built before an instance starts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from deployment.cli.session import OPTIONS, application, model_of
from deployment.endpoint import Endpoint
from functions.service.index_keeper import IndexKeeper
from functions.service.versions import Versions, serving_policy_of
from functions.service.workers import Workers


def index(
    folder: Annotated[Path, typer.Argument(help="The folder that BQLOOP_INDEX will name.", file_okay=False)],
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many build side by side. Default: one a core.")
    ] = None,
) -> None:
    """Build the service's index of known deals ahead, for the version that answers most requests.

    Without it the first process of an instance builds the index while callers wait, which takes minutes from some hundred
    thousand deals on.

    Example: bqloop index /mnt/bqloop-index
    """
    started = time.monotonic()
    # Those that build side by side are forked and call nobody; gRPC would write a line about each of them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    with application() as app, OPTIONS.errors.status("looking who answers") as line:
        model = model_of(app.settings)
        version = Versions(app, model, Endpoint(app.settings, model)).traffic().main
        workers = Workers(
            processes or os.cpu_count() or 1, lambda step, deals: line.update(f"{step}: {deals:,} deals done")
        )
        line.update("reading deals")
        deals = IndexKeeper(app, model, serving_policy_of(app, model)).build_files(version, folder, workers)
    OPTIONS.console.print(
        f"{folder} has the index of version {version.version}: {deals:,} deals, after {time.monotonic() - started:.0f} s."
    )

"""The REST routes for jobs, their results and uploads; they stand before bqemulator's own, which run jobs in line.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

from __future__ import annotations

import contextlib
import email.parser
import email.policy
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from bqemulator.api.dependencies import get_caller
from bqemulator.domain.errors import DomainError
from bqemulator.storage.arrow_bridge import arrow_table_to_bq_rows
from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from .errors import BigQueryError, error_of_proto
from .job import Job, now_ms
from .job_runner import JobRunner
from .job_store import JobStore
from .query_jobs import ANONYMOUS_DATASET, QueryJobs, job_of_anonymous_table

DEFAULT_WAIT_MS = 10_000
LONGEST_WAIT_MS = 200_000
PAGE_ROWS = 50_000
PROJECTS = "/bigquery/v2/projects/{project}"
UPLOADS = "/upload/bigquery/v2/projects/{project}/jobs"
RESUMABLE = "/resumable/upload/bigquery/v2/projects/{project}/jobs"


def job_routes(runner: JobRunner, store: JobStore, queries: QueryJobs, staging: Path, project: str) -> APIRouter:
    """The router. `staging` holds uploads until their load job is done."""
    router = APIRouter()
    staging.mkdir(parents=True, exist_ok=True)
    for left in staging.iterdir():
        left.unlink()

    def new_job(owner: str, body: dict[str, Any], request: Request) -> Job:
        reference = body.get("jobReference") or {}
        configuration = body.get("configuration") or {}
        kind = next((kind for kind in ("query", "load", "copy", "extract") if kind in configuration), None)
        if kind is None:
            raise BigQueryError("invalid", "Job configuration must contain one of: query, load, copy, extract")
        job_id = reference.get("jobId") or f"job_{uuid4().hex}"
        if len(job_id) > 1024 or not all(c.isalnum() or c in "_-" for c in job_id):
            raise BigQueryError("invalid", f'Invalid job ID "{job_id}". Use letters, digits, underscores and hyphens.')
        location = reference.get("location") or "US"
        user = get_caller(request).principal.removeprefix("user:")
        return Job(owner, job_id, location, user, kind, configuration)

    def dry_run(job: Job) -> dict[str, Any]:
        if job.kind == "query":
            job.outcome = queries.dry_run(job)
        job.state, job.started, job.ended = "DONE", now_ms(), now_ms()
        return job.resource()

    @router.post(f"{PROJECTS}/jobs")
    def insert(request: Request, project: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008  # FastAPI's way
        job = new_job(project, body, request)
        if job.configuration.get("dryRun"):
            return dry_run(job)
        return runner.submit(job).resource()

    @router.post(f"{PROJECTS}/queries")
    def query(request: Request, project: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        section = {
            key: body[key]
            for key in (
                "query", "defaultDataset", "useLegacySql", "parameterMode", "queryParameters", "maximumBytesBilled",
                "useQueryCache", "connectionProperties", "createSession",
            )
            if key in body
        }  # fmt: skip
        configuration: dict[str, Any] = {"query": section}
        if body.get("labels"):
            configuration["labels"] = body["labels"]
        reference = {"location": body.get("location")}
        job = new_job(project, {"configuration": configuration, "jobReference": reference}, request)
        if body.get("dryRun"):
            job.configuration["dryRun"] = True
            resource = dry_run(job)
            return {
                "kind": "bigquery#queryResponse",
                "jobReference": {"projectId": project, "location": job.location},
                "jobComplete": True,
                "schema": {"fields": job.outcome.schema},
                "totalBytesProcessed": resource["statistics"]["totalBytesProcessed"],
                "cacheHit": False,
            }
        runner.submit(job)
        return results(
            job, int(body.get("timeoutMs") or DEFAULT_WAIT_MS), 0, body.get("maxResults"), "bigquery#queryResponse"
        )

    def results(job: Job, timeout_ms: int, start: int, limit: int | None, kind: str) -> dict[str, Any]:
        complete = job.done.wait(min(timeout_ms, LONGEST_WAIT_MS) / 1000)
        response: dict[str, Any] = {
            "kind": kind,
            "jobReference": {"projectId": job.project, "jobId": job.job_id, "location": job.location},
            "jobComplete": complete,
        }
        if not complete:
            return response
        if job.error:
            raise error_of_proto(job.error)
        statistics = job.resource()["statistics"].get("query", {})
        response |= {
            "schema": {"fields": job.outcome.schema},
            "totalRows": str(job.outcome.rows),
            "totalBytesProcessed": str(job.bytes_processed),
            "cacheHit": False,
        }
        # jobs.query tells the kind of statement, jobs.getQueryResults does not.
        told = ("numDmlAffectedRows", "statementType") if kind.endswith("#queryResponse") else ("numDmlAffectedRows",)
        for key in told:
            if key in statistics:
                response[key] = statistics[key]
        if limit == 0:
            return response
        return response | page(job, start, limit)

    def page(job: Job, start: int, limit: int | None) -> dict[str, Any]:
        destination = job.outcome.destination
        if not job.outcome.schema or job.outcome.rows == 0:
            return {"rows": []}
        if destination and destination["datasetId"] != ANONYMOUS_DATASET:
            table = queries.rows_of(destination, start, min(limit or PAGE_ROWS, PAGE_ROWS), job)
        else:
            table = store.read_result(job).slice(start, min(limit or PAGE_ROWS, PAGE_ROWS))
        answer: dict[str, Any] = {"rows": arrow_table_to_bq_rows(table)}
        if start + table.num_rows < job.outcome.rows:
            answer["pageToken"] = str(start + table.num_rows)
        return answer

    @router.get(f"{PROJECTS}/queries/{{job_id}}")
    def get_query_results(
        project: str,
        job_id: str,
        max_results: int | None = Query(None, alias="maxResults"),
        start_index: int = Query(0, alias="startIndex"),
        page_token: str | None = Query(None, alias="pageToken"),
        timeout_ms: int = Query(DEFAULT_WAIT_MS, alias="timeoutMs"),
    ) -> dict[str, Any]:
        start = int(page_token) if page_token else start_index
        return results(store.get(project, job_id), timeout_ms, start, max_results, "bigquery#getQueryResultsResponse")

    @router.get(f"{PROJECTS}/datasets/{ANONYMOUS_DATASET}/tables/{{table}}/data")
    def anonymous_rows(
        project: str,
        table: str,
        max_results: int | None = Query(None, alias="maxResults"),
        start_index: int = Query(0, alias="startIndex"),
        page_token: str | None = Query(None, alias="pageToken"),
    ) -> dict[str, Any]:
        job = store.get(project, job_of_anonymous_table(table))
        rows = page(job, int(page_token) if page_token else start_index, max_results)
        return {"kind": "bigquery#tableDataList", "totalRows": str(job.outcome.rows)} | rows

    @router.get(f"{PROJECTS}/datasets/{ANONYMOUS_DATASET}/tables/{{table}}")
    def anonymous_resource(project: str, table: str) -> dict[str, Any]:
        job = store.get(project, job_of_anonymous_table(table))
        return {
            "kind": "bigquery#table",
            "id": f"{project}:{ANONYMOUS_DATASET}.{table}",
            "tableReference": {"projectId": project, "datasetId": ANONYMOUS_DATASET, "tableId": table},
            "type": "TABLE",
            "numRows": str(job.outcome.rows),
            "schema": {"fields": job.outcome.schema},
            "location": job.location,
            "creationTime": str(job.ended or job.created),
        }

    @router.get(f"{PROJECTS}/jobs")
    def list_jobs(
        project: str,
        max_results: int = Query(50, alias="maxResults"),
        page_token: str | None = Query(None, alias="pageToken"),
        state_filter: list[str] | None = Query(None, alias="stateFilter"),  # noqa: B008  # FastAPI's way
        min_creation: int | None = Query(None, alias="minCreationTime"),
        max_creation: int | None = Query(None, alias="maxCreationTime"),
        parent: str | None = Query(None, alias="parentJobId"),
    ) -> dict[str, Any]:
        states = {state.upper() for state in state_filter or []}
        found = [
            job
            for job in store.jobs(project)
            if parent is None
            and (not states or job.state in states)
            and (min_creation is None or job.created >= min_creation)
            and (max_creation is None or job.created <= max_creation)
        ]
        start = int(page_token or 0)
        answer: dict[str, Any] = {"kind": "bigquery#jobList", "jobs": []}
        for job in found[start : start + max_results]:
            resource = job.resource()
            answer["jobs"].append(resource | {"state": job.state} | ({"errorResult": job.error} if job.error else {}))
        if start + max_results < len(found):
            answer["nextPageToken"] = str(start + max_results)
        return answer

    @router.get(f"{PROJECTS}/jobs/{{job_id}}")
    def get_job(project: str, job_id: str) -> dict[str, Any]:
        return store.get(project, job_id).resource()

    @router.post(f"{PROJECTS}/jobs/{{job_id}}/cancel")
    def cancel(project: str, job_id: str) -> dict[str, Any]:
        job = store.get(project, job_id)
        if not job.done.is_set():
            job.cancel()
            job.done.wait(1)
        return {"kind": "bigquery#jobCancelResponse", "job": job.resource()}

    @router.delete(f"{PROJECTS}/jobs/{{job_id}}/delete")
    @router.delete(f"{PROJECTS}/jobs/{{job_id}}")
    def delete(project: str, job_id: str) -> Response:
        store.delete(project, job_id)
        return Response(status_code=204)

    # -- uploads ---------------------------------------------------------------

    def load(job: Job, media: Path) -> dict[str, Any]:
        job.section["sourceUris"] = [f"file://{media}"]
        try:
            runner.submit(job)
        except DomainError:
            media.unlink(missing_ok=True)
            raise
        return job.resource()

    @router.post(RESUMABLE)
    @router.post(UPLOADS)
    async def upload(request: Request, project: str, upload_type: str = Query("", alias="uploadType")) -> Response:
        body = await request.body()
        if upload_type == "multipart":
            envelope, media = _parts(request.headers.get("content-type", ""), body)
            job = new_job(project, envelope, request)
            path = staging / uuid4().hex
            await run_in_threadpool(path.write_bytes, media)
            return JSONResponse(await run_in_threadpool(load, job, path))
        if upload_type != "resumable":
            raise BigQueryError("invalid", f"uploadType={upload_type!r} is not supported: use multipart or resumable")
        job = new_job(project, _json_object(body), request)
        session = uuid4().hex
        (staging / f"{session}.job").write_text(job.to_json())
        (staging / session).touch()
        target = (
            f"{request.url.scheme}://{request.url.netloc}{request.url.path}?uploadType=resumable&upload_id={session}"
        )
        return Response(headers={"Location": target, "X-GUploader-UploadID": session})

    @router.put(RESUMABLE)
    @router.put(UPLOADS)
    async def upload_part(request: Request, upload_id: str = Query()) -> Response:
        path, envelope = staging / upload_id, staging / f"{upload_id}.job"
        if not upload_id.isalnum() or not envelope.exists():
            raise BigQueryError("notFound", f"Not found: upload session {upload_id}")
        size = path.stat().st_size
        body = await request.body()
        first, total = _content_range(request.headers.get("content-range"), size, len(body))
        if body and first != size:
            raise BigQueryError(
                "invalid", f"The upload has {size} bytes so far; a part that starts at {first} does not follow"
            )
        with path.open("ab") as sink:
            await run_in_threadpool(sink.write, body)
        size += len(body)
        if total is None or size < total:
            return Response(status_code=308, headers={"Range": f"bytes=0-{size - 1}"} if size else {})
        job = Job.from_json(envelope.read_text())
        envelope.unlink()
        return JSONResponse(await run_in_threadpool(load, job, path))

    return router


def remove_upload(job: Job, staging: Path) -> None:
    """Throw away the file of a load job that is done."""
    for uri in job.configuration.get("load", {}).get("sourceUris") or []:
        path = Path(uri.removeprefix("file://"))
        if path.parent == staging:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise BigQueryError("parseError", f"The request body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BigQueryError("parseError", "The request body is not a JSON object")
    return value


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The job resource and the file of a `multipart/related` body. The file is taken as bytes, whatever its type says."""
    if "boundary=" not in content_type:
        raise BigQueryError("invalid", f"A multipart upload needs a boundary; got Content-Type {content_type!r}")
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    boundary = parser.parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode(), headersonly=True).get_boundary()
    marker = b"--" + str(boundary).encode()
    pieces = body.split(marker)
    if len(pieces) < 4:  # preamble, job, file, end
        raise BigQueryError("invalid", "A multipart upload has two parts: the job and the file")
    envelope = pieces[1].split(b"\r\n\r\n", 1)[-1] if b"\r\n\r\n" in pieces[1] else pieces[1].split(b"\n\n", 1)[-1]
    # The file may hold the marker's bytes by chance: it reaches from the second marker to the last one.
    start = len(pieces[0]) + len(marker) + len(pieces[1]) + len(marker)
    rest = body[start : body.rindex(marker)]
    separator = b"\r\n\r\n" if b"\r\n\r\n" in rest else b"\n\n"
    media = rest.split(separator, 1)[1]
    media = media.removesuffix(b"\r\n") if separator == b"\r\n\r\n" else media.removesuffix(b"\n")
    return _json_object(envelope), media


def _content_range(header: str | None, size: int, length: int) -> tuple[int, int | None]:
    """First byte and total of a part; the total is None while the client does not know it."""
    if not header:
        return size, size + length
    try:
        span, _, total = header.removeprefix("bytes ").partition("/")
        first = size if span == "*" else int(span.split("-")[0])
        return first, None if total == "*" else int(total)
    except ValueError as error:
        raise BigQueryError("invalid", f"Content-Range {header!r} cannot be read") from error

"""The laptop's Cloud Storage: the JSON API over `object_files`, as far as google-cloud-storage needs it.

Buckets and objects: create, read, list, patch, delete; uploads of all three kinds; ranges; `ifGenerationMatch`. What
else a client asks for (versions, copies, composition, ACLs, gzip transcoding) is refused by name.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from infra.local.asgi_thread import AsgiThread
from infra.local.object_files import ObjectFiles, StorageError
from infra.local.storage_requests import check_parameters, read_content_range, read_json, read_metadata, read_multipart

_log = logging.getLogger(__name__)

Handler = Callable[[Request, bytes], Response]


class StorageServer:
    """Cloud Storage over a folder.

    Args:
        root: gs://bucket/a/b is ROOT/bucket/a/b; made if it is missing.
        port: 0 lets the system choose.
    """

    def __init__(self, root: Path, *, port: int = 0) -> None:
        self._server = AsgiThread(_StorageApi(ObjectFiles(root)).app, name="storage", port=port)

    @property
    def endpoint(self) -> str:
        """What the client takes as `api_endpoint`, or STORAGE_EMULATOR_HOST: "http://127.0.0.1:PORT"."""
        return self._server.endpoint

    def start(self) -> None:
        """Return when requests are accepted."""
        self._server.start()

    def stop(self) -> None:
        """Stop serving; the files stay."""
        self._server.stop()


class _StorageApi:
    """The routes, and the reading of requests."""

    def __init__(self, files: ObjectFiles) -> None:
        self._files = files
        objects = "/storage/v1/b/{bucket}/o"
        upload = "/upload/storage/v1/b/{bucket}/o"
        self.app = Starlette(
            routes=[
                _route("/storage/v1/b", "POST", self._create_bucket),
                _route("/storage/v1/b", "GET", self._list_buckets),
                _route(objects, "GET", self._list_objects),
                _route(objects + "/{name:path}", "GET", self._get_object),
                _route(objects + "/{name:path}", "PATCH", self._patch_object),
                _route(objects + "/{name:path}", "DELETE", self._delete_object),
                _route("/download" + objects + "/{name:path}", "GET", self._get_object),
                _route(upload, "POST", self._insert_object),
                _route(upload, "PUT", self._continue_upload),
                _route(upload, "DELETE", self._cancel_upload),
                _route("/storage/v1/b/{bucket}", "GET", self._get_bucket),
                _route("/storage/v1/b/{bucket}", "DELETE", self._delete_bucket),
                *(_route("/{rest:path}", method, _refuse) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
            ]
        )

    def _create_bucket(self, request: Request, body: bytes) -> Response:
        check_parameters(request)
        return JSONResponse(self._files.create_bucket(str(read_json(body).get("name", ""))))

    def _list_buckets(self, request: Request, _: bytes) -> Response:
        check_parameters(request, "prefix", "maxResults")
        prefix = request.query_params.get("prefix", "")
        buckets = [bucket for bucket in self._files.buckets() if bucket["name"].startswith(prefix)]
        return JSONResponse({"kind": "storage#buckets", "items": buckets})

    def _get_bucket(self, request: Request, _: bytes) -> Response:
        check_parameters(request)
        return JSONResponse(self._files.bucket(request.path_params["bucket"]))

    def _delete_bucket(self, request: Request, _: bytes) -> Response:
        check_parameters(request)
        self._files.delete_bucket(request.path_params["bucket"])
        return Response(status_code=204)

    def _list_objects(self, request: Request, _: bytes) -> Response:
        check_parameters(request, "prefix", "delimiter", "maxResults", "pageToken")
        query, bucket = request.query_params, request.path_params["bucket"]
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries: set[tuple[str, bool]] = set()
        for name in self._files.names(bucket, prefix):
            head, found, _rest = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            entries.add((prefix + head + delimiter, True) if found else (name, False))
        # A page ends with a name and the next one begins after it, so that pages stay right while objects come and go.
        later = sorted(entry for entry in entries if entry[0] > query.get("pageToken", ""))
        page = later[: int(query.get("maxResults", "1000"))]
        listing: dict[str, Any] = {
            "kind": "storage#objects",
            "items": [self._files.describe(bucket, name) for name, is_prefix in page if not is_prefix],
            "prefixes": [name for name, is_prefix in page if is_prefix],
        }
        if len(page) < len(later):
            listing["nextPageToken"] = page[-1][0]
        return JSONResponse(listing)

    def _get_object(self, request: Request, _: bytes) -> Response:
        check_parameters(request, "ifGenerationMatch", "generation")
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        described = self._files.describe(bucket, name)
        self._check_generation(request, bucket, name)
        if request.query_params.get("alt") != "media":
            return JSONResponse(described)
        return FileResponse(
            self._files.path(bucket, name),
            media_type=described["contentType"],
            headers={
                "x-goog-hash": f"crc32c={described['crc32c']},md5={described['md5Hash']}",
                "x-goog-generation": described["generation"],
                "x-goog-stored-content-length": described["size"],
                "x-goog-stored-content-encoding": "identity",
            },
        )

    def _patch_object(self, request: Request, body: bytes) -> Response:
        check_parameters(request, "ifGenerationMatch", "generation")
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        self._files.describe(bucket, name)
        self._check_generation(request, bucket, name)
        changes = read_metadata(read_json(body))
        return JSONResponse(
            self._files.update_metadata(
                bucket, name, {key: changes[key] for key in ("contentType", "metadata") if key in changes}
            )
        )

    def _delete_object(self, request: Request, _: bytes) -> Response:
        check_parameters(request, "ifGenerationMatch", "generation")
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        self._check_generation(request, bucket, name)
        self._files.delete(bucket, name)
        return Response(status_code=204)

    def _insert_object(self, request: Request, body: bytes) -> Response:
        check_parameters(request, "uploadType", "name", "ifGenerationMatch")
        bucket, kind = request.path_params["bucket"], request.query_params.get("uploadType")
        self._files.bucket(bucket)
        if kind == "resumable":
            return self._begin_upload(request, bucket, read_metadata(read_json(body)))
        if kind == "media":
            metadata, content = {"contentType": request.headers.get("content-type", "")}, body
        elif kind == "multipart":
            metadata, content = read_multipart(request.headers.get("content-type", ""), body)
        else:
            raise StorageError(400, "invalid", f"Unknown uploadType: {kind!r}")
        name = request.query_params.get("name") or metadata.get("name", "")
        self._check_generation(request, bucket, name)
        gathered = self._files.new_upload()
        gathered.write_bytes(content)
        return JSONResponse(self._files.put(bucket, name, gathered, metadata))

    def _begin_upload(self, request: Request, bucket: str, metadata: dict[str, Any]) -> Response:
        name = request.query_params.get("name") or metadata.get("name", "")
        self._files.path(bucket, name)
        self._check_generation(request, bucket, name)
        metadata |= {"name": name}
        if "x-upload-content-type" in request.headers:
            metadata.setdefault("contentType", request.headers["x-upload-content-type"])
        gathered = self._files.new_upload()
        _notes_of(gathered).write_text(
            json.dumps({"metadata": metadata, "ifGenerationMatch": request.query_params.get("ifGenerationMatch")})
        )
        base = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
        return Response(headers={"location": f"{base}?uploadType=resumable&upload_id={gathered.name}"})

    def _continue_upload(self, request: Request, body: bytes) -> Response:
        bucket = request.path_params["bucket"]
        gathered = self._files.upload(request.query_params.get("upload_id", ""))
        size = gathered.stat().st_size
        start, total = read_content_range(request.headers.get("content-range"), size, len(body))
        if body and start > size:
            raise StorageError(
                400, "invalid", f"The upload has {size} bytes; a part that begins at {start} leaves a gap."
            )
        with gathered.open("r+b") as file:  # a part that is sent again overwrites itself
            file.seek(start)
            file.write(body)
        size = gathered.stat().st_size
        if total is None or size < total:
            return Response(status_code=308, headers={"range": f"bytes=0-{size - 1}"} if size else {})
        notes = json.loads(_notes_of(gathered).read_text())
        metadata: dict[str, Any] = notes["metadata"]
        if notes["ifGenerationMatch"] not in (None, str(self._files.generation(bucket, metadata["name"]))):
            raise _condition_not_met()
        stored = self._files.put(bucket, metadata["name"], gathered, metadata)
        _notes_of(gathered).unlink()
        return JSONResponse(stored)

    def _cancel_upload(self, request: Request, _: bytes) -> Response:
        gathered = self._files.upload(request.query_params.get("upload_id", ""))
        _notes_of(gathered).unlink(missing_ok=True)
        gathered.unlink()
        return Response(status_code=499)

    def _check_generation(self, request: Request, bucket: str, name: str) -> None:
        present, query = str(self._files.generation(bucket, name)), request.query_params
        if query.get("generation", present) != present:
            raise StorageError(404, "notFound", f"No such object: {bucket}/{name} of generation {query['generation']}")
        if query.get("ifGenerationMatch", present) != present:
            raise _condition_not_met()


def _route(path: str, method: str, handler: Handler) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await run_in_threadpool(handler, request, await request.body())
        except StorageError as error:
            return _error_response(error)
        except Exception as error:  # noqa: BLE001 - logged, and answered: a client must not hang on our fault
            _log.exception("%s %s failed", request.method, request.url.path)
            return _error_response(StorageError(500, "internalError", f"{type(error).__name__}: {error}"))

    return Route(path, answer, methods=[method])


def _error_response(error: StorageError) -> Response:
    detail = {"message": error.message, "domain": "global", "reason": error.reason}
    return JSONResponse({"error": {"code": error.code, "message": error.message, "errors": [detail]}}, error.code)


def _refuse(request: Request, _: bytes) -> Response:
    raise StorageError(
        501, "notImplemented", f"The local Cloud Storage does not implement {request.method} {request.url.path}."
    )


def _condition_not_met() -> StorageError:
    return StorageError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")


def _notes_of(gathered: Path) -> Path:
    return gathered.with_suffix(".json")

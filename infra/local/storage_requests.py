"""Reads what google-cloud-storage sends: parameters, resources, multipart bodies and ranges; unknown ones are refused."""

import json
import re
from typing import Any

from starlette.requests import Request

from infra.local.object_files import StorageError

_SETTABLE = ("contentType", "metadata", "md5Hash", "crc32c", "name")
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
# Parameters that say nothing about what is asked for, or that have one answer here.
_HARMLESS = {"alt", "prettyPrint", "projection", "project", "fields", "quotaUser", "userProject", "key"}


def check_parameters(request: Request, *known: str) -> None:
    """Refuse query parameters that would change the answer and are not known here."""
    unknown = sorted(
        key
        for key, value in request.query_params.items()
        if key not in known and key not in _HARMLESS and value.lower() != "false"
    )
    if unknown:
        raise StorageError(
            501, "notImplemented", f"The local Cloud Storage does not support the parameter {', '.join(unknown)}."
        )


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object."""
    try:
        parsed = json.loads(body) if body else {}
    except ValueError as error:
        raise StorageError(400, "parseError", f"Invalid JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise StorageError(400, "parseError", "Invalid JSON: an object is expected.")
    return parsed


def read_metadata(resource: dict[str, Any]) -> dict[str, Any]:
    """An object resource as the client sent it; refused if it has a field that would not be kept."""
    unsupported = sorted(key for key, value in resource.items() if key not in _SETTABLE and value)
    if unsupported:
        raise StorageError(
            501,
            "notImplemented",
            f"The local Cloud Storage cannot keep the field {', '.join(unsupported)} of an object.",
        )
    return resource


def read_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The resource and the content of a multipart/related body: two parts, JSON first."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    delimiter = b"--" + match[1].encode() if match else b""
    end = body.rfind(b"\r\n" + delimiter + b"--")
    parts = body[:end].split(delimiter, 2) if match and end >= 0 else []
    if len(parts) != 3:
        raise StorageError(400, "parseError", "A multipart upload must have two parts: the resource and its content.")
    resource = read_json(parts[1].partition(b"\r\n\r\n")[2].strip())
    header, _, content = parts[2].partition(b"\r\n\r\n")
    named = re.search(rb"(?im)^content-type:\s*(\S[^\r\n]*)", header)
    metadata = read_metadata(resource)
    if named:
        metadata.setdefault("contentType", named[1].decode())
    return metadata, content


def read_content_range(header: str | None, size: int, length: int) -> tuple[int, int | None]:
    """Where this part begins, and the object's size if the client knows it by now."""
    if header is None:
        return 0, length
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise StorageError(400, "invalid", f"Invalid Content-Range: {header!r}")
    start = int(match[1]) if match[1] else size
    return start, None if match[3] == "*" else int(match[3])

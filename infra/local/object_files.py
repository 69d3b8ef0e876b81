"""gs:// as folders: the object `a/b` of a bucket is the file ROOT/BUCKET/a/b, and nothing else has to be true.

The local BigQuery reads and writes the same folders without asking anybody, so the files themselves are the state: an
object is there when its file is. What a file cannot say of itself (content type, custom metadata) stands beside the
buckets in `.metadata`, and counts only as long as the file is the one that it was written for. No HTTP here.

`gcp-storage-emulator` was looked at for this. It lists what its own index says, so that files which BigQuery exported
do not exist for it, and it rewrites that index in place, so that a kill can take all of it.
"""

import base64
import hashlib
import json
import mimetypes
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_CHUNK_BYTES = 1 << 20


class StorageError(Exception):
    """A refusal with the HTTP code and the reason that Cloud Storage gives it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class ObjectFiles:
    """Buckets and objects below one folder; safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / ".incoming"
        self._metadata = root / ".metadata"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def create_bucket(self, bucket: str) -> dict[str, Any]:
        """Make a bucket; 409 if it is there, 400 if the name is not one."""
        if not _BUCKET.fullmatch(bucket):
            raise StorageError(400, "invalid", f"Invalid bucket name: {bucket!r}")
        try:
            (self._root / bucket).mkdir()
        except FileExistsError as error:
            raise StorageError(409, "conflict", f"The bucket {bucket} already exists.") from error
        return self.bucket(bucket)

    def bucket(self, bucket: str) -> dict[str, Any]:
        """A bucket as the API's resource; 404 if there is none."""
        folder = self._folder(bucket)
        created = _time(folder.stat().st_ctime_ns)
        return {
            "kind": "storage#bucket",
            "id": bucket,
            "name": bucket,
            "location": "US",
            "storageClass": "STANDARD",
            "timeCreated": created,
            "updated": created,
        }

    def buckets(self) -> list[dict[str, Any]]:
        """All buckets, by name."""
        names = sorted(path.name for path in self._root.iterdir() if path.is_dir() and _BUCKET.fullmatch(path.name))
        return [self.bucket(name) for name in names]

    def delete_bucket(self, bucket: str) -> None:
        """Remove a bucket; 409 while it has objects."""
        folder = self._folder(bucket)
        if next(self.names(bucket), None) is not None:
            raise StorageError(409, "conflict", "The bucket you tried to delete is not empty.")
        shutil.rmtree(folder)
        shutil.rmtree(self._metadata / bucket, ignore_errors=True)

    def names(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """The names of a bucket's objects that start with the prefix, in no order."""
        folder = self._folder(bucket)
        # Only the folder that the prefix is in needs to be walked.
        start = folder / prefix.rpartition("/")[0] if _is_plain(prefix.rpartition("/")[0]) else folder
        for path, _, files in os.walk(start):
            for file in files:
                name = (Path(path) / file).relative_to(folder).as_posix()
                if name.startswith(prefix):
                    yield name

    def describe(self, bucket: str, name: str) -> dict[str, Any]:
        """An object as the API's resource, with its checksums; 404 if there is none."""
        path = self.path(bucket, name)
        try:
            stat = path.stat()
            with path.open("rb") as file:
                md5, crc32c = _checksums(file)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise StorageError(404, "notFound", f"No such object: {bucket}/{name}") from error
        generation = _generation(stat)
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{generation}",
            "name": name,
            "bucket": bucket,
            "generation": str(generation),
            "metageneration": "1",
            "contentType": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "storageClass": "STANDARD",
            "size": str(stat.st_size),
            "md5Hash": md5,
            "crc32c": crc32c,
            "etag": f"{generation:x}",
            "timeCreated": _time(stat.st_mtime_ns),
            "updated": _time(stat.st_mtime_ns),
            **self._kept_metadata(bucket, name, generation),
        }

    def generation(self, bucket: str, name: str) -> int:
        """The object's generation; 0 if there is none."""
        try:
            path = self.path(bucket, name)
            return _generation(path.stat()) if path.is_file() else 0
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def path(self, bucket: str, name: str) -> Path:
        """The file of an object, whether it is there or not; 400 if the name cannot be a file's."""
        folder = self._folder(bucket)
        if not name or not _is_plain(name):
            raise StorageError(
                400, "invalid", f"The local Cloud Storage keeps objects as files and cannot have one called {name!r}."
            )
        return folder / name

    def new_upload(self) -> Path:
        """A new empty file to gather an object's content in; `put` moves it to its place."""
        path = self._incoming / secrets.token_hex(16)
        path.touch()
        return path

    def upload(self, upload_id: str) -> Path:
        """The file of an upload that was begun; 404 if it is not there."""
        path = self._incoming / upload_id
        if not re.fullmatch(r"[0-9a-f]{32}", upload_id) or not path.exists():
            raise StorageError(404, "notFound", "No such upload.")
        return path

    def put(self, bucket: str, name: str, content: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object of a gathered file, in one step for whoever reads it.

        `metadata` are the resource's fields that the client may set; `md5Hash` and `crc32c` among them are checked.
        """
        target = self.path(bucket, name)
        with content.open("rb") as file:
            md5, crc32c = _checksums(file)
        if metadata.get("md5Hash", md5) != md5 or metadata.get("crc32c", crc32c) != crc32c:
            content.unlink()
            raise StorageError(400, "invalid", f"The content of {bucket}/{name} does not have the checksum given.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            content.replace(target)
        except OSError as error:
            content.unlink(missing_ok=True)
            raise StorageError(
                400,
                "invalid",
                f"The local Cloud Storage keeps objects as files and cannot write {bucket}/{name}: {error.strerror}.",
            ) from error
        kept = {key: metadata[key] for key in ("contentType", "metadata") if metadata.get(key)}
        self._keep_metadata(bucket, name, kept)
        return self.describe(bucket, name)

    def update_metadata(self, bucket: str, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the content type or the custom metadata of an object; None removes."""
        kept = self._kept_metadata(bucket, name, self.generation(bucket, name)) | dict(changes)
        self._keep_metadata(bucket, name, {key: value for key, value in kept.items() if value})
        return self.describe(bucket, name)

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object and the folders that are empty without it; 404 if there is none."""
        path = self.path(bucket, name)
        if not path.is_file():
            raise StorageError(404, "notFound", f"No such object: {bucket}/{name}")
        path.unlink()
        self._metadata_path(bucket, name).unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self._root / bucket or any(parent.iterdir()):
                break
            parent.rmdir()

    def _folder(self, bucket: str) -> Path:
        folder = self._root / bucket
        if not _BUCKET.fullmatch(bucket) or not folder.is_dir():
            raise StorageError(404, "notFound", "The specified bucket does not exist.")
        return folder

    def _metadata_path(self, bucket: str, name: str) -> Path:
        return self._metadata / bucket / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _kept_metadata(self, bucket: str, name: str, generation: int) -> dict[str, Any]:
        try:
            kept = json.loads(self._metadata_path(bucket, name).read_text())
        except FileNotFoundError:
            return {}
        fields: dict[str, Any] = kept["fields"]
        return fields if kept["generation"] == generation else {}

    def _keep_metadata(self, bucket: str, name: str, fields: Mapping[str, Any]) -> None:
        path = self._metadata_path(bucket, name)
        if not fields:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        written = self.new_upload()
        written.write_text(json.dumps({"generation": self.generation(bucket, name), "fields": dict(fields)}))
        written.replace(path)


def _is_plain(name: str) -> bool:
    """Whether every part of the name can be a file's: none empty, none that means another folder."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name and "\\" not in name


def _checksums(file: BinaryIO) -> tuple[str, str]:
    md5 = hashlib.md5(usedforsecurity=False)
    crc32c: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]  # the package ships no types
    while chunk := file.read(_CHUNK_BYTES):
        md5.update(chunk)
        crc32c.update(chunk)
    return base64.b64encode(md5.digest()).decode(), base64.b64encode(crc32c.digest()).decode()


def _generation(stat: os.stat_result) -> int:
    return stat.st_mtime_ns // 1000


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

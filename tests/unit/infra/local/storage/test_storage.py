"""gs:// as folders, through Google's own storage client."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest, Conflict, MethodNotImplemented, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from infra.local.object_files import ObjectFiles, StorageError
from infra.local.storage import StorageServer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "gs"


@pytest.fixture
def client(root: Path) -> Iterator[storage.Client]:
    server = StorageServer(root)
    server.start()
    yield storage.Client(
        project="storage-test", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.endpoint}
    )
    server.stop()


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.create_bucket("deals")


def test_buckets_are_made_found_listed_and_deleted(client: storage.Client, root: Path) -> None:
    client.create_bucket("models")
    client.create_bucket("deals")
    assert [bucket.name for bucket in client.list_buckets()] == ["deals", "models"]
    assert client.get_bucket("deals").name == "deals"
    assert client.bucket("none").exists() is False
    client.get_bucket("deals").delete()
    assert not (root / "deals").exists()
    with pytest.raises(NotFound):
        client.get_bucket("deals")


def test_a_bucket_is_made_once_and_deleted_when_empty(client: storage.Client, bucket: storage.Bucket) -> None:
    with pytest.raises(Conflict):
        client.create_bucket("deals")
    bucket.blob("a").upload_from_string("x")
    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()


@pytest.mark.parametrize("name", [".metadata", ".incoming", "..", "UPPER", "x"])
def test_what_is_not_a_bucket_name_does_not_reach_the_disk(root: Path, name: str) -> None:
    # Google's client refuses most of these itself; others need not.
    files = ObjectFiles(root)
    with pytest.raises(StorageError, match="Invalid bucket name"):
        files.create_bucket(name)
    with pytest.raises(StorageError, match="bucket does not exist"):
        files.path(name, "object")


def test_an_object_is_a_file_and_a_file_is_an_object(bucket: storage.Bucket, root: Path) -> None:
    bucket.blob("in/a b.csv").upload_from_string("x,y\n1,2\n", content_type="text/csv")
    assert (root / "deals" / "in" / "a b.csv").read_text() == "x,y\n1,2\n"
    (root / "deals" / "out").mkdir()
    (root / "deals" / "out" / "model.json").write_text("{}")
    blob = bucket.get_blob("out/model.json")
    assert blob is not None
    assert (blob.size, blob.content_type, blob.download_as_bytes()) == (2, "application/json", b"{}")


def test_content_type_and_custom_metadata_are_kept_with_the_object_they_were_set_on(
    bucket: storage.Bucket, root: Path
) -> None:
    blob = bucket.blob("a.bin")
    blob.metadata = {"run": "r1"}
    blob.upload_from_string(b"x", content_type="text/x-special")
    read = bucket.get_blob("a.bin")
    assert read is not None
    assert (read.content_type, read.metadata) == ("text/x-special", {"run": "r1"})
    read.metadata = {"run": "r2"}
    read.patch()
    again = bucket.get_blob("a.bin")
    assert again is not None
    assert (again.content_type, again.metadata) == ("text/x-special", {"run": "r2"})
    (root / "deals" / "a.bin").write_bytes(b"another file")
    replaced = bucket.get_blob("a.bin")
    assert replaced is not None
    assert (replaced.content_type, replaced.metadata) == ("application/octet-stream", None)


def test_a_resumable_upload_in_parts_arrives_whole_and_only_at_its_end(bucket: storage.Bucket, root: Path) -> None:
    content = bytes(range(256)) * 4096  # 1 MiB in four parts of 256 KiB
    blob = bucket.blob("big/one.bin", chunk_size=256 * 1024)

    class Watched(io.BytesIO):
        seen_early = False

        def read(self, size: int | None = -1) -> bytes:
            self.seen_early |= (root / "deals" / "big" / "one.bin").exists()
            return super().read(size)

    source = Watched(content)
    blob.upload_from_file(source, size=len(content), content_type="application/x-model")
    assert not source.seen_early
    assert (root / "deals" / "big" / "one.bin").read_bytes() == content
    read = bucket.get_blob("big/one.bin")
    assert read is not None
    assert (read.size, read.content_type) == (len(content), "application/x-model")
    assert not list((root / ".incoming").iterdir())


def test_a_file_goes_up_and_comes_down_with_its_checksums_checked(bucket: storage.Bucket, tmp_path: Path) -> None:
    content = "naïve café 日本\n".encode() * 1000
    (tmp_path / "up").write_bytes(content)
    blob = bucket.blob("dir/ünï.txt")
    blob.upload_from_filename(tmp_path / "up", checksum="md5")
    blob.download_to_filename(tmp_path / "down", checksum="crc32c")
    assert (tmp_path / "down").read_bytes() == content


def test_a_part_of_an_object_can_be_read(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("0123456789")
    assert bucket.blob("a").download_as_bytes(start=2, end=4) == b"234"


def test_listing_by_prefix_delimiter_and_page(client: storage.Client, bucket: storage.Bucket) -> None:
    for name in ("a.csv", "in/1.csv", "in/2.csv", "in/deep/3.csv", "inner.csv", "z.csv"):
        bucket.blob(name).upload_from_string(name)

    def listed(**options: object) -> list[str]:
        return [blob.name for blob in client.list_blobs("deals", **options)]

    assert listed() == ["a.csv", "in/1.csv", "in/2.csv", "in/deep/3.csv", "inner.csv", "z.csv"]
    assert listed(prefix="in/") == ["in/1.csv", "in/2.csv", "in/deep/3.csv"]
    assert listed(prefix="in/d") == ["in/deep/3.csv"]
    assert listed(prefix="none/at/all") == []
    assert listed(page_size=2) == listed()
    iterator = client.list_blobs("deals", delimiter="/")
    assert [blob.name for blob in iterator] == ["a.csv", "inner.csv", "z.csv"]
    assert iterator.prefixes == {"in/"}
    with pytest.raises(MethodNotImplemented, match="matchGlob"):
        listed(match_glob="**.csv")


def test_deleting_takes_the_object_and_the_folders_it_leaves_empty(bucket: storage.Bucket, root: Path) -> None:
    bucket.blob("a/b/c").upload_from_string("x")
    bucket.blob("a/d").upload_from_string("x")
    bucket.blob("a/b/c").delete()
    assert not (root / "deals" / "a" / "b").exists()
    assert bucket.blob("a/d").exists()
    with pytest.raises(NotFound):
        bucket.blob("a/b/c").delete()


def test_generations_guard_against_overwriting_what_another_wrote(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("first", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").upload_from_string("second", if_generation_match=0)
    bucket.blob("a").upload_from_string("third", if_generation_match=blob.generation)
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=blob.generation)
    assert bucket.blob("a").download_as_text() == "third"


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "a//b", "folder/", "x\0y"])
def test_a_name_that_cannot_be_a_file_is_refused(bucket: storage.Bucket, root: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="cannot have one called"):
        bucket.blob(name).upload_from_string("x")
    assert not (root.parent / "escape").exists()


def test_an_object_below_another_object_is_refused(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("x")
    with pytest.raises(BadRequest, match="deals/a/b"):
        bucket.blob("a/b").upload_from_string("y")
    assert bucket.blob("a").download_as_text() == "x"


def test_what_is_not_implemented_is_refused_by_name(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("x")
    with pytest.raises(MethodNotImplemented, match="compose"):
        bucket.blob("b").compose([bucket.blob("a")])
    blob = bucket.blob("c")
    blob.cache_control = "no-store"
    with pytest.raises(MethodNotImplemented, match="cacheControl"):
        blob.upload_from_string("x")


def test_objects_in_a_bucket_that_is_not_there_are_not_found(client: storage.Client) -> None:
    with pytest.raises(NotFound):
        client.bucket("none").blob("a").upload_from_string("x")
    with pytest.raises(NotFound):
        list(client.list_blobs("none"))

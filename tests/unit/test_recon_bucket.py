"""`honnin.recon.bucket`: keys, and files that are written once, in parts, or not at all."""

import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from honnin.recon import bucket as bucket_module
from honnin.recon.bucket import AlreadyStoredError, FileId, FileWriter, ReconBucket
from tests.fakes import memory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KYC = "kyc_passport_sync_recon"
FILE = FileId(KYC, "2026-03-31", "kyc_passport_9_20260331_20260331.csv")
KEY = f"recon/{KYC}/2026/03/31/kyc_passport_9_20260331_20260331.csv"
PART = 5 * 1024 * 1024


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    with memory.memory_aws():
        yield memory.s3("recon")


@pytest.fixture
def bucket(s3: "S3Client") -> ReconBucket:
    return ReconBucket("recon", s3)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest parts that S3 takes."""
    monkeypatch.setattr(bucket_module, "_LEAST_PART_BYTES", PART)


def keys(s3: "S3Client") -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="recon").get("Contents", [])]


def open_uploads(s3: "S3Client") -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket="recon").get("Uploads", []))


def written(bucket: ReconBucket, content: bytes, step: int = 1_000_000, largest: int = 2**31) -> FileWriter:
    writer = bucket.writer(FILE, largest)
    for at in range(0, len(content), step):
        writer.write(content[at : at + step])
    return writer


# --- keys ---


def test_the_keys_of_a_file() -> None:
    assert FILE.key == KEY
    results = f"reports/{KYC}/2026/03/31/kyc_passport_9_20260331_20260331.csv"
    assert (FILE.report_key, FILE.part_key(2, "plan.json")) == (f"{results}/report.json", f"{results}/2/plan.json")


# --- one object, written once ---


@pytest.mark.parametrize("content", [b"", b"userAuthorizationId\r\n", b"x" * 1000])
def test_a_small_file_is_one_object(s3: "S3Client", bucket: ReconBucket, content: bytes) -> None:
    writer = written(bucket, content, 7)
    assert keys(s3) == []
    writer.finish()

    stored = s3.get_object(Bucket="recon", Key=KEY)
    assert (stored["Body"].read(), stored["ContentType"]) == (content, "text/csv; charset=utf-8")
    assert (writer.size, writer.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert bucket.measure(FILE) == (writer.sha256, writer.size)
    assert bucket.has(FILE)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("size", "parts"),
    [(PART - 1, 0), (PART, 1), (2 * PART, 2), (2 * PART + 1, 3)],
    ids=["under", "one", "two", "three"],
)
def test_a_large_file_goes_up_in_parts(s3: "S3Client", bucket: ReconBucket, size: int, parts: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    writer = written(bucket, content, step=PART // 5)
    assert keys(s3) == []
    assert len(open_uploads(s3)) == (1 if parts else 0)
    writer.finish()

    stored = s3.get_object(Bucket="recon", Key=KEY)
    assert stored["Body"].read() == content
    assert stored["ETag"].strip('"').partition("-")[2] == (str(parts) if parts else "")
    assert stored["ContentType"] == "text/csv; charset=utf-8"
    assert (writer.size, writer.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert open_uploads(s3) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [10, 2 * PART])
def test_what_is_stored_is_never_overwritten(s3: "S3Client", bucket: ReconBucket, size: int) -> None:
    first = written(bucket, b"first")
    second = written(bucket, b"x" * size)
    first.finish()
    with pytest.raises(AlreadyStoredError):
        second.finish()

    assert b"".join(bucket.read(FILE)) == b"first"
    assert open_uploads(s3) == []


@pytest.mark.usefixtures("small_parts")
def test_what_is_given_up_leaves_nothing(s3: "S3Client", bucket: ReconBucket) -> None:
    for size in (10, 2 * PART + 1):
        writer = written(bucket, b"x" * size)
        writer.abort()
        writer.abort()
    assert (keys(s3), open_uploads(s3)) == ([], [])


@pytest.mark.parametrize(("largest", "part_mib"), [(1, 8), (2 * 2**30, 8), (80_000 * 2**20, 8), (160_000 * 2**20, 16)])
def test_the_parts_of_the_largest_file_are_no_more_than_s3_takes(
    s3: "S3Client", bucket: ReconBucket, largest: int, part_mib: int
) -> None:
    part_bytes = bucket.writer(FILE, largest)._part_bytes
    assert part_bytes == part_mib * 2**20
    assert -(-largest // part_bytes) <= 10_000


@pytest.mark.usefixtures("small_parts")
def test_a_writer_holds_one_part_whatever_the_size(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is played by nobody here: what counts is what the writer itself holds on to."""
    monkeypatch.setattr(s3, "upload_part", lambda **_: {"ETag": "e"})
    writer = ReconBucket("recon", s3).writer(FILE, 2**31)
    tracemalloc.start()
    try:
        for _ in range(12 * PART // 65536):
            writer.write(bytes(65536))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert writer.size == 12 * PART
    # The pieces, and the one part that they are joined to while it is sent.
    assert peak < 2.5 * PART


def broken(status: int, code: str = "InternalError") -> Any:
    answer: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def call(**_: object) -> None:
        raise ClientError(answer, "PutObject")

    return call


@pytest.mark.parametrize("status", [409, 412])
def test_another_writer_who_is_just_finishing_counts_as_stored(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    writer = written(bucket, b"x")
    monkeypatch.setattr(s3, "put_object", broken(status))
    with pytest.raises(AlreadyStoredError):
        writer.finish()


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_error_of_s3_is_botocores(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    writer = written(bucket, b"x")
    monkeypatch.setattr(s3, "put_object", broken(status))
    with pytest.raises(ClientError):
        writer.finish()


# --- reading ---


def test_a_file_that_is_not_there(bucket: ReconBucket) -> None:
    assert not bucket.has(FILE)
    assert bucket.report(FILE) is None
    assert bucket.part(FILE, 1, "plan.json") is None
    with pytest.raises(ClientError):
        bucket.measure(FILE)


def test_a_bucket_that_may_not_be_asked_is_not_an_empty_one(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "head_object", broken(403, "403"))
    with pytest.raises(ClientError):
        bucket.has(FILE)


def test_a_file_is_read_in_pieces(bucket: ReconBucket) -> None:
    content = bytes(range(256)) * 2100
    written(bucket, content).finish()
    pieces = list(bucket.read(FILE))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 256 * 1024 < len(content)


def test_a_range_of_a_file_is_read_under_its_etag(s3: "S3Client", bucket: ReconBucket) -> None:
    written(bucket, b"0123456789").finish()
    etag, _ = bucket.open(FILE)
    assert b"".join(bucket.read_range(FILE, etag, 2, 5)) == b"234"
    assert list(bucket.read_range(FILE, etag, 10, 10)) == []
    s3.put_object(Bucket="recon", Key=FILE.key, Body=b"abcdefghij")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        list(bucket.read_range(FILE, etag, 2, 5))


def test_an_object_of_a_comparison_is_kept_once(bucket: ReconBucket) -> None:
    assert bucket.put_once(FILE, 1, "a.json", {"repairs": ["x"]})
    assert not bucket.put_once(FILE, 1, "a.json", {"repairs": []})
    assert bucket.part(FILE, 1, "a.json") == {"repairs": ["x"]}
    assert bucket.part(FILE, 2, "a.json") is None


def test_another_object_of_a_comparison_is_written_anew(bucket: ReconBucket) -> None:
    for rows in (1, 2):
        assert bucket.put_part(FILE, 1, "open.json", [rows]) == FILE.part_key(1, "open.json")
    assert bucket.part(FILE, 1, "open.json") == [2]


def test_a_report_is_written_anew(bucket: ReconBucket) -> None:
    for rows in (1, 2):
        bucket.put_report(FILE, io.BytesIO(json.dumps({"rows": rows}).encode()))
    assert bucket.report(FILE) == {"rows": 2}


def test_a_locked_report_has_what_s3_asks_for(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode, date and a checksum; a report that is not locked has none of them, for the bucket may have no lock."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(s3, "upload_fileobj", lambda *_, ExtraArgs: asked.append(ExtraArgs))  # noqa: N803
    until = datetime(2026, 12, 31, tzinfo=UTC)
    for each in (None, until):
        bucket.put_report(FILE, io.BytesIO(b"{}"), each)
    assert asked[0] == {"ContentType": "application/json"}
    assert asked[1] == asked[0] | {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": until,
        "ChecksumAlgorithm": "SHA256",
    }


def test_an_object_that_is_there_is_no_error(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "put_object", broken(412, "PreconditionFailed"))
    assert not bucket.put_once(FILE, 1, "a.json", {})


# 409: another writer is at it, who may fail yet; taken for done, the result would be nowhere.
@pytest.mark.parametrize("status", [403, 409, 503])
def test_an_error_is_not_taken_for_an_object_that_is_there(
    s3: "S3Client", bucket: ReconBucket, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(s3, "put_object", broken(status))
    with pytest.raises(ClientError):
        bucket.put_once(FILE, 1, "a.json", {})

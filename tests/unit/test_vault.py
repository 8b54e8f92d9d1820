"""`honnin.vault`: which keys, that evidence is kept as it came, once, and taken back when nothing names it."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from chaos.s3 import MemoryS3
from honnin.vault import Evidence, Kept, Vault, VaultError, newest, selfie
from tests.fakes.memory import memory_aws, s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READ_AT = "2026-04-01T03:00:00.000Z"
BODY = '{"status":"COMPLETED","lastName":"架空"}'.encode()


@pytest.fixture
def bucket() -> MemoryS3:
    return MemoryS3()


@pytest.fixture
def vault(bucket: MemoryS3) -> Vault:
    return Vault("personal-data", cast("S3Client", bucket))


def evidence(vault: Vault, body: bytes = BODY, read_at: str = READ_AT, kept: Kept | None = None) -> Evidence:
    moment = datetime.fromisoformat(read_at)
    return vault.evidence(
        provider="paypay", user_id="user-0001", product="kyc_info", read_at=moment, body=body, kept=kept
    )


def test_the_key_names_provider_user_product_moment_and_digest(vault: Vault, bucket: MemoryS3) -> None:
    made = evidence(vault)
    assert not bucket.objects
    made.write()

    digest = hashlib.sha256(BODY).hexdigest()
    key = f"paypay/user-0001/kyc_info/{READ_AT}-{digest}.json"
    assert made.facts == {"snapshot": key, "sha256": digest}
    assert dict(bucket.objects) == {key: BODY}
    assert bucket.get_object(Key=key)["ContentType"] == "application/json"


@pytest.mark.parametrize("body", [BODY, b"", b"\xff\xfe not JSON", '{"名":"é"}'.encode()])
def test_the_bytes_are_kept_as_they_came(vault: Vault, bucket: MemoryS3, body: bytes) -> None:
    evidence(vault, body).write()

    assert list(bucket.objects.values()) == [body]


def test_the_same_reading_has_the_same_key_and_another_has_another(vault: Vault) -> None:
    keys = [
        evidence(vault, *given).facts["snapshot"] for given in ((), (), (b"other",), (BODY, "2026-04-01T03:00:00.001Z"))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/jpeg", "jpeg"),
        ("image/png", "png"),
        ("image/webp", "webp"),
        ("image/heic", "heic"),
        ("image/x+y", "bin"),
    ],
)
def test_a_selfie_lies_beside_its_snapshot(vault: Vault, bucket: MemoryS3, content_type: str, extension: str) -> None:
    made = evidence(vault)
    snapshot = made.facts["snapshot"]
    made.add("selfie", selfie(snapshot, b"\x89PNG", content_type))
    made.write()

    key = f"{snapshot.removesuffix('.json')}.selfie.{extension}"
    assert made.facts["selfie"] == key
    assert bucket.objects[key] == b"\x89PNG"
    assert bucket.get_object(Key=key)["ContentType"] == content_type


def test_what_is_kept_is_named_with_its_selfie(vault: Vault, bucket: MemoryS3) -> None:
    first = evidence(vault)
    first.add("selfie", selfie(first.facts["snapshot"], b"\x89PNG", "image/png"))

    again = evidence(vault, read_at="2026-05-01T03:00:00.000Z", kept=newest(None, first.facts))
    again.write()

    assert again.facts == first.facts
    assert not bucket.objects


@pytest.mark.parametrize("objects", [1, 2])
def test_a_part_that_cannot_be_written_leaves_nothing(
    vault: Vault, bucket: MemoryS3, monkeypatch: pytest.MonkeyPatch, objects: int
) -> None:
    made = evidence(vault)
    made.add("selfie", selfie(made.facts["snapshot"], b"\x89PNG", "image/png"))
    put, done = bucket.put_object, iter(range(objects - 1))

    def fails(**request: Any) -> Any:
        if next(done, None) is None:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        return put(**request)

    monkeypatch.setattr(bucket, "put_object", fails)
    with pytest.raises(ClientError):
        made.write()

    assert not bucket.objects


def test_taking_back_leaves_the_version_of_another_worker(vault: Vault, bucket: MemoryS3) -> None:
    mine, other = evidence(vault), evidence(vault)
    other.write()
    mine.write()
    mine.take_back()

    assert dict(bucket.objects) == {other.facts["snapshot"]: BODY}
    assert len(bucket.list_object_versions()["Versions"]) == 1


def test_what_is_named_is_not_taken_back(vault: Vault, bucket: MemoryS3) -> None:
    made = evidence(vault)
    made.write()
    made.keep()
    made.write()
    made.take_back()

    assert len(bucket.list_object_versions()["Versions"]) == 1


@pytest.mark.parametrize("provider", ["paypay", "vexora"])
def test_erasing_takes_what_any_provider_answered(versioned: "S3Client", provider: str) -> None:
    versioned.put_object(Bucket="vault", Key=f"{provider}/user-1/any_call/a.json", Body=b"1")

    assert Vault("vault", versioned).erase("user-1") == 1
    assert versions(versioned) == []


@pytest.fixture
def versioned(aws_environment: None) -> Iterator["S3Client"]:
    """A versioned bucket."""
    with memory_aws():
        yield s3("vault")


def versions(client: "S3Client") -> list[str]:
    """The keys of all versions and delete markers, each as often as it has some."""
    found = client.list_object_versions(Bucket="vault")
    return [str(each["Key"]) for each in (*found.get("Versions", []), *found.get("DeleteMarkers", []))]


def test_erasing_takes_every_version_and_delete_marker_of_the_user_and_counts_them(versioned: "S3Client") -> None:
    for body in (b"1", b"2"):
        versioned.put_object(Bucket="vault", Key="paypay/user-1/kyc_info/a.json", Body=body)
    versioned.put_object(Bucket="vault", Key="paypay/user-1/kyc_info/a.selfie.png", Body=b"3")
    versioned.delete_object(Bucket="vault", Key="paypay/user-1/kyc_info/a.json")
    vault = Vault("vault", versioned)

    assert vault.erase("user-1") == 4
    assert versions(versioned) == []
    assert vault.erase("user-1") == 0


def test_a_deleted_object_comes_back_without_its_marker_but_not_after_an_erasure(versioned: "S3Client") -> None:
    key = "paypay/user-1/kyc_info/a.json"
    versioned.put_object(Bucket="vault", Key=key, Body=b"1")
    marker = versioned.delete_object(Bucket="vault", Key=key)["VersionId"]
    versioned.delete_object(Bucket="vault", Key=key, VersionId=marker)
    assert versioned.get_object(Bucket="vault", Key=key)["Body"].read() == b"1"
    versioned.delete_object(Bucket="vault", Key=key)
    Vault("vault", versioned).erase("user-1")
    assert versions(versioned) == []


@pytest.mark.parametrize("neighbour", ["user-10", "user-", "user-1.", "xuser-1", "USER-1"])
def test_erasing_leaves_users_whose_ids_are_like_it(versioned: "S3Client", neighbour: str) -> None:
    versioned.put_object(Bucket="vault", Key=f"paypay/{neighbour}/kyc_info/a.json", Body=b"1")

    assert Vault("vault", versioned).erase("user-1") == 0
    assert versions(versioned) == [f"paypay/{neighbour}/kyc_info/a.json"]


def test_what_s3_refuses_to_delete_is_an_error_that_may_be_repeated(
    versioned: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    versioned.put_object(Bucket="vault", Key="paypay/user-1/kyc_info/a.json", Body=b"1")

    def refused(**_: object) -> dict[str, Any]:
        return {"Errors": [{"Key": "paypay/user-1/kyc_info/a.json", "Code": "SlowDown"}]}

    with monkeypatch.context() as patched:
        patched.setattr(versioned, "delete_objects", refused)
        with pytest.raises(VaultError, match="SlowDown") as raised:
            Vault("vault", versioned).erase("user-1")
    assert raised.value.retryable
    assert "user-1" not in str(raised.value)
    assert Vault("vault", versioned).erase("user-1") == 1

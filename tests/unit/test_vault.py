"""`honnin.vault`: which keys, and that a snapshot is kept as it came."""

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from honnin.vault import Vault, VaultError
from tests.fakes.memory import memory_aws, s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READ_AT = "2026-04-01T03:00:00.000Z"
DATA: dict[str, Any] = {"status": "COMPLETED", "lastName": "架空", "nested": {"b": [1, None, True], "a": "é"}, "x": 1.5}


class FakeBucket:
    """The S3 client as far as the vault uses it."""

    def __init__(self) -> None:
        self.puts: list[dict[str, Any]] = []

    def put_object(self, **request: Any) -> None:
        self.puts.append(request)


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


@pytest.fixture
def vault(bucket: FakeBucket) -> Vault:
    return Vault("personal-data", cast("S3Client", bucket))


def put(vault: Vault, data: dict[str, Any] = DATA, read_at: str = READ_AT) -> str:
    return vault.put_snapshot(provider="paypay", user_id="user-0001", product="kyc_info", read_at=read_at, data=data)


def test_the_key_names_provider_user_product_moment_and_digest(vault: Vault, bucket: FakeBucket) -> None:
    key = put(vault)

    stored = bucket.puts[0]
    digest = hashlib.sha256(stored["Body"]).hexdigest()
    assert key == f"paypay/user-0001/kyc_info/{READ_AT}-{digest}.json"
    assert (stored["Bucket"], stored["Key"], stored["ContentType"]) == ("personal-data", key, "application/json")


def test_the_object_is_kept_verbatim_in_its_order_and_letters(vault: Vault, bucket: FakeBucket) -> None:
    put(vault)

    body = bucket.puts[0]["Body"]
    assert json.loads(body) == DATA
    assert list(json.loads(body)) == list(DATA)
    assert "架空".encode() in body


def test_the_same_reading_has_the_same_key_and_another_has_another(vault: Vault) -> None:
    assert put(vault) == put(vault)
    assert put(vault) != put(vault, DATA | {"lastName": "見本"})
    assert put(vault) != put(vault, read_at="2026-04-01T03:00:00.001Z")


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
def test_a_selfie_lies_beside_its_snapshot(vault: Vault, bucket: FakeBucket, content_type: str, extension: str) -> None:
    snapshot = put(vault)
    key = vault.put_selfie(snapshot, b"\x89PNG", content_type)

    assert key == f"{snapshot.removesuffix('.json')}.selfie.{extension}"
    assert bucket.puts[1] == {
        "Bucket": "personal-data",
        "Key": key,
        "Body": b"\x89PNG",
        "ContentType": content_type,
    }


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

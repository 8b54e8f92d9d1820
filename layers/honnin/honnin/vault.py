"""The vault: the only place with personal data, a bucket of its own with its own key, versioned and erasable.

Keys: `paypay/<userId>/<product>/<read_at>-<sha256>.json`, and a selfie beside its snapshot as `….selfie.<ext>`.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from honnin.errors import HonninError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Whose objects there can be: the first part of each key. Vexora gives no personal data back.
_PROVIDERS = ("paypay",)


class VaultError(HonninError):
    """S3 did not do all that the vault asked for."""

    retryable = True


@cache
def _client() -> "S3Client":
    return boto3.client("s3", config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"}))


class Vault:
    """One personal-data bucket. The bucket encrypts by itself, with its customer key."""

    def __init__(self, bucket: str, client: "S3Client | None" = None) -> None:
        self._bucket = bucket
        self._given = client

    def put_snapshot(self, *, provider: str, user_id: str, product: str, read_at: str, data: Mapping[str, Any]) -> str:
        """Store a provider's KYC object as it came and return its key. `read_at` is UTC ISO 8601.

        The same object read at the same moment has the same key: a repeat changes nothing.
        """
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        digest = hashlib.sha256(body).hexdigest()
        key = f"{provider}/{user_id}/{product}/{read_at}-{digest}.json"
        self._put(key, body, "application/json")
        return key

    def put_selfie(self, snapshot_key: str, image: bytes, content_type: str) -> str:
        """Store a selfie beside its snapshot and return its key."""
        kind = content_type.partition("/")[2]
        extension = kind if kind.isalnum() else "bin"
        key = f"{snapshot_key.removesuffix('.json')}.selfie.{extension}"
        self._put(key, image, content_type)
        return key

    def erase(self, user_id: str) -> int:
        """Delete every version of every object of a user, of all providers; returns how many versions there were.

        Raises
        ------
        VaultError
            S3 refused some of them. What is left is found by the next call.
        """
        return sum(self._erase(f"{provider}/{user_id}/") for provider in _PROVIDERS)

    def _erase(self, prefix: str) -> int:
        client = self._given or _client()
        erased = 0
        # Always the first page: what it named is gone when it is asked for again. It has at most 1,000 versions, and
        # that is also what one call deletes.
        while True:
            page = client.list_object_versions(Bucket=self._bucket, Prefix=prefix)
            versions: Any = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
            if not versions:
                return erased
            answer = client.delete_objects(Bucket=self._bucket, Delete={"Objects": versions, "Quiet": True})
            if errors := answer.get("Errors"):
                raise VaultError(f"S3 did not delete {len(errors)} versions: {errors[0].get('Code')}")
            erased += len(versions)

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        client = self._given or _client()
        client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

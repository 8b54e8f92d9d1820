"""The vault: the only place with personal data, a bucket of its own with its own key, versioned and erasable.

Keys: `paypay/<userId>/<product>/<read_at>-<sha256>.json`, and a selfie beside its snapshot as `….selfie.<ext>`.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any

from honnin import aws
from honnin.errors import HonninError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Whose objects there can be: the first part of each key. Vexora gives no personal data back.
_PROVIDERS = ("paypay",)

# DeleteObjects takes no more.
_MOST_DELETED = 1000


class VaultError(HonninError):
    """S3 did not do all that the vault asked for."""

    retryable = True


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

    def erase(
        self,
        user_id: str,
        read_until: str = "",
        keep: Collection[str] = (),
        found: Callable[[int], object] = lambda _: None,
    ) -> int:
        """Delete every version of every object of a user, of all providers; returns how many versions there were.

        With `read_until` (UTC, as in the keys) what was read from the provider after it stays. `keep` holds keys that
        stay in any case. `found` is told how many there are, before the first is deleted.

        Raises
        ------
        VaultError
            S3 refused some of them. What is left is found by the next call.
        """
        client = self._given or aws.s3()
        # All are listed before the first is deleted, so that deleting does not shift the pages.
        old = [
            each
            for each in self._versions(user_id)
            if each["Key"] not in keep and (not read_until or _read_at(each["Key"]) <= read_until)
        ]
        if old:
            found(len(old))
        for some in batched(old, _MOST_DELETED, strict=False):
            versions: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in some]
            answer = client.delete_objects(Bucket=self._bucket, Delete={"Objects": versions, "Quiet": True})
            if errors := answer.get("Errors"):
                raise VaultError(f"S3 did not delete {len(errors)} versions: {errors[0].get('Code')}")
        return len(old)

    def _versions(self, user_id: str) -> Iterator[Any]:
        client = self._given or aws.s3()
        for provider in _PROVIDERS:
            pages = client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=f"{provider}/{user_id}/"
            )
            for page in pages:
                yield from (*page.get("Versions", []), *page.get("DeleteMarkers", []))

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        client = self._given or aws.s3()
        client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)


def _read_at(key: str) -> str:
    """The moment in a key; an object that was not put here by us counts as older than all."""
    moment, marker, _ = key.rpartition("/")[2].partition("Z-")
    return f"{moment}Z" if marker else ""

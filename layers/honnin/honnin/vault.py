"""The vault, the only place with personal data: a separate bucket with a key of its own, versioned and erasable.

Keys: `<provider>/<userId>/<product>/<read_at>-<sha256>.json`. A selfie is stored next to its snapshot as
`….selfie.<ext>`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from honnin import aws
from honnin.errors import HonninError
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# The providers for which there may be objects: the first part of each key.
PROVIDERS = ("paypay", "vexora")

# The maximum of DeleteObjects.
_MOST_DELETED = 1000

type Kept = Mapping[str, Mapping[str, str]]
"""The newest evidence of each product, by the names of the timeline: `snapshot`, and `selfie` where there is one.

`content` is a digest of what it says, without what differs at every read (`Vault.evidence`).
"""


class VaultError(HonninError):
    """S3 did not complete the vault's request."""

    retryable = True


@dataclass(frozen=True)
class VaultObject:
    """One object: its key, its bytes and their type."""

    key: str
    body: bytes = field(repr=False)
    content_type: str


class Evidence:
    """A provider's answer before it is in the vault, with its names for the status (`facts`) and the timeline
    (`timeline_facts`).

    It is written just before the transaction that refers to it, so that nothing ever refers to a missing object. If
    that transaction loses its race, the object is deleted again. If the vault may not delete, the object is left for
    the next try, which mostly has read the same. If a worker was killed between the two, no record refers to the
    object. An erasure still finds it, by the user's prefix.
    """

    def __init__(self, vault: "Vault", facts: Mapping[str, str], *objects: VaultObject) -> None:
        self.facts = dict(facts)
        self._vault = vault
        self._objects = list(objects)
        self._written: list[tuple[str, str]] = []

    @property
    def timeline_facts(self) -> Mapping[str, str]:
        """The facts for the timeline."""
        return {name: value for name, value in self.facts.items() if name != "content"}

    def add(self, name: str, item: VaultObject) -> None:
        """Add an object, with its name for the timeline."""
        self.facts[name] = item.key
        self._objects.append(item)

    def write(self) -> None:
        """Write the objects that are not written yet. Raises S3's errors; then none of them stays."""
        try:
            for each in self._objects[len(self._written) :]:
                self._written.append((each.key, self._vault.put(each)))
        except Exception:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Delete exactly the versions that were written here.

        An equal object from another worker has another version.
        """
        if self._vault.may_delete:
            written, self._written = self._written, []
            self._vault.delete(written)

    @property
    def written(self) -> list[str]:
        """The keys that were written here and that nothing refers to yet."""
        return [key for key, _ in self._written]

    @property
    def is_to_be_written(self) -> bool:
        """Whether some of it is not in the vault yet."""
        return len(self._written) < len(self._objects)

    def is_left_of(self, other: "Evidence") -> bool:
        """Whether this was written already and is the same as `other`: the same call, the same bytes."""
        mine, its = self.facts, other.facts
        same = (_call(mine["snapshot"]), mine["sha256"]) == (_call(its["snapshot"]), its["sha256"])
        return same and bool(self._written) and not self.is_to_be_written

    def keep(self) -> None:
        """A record refers to it now. So it is not written again, and is not deleted."""
        self._objects.clear()
        self._written.clear()


class Vault:
    """One personal-data bucket. The bucket itself encrypts, with its customer key.

    `retention_days` is how long the bucket keeps an object (0: for ever). `may_delete` says whether the function's role
    may delete. Of the merchant API's functions, only the erasure may.
    """

    def __init__(
        self, bucket: str, client: "S3Client | None" = None, *, retention_days: int = 0, may_delete: bool = True
    ) -> None:
        self._bucket = bucket
        self._given = client
        self._retention = timedelta(days=retention_days)
        self.may_delete = may_delete

    def evidence(
        self,
        *,
        provider: str,
        user_id: str,
        product: str,
        read_at: datetime,
        body: bytes,
        kept: Kept | None,
        content: bytes | None = None,
        by_content: bool = False,
    ) -> Evidence:
        """The evidence of a reading: nothing is written yet.

        If the content has the same SHA-256 as the newest of that product in `kept`, that one is used. It is not used
        after half of its storage time, because new evidence must not expire soon.

        `content` is the body without the parts that differ in every read, such as the signature of an address. With
        `by_content`, the newest one is also used if it has the same `content`.
        """
        digest = hashlib.sha256(body).hexdigest()
        said = {"content": hashlib.sha256(content).hexdigest()} if content is not None else {}
        known = (kept or {}).get(product, {})
        kept_digest = digest_of(known.get("snapshot", ""))
        is_same = kept_digest == digest or (by_content and bool(said) and known.get("content") == said["content"])
        if is_same and not self._ages(known["snapshot"], read_at):
            return Evidence(self, {**known, **said, "sha256": kept_digest})
        key = f"{provider}/{user_id}/{product}/{utc_text(read_at)}-{digest}.json"
        return Evidence(self, {"snapshot": key, **said, "sha256": digest}, VaultObject(key, body, "application/json"))

    def _ages(self, key: str, now: datetime) -> bool:
        return bool(self._retention) and datetime.fromisoformat(read_at_of(key)) + self._retention / 2 <= now

    def put(self, item: VaultObject) -> str:
        """Store an object; returns the id of the version."""
        answer = self._client.put_object(
            Bucket=self._bucket, Key=item.key, Body=item.body, ContentType=item.content_type
        )
        # An object that is written while versioning is suspended has the version "null" (S3, "Working with null version
        # IDs").
        return answer.get("VersionId", "null")

    def delete(self, versions: Collection[tuple[str, str]]) -> None:
        """Delete versions, each given as a key and a version id. A version that is already deleted is no error."""
        for key, version_id in versions:
            self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version_id)

    def erase(
        self,
        user_id: str,
        read_until: str = "",
        keep: Collection[str] = (),
        found: Callable[[int], object] = lambda _: None,
    ) -> int:
        """Delete every version of every object of a user, of all providers; returns how many versions there were.

        With `read_until` (UTC, as in the keys), objects that were read later stay. Keys in `keep` always stay. `found`
        is called with the number of versions before the first is deleted.

        Raises
        ------
        VaultError
            S3 refused some of them. The next call finds the rest.
        """
        client = self._client
        # All versions are listed before the first is deleted, because deleting would change the pages.
        old = [
            each
            for each in self._versions(user_id)
            if each["Key"] not in keep and (not read_until or read_at_of(each["Key"]) <= read_until)
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
        for provider in PROVIDERS:
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=f"{provider}/{user_id}/"
            )
            for page in pages:
                yield from (*page.get("Versions", []), *page.get("DeleteMarkers", []))

    @property
    def _client(self) -> "S3Client":
        return self._given or aws.s3()


def selfie(snapshot: str, image: bytes, content_type: str) -> VaultObject:
    """A selfie to be stored next to its snapshot, whose key is given."""
    kind = content_type.partition("/")[2]
    extension = kind if kind.isalnum() else "bin"
    return VaultObject(f"{snapshot.removesuffix('.json')}.selfie.{extension}", image, content_type)


def newest(kept: Kept | None, facts: Mapping[str, str]) -> Kept | None:
    """`kept` with the evidence in `facts`, unless it has a newer one of the product."""
    named = {name: facts[name] for name in ("snapshot", "selfie") if "/" in facts.get(name, "")}
    if "snapshot" not in named:
        return kept
    if "content" in facts:
        named["content"] = facts["content"]
    product = product_of(named["snapshot"])
    # Keys of one product sort by the moment of their reading.
    known = (kept or {}).get(product, named)
    return {**(kept or {}), product: max(named, known, key=lambda each: each["snapshot"])}


def read_at_of(key: str) -> str:
    """The moment in a key. An object that was not stored by us counts as older than all others."""
    moment, marker, _ = key.rpartition("/")[2].partition("Z-")
    return f"{moment}Z" if marker else ""


def product_of(key: str) -> str:
    """The product in a key."""
    return key.split("/")[2]


def _call(key: str) -> list[str]:
    """Provider, user and call in a key."""
    return key.split("/")[:3]


def digest_of(key: str) -> str:
    """The SHA-256 in a key; empty if we did not store the object."""
    return key.rpartition("/")[2].partition("Z-")[2].removesuffix(".json")

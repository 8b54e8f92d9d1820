"""The vault: the only place with personal data, a bucket of its own with its own key, versioned and erasable.

Keys: `<provider>/<userId>/<product>/<read_at>-<sha256>.json`, and a selfie beside its snapshot as `….selfie.<ext>`.
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


# Whose objects there can be: the first part of each key.
PROVIDERS = ("paypay", "vexora")

# DeleteObjects takes no more.
_MOST_DELETED = 1000

type Kept = Mapping[str, Mapping[str, str]]
"""The newest evidence of each product, by the names of the timeline: `snapshot`, and `selfie` where there is one.

`content` is a digest of what it says, without what differs at every read (`Vault.evidence`).
"""


class VaultError(HonninError):
    """S3 did not do all that the vault asked for."""

    retryable = True


@dataclass(frozen=True)
class VaultObject:
    """One object: its key, its bytes and their type."""

    key: str
    body: bytes = field(repr=False)
    content_type: str


class Evidence:
    """What a provider answered, as the status (`facts`) and the timeline (`told`) name it, on its way into the vault.

    It is written just before the transaction that names it, so that nothing ever names an object that is not there.
    What lost its race is taken back. Where the vault may not delete, it is left for the next try, which mostly has read
    the same. What nothing names all the same (a worker died between the two) an erasure finds by the user's prefix.
    """

    def __init__(self, vault: "Vault", facts: Mapping[str, str], *objects: VaultObject) -> None:
        self.facts = dict(facts)
        self._vault = vault
        self._objects = list(objects)
        self._written: list[tuple[str, str]] = []

    @property
    def told(self) -> Mapping[str, str]:
        """The facts for the timeline."""
        return {name: value for name, value in self.facts.items() if name != "content"}

    def add(self, name: str, item: VaultObject) -> None:
        """One more object, under this name of the timeline."""
        self.facts[name] = item.key
        self._objects.append(item)

    def write(self) -> None:
        """Write what is not written yet. Raises S3's errors; then nothing of it stays."""
        try:
            for each in self._objects[len(self._written) :]:
                self._written.append((each.key, self._vault.put(each)))
        except Exception:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Delete the very versions that were written here. An equal object of another worker has another version."""
        if self._vault.may_delete:
            written, self._written = self._written, []
            self._vault.delete(written)

    @property
    def written(self) -> list[str]:
        """The keys that were written here and are named nowhere yet."""
        return [key for key, _ in self._written]

    @property
    def is_to_be_written(self) -> bool:
        """Whether the vault lacks something of it."""
        return len(self._written) < len(self._objects)

    def is_left_of(self, other: "Evidence") -> bool:
        """Whether this was written already and is the same as another: the same call, the same bytes."""
        mine, its = self.facts, other.facts
        same = (_call(mine["snapshot"]), mine["sha256"]) == (_call(its["snapshot"]), its["sha256"])
        return same and bool(self._written) and not self.is_to_be_written

    def keep(self) -> None:
        """It is named now: whoever names it once more writes nothing, and nobody takes it back."""
        self._objects.clear()
        self._written.clear()


class Vault:
    """One personal-data bucket. The bucket encrypts by itself, with its customer key.

    `retention_days` is how long the bucket keeps an object (0: for ever). `may_delete` says whether the function's role
    may; of the merchant API's functions, only the one that erases does.
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

        What has the same SHA-256 as the newest of that product in `kept` is that one. But for one that has had half of
        its time: what is proved now must not lose its proof soon.

        `content` is the body without what differs at every read, as the signature of an address does; with
        `by_content`, what has the same content as the newest one is that one, too.
        """
        digest = hashlib.sha256(body).hexdigest()
        said = {"content": hashlib.sha256(content).hexdigest()} if content is not None else {}
        known = (kept or {}).get(product, {})
        kept_digest = _digest(known.get("snapshot", ""))
        is_same = kept_digest == digest or (by_content and bool(said) and known.get("content") == said["content"])
        if is_same and not self._ages(known["snapshot"], read_at):
            return Evidence(self, {**known, **said, "sha256": kept_digest})
        key = f"{provider}/{user_id}/{product}/{utc_text(read_at)}-{digest}.json"
        return Evidence(self, {"snapshot": key, **said, "sha256": digest}, VaultObject(key, body, "application/json"))

    def _ages(self, key: str, now: datetime) -> bool:
        return bool(self._retention) and datetime.fromisoformat(_read_at(key)) + self._retention / 2 <= now

    def put(self, item: VaultObject) -> str:
        """Store an object; returns the id of the version."""
        answer = self._client.put_object(
            Bucket=self._bucket, Key=item.key, Body=item.body, ContentType=item.content_type
        )
        # What is written while versioning is suspended has the version "null" (S3, "Working with null version IDs").
        return answer.get("VersionId", "null")

    def delete(self, versions: Collection[tuple[str, str]]) -> None:
        """Delete versions, each a key and its version's id; those that are gone already are no errors."""
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

        With `read_until` (UTC, as in the keys) what was read from the provider after it stays. `keep` holds keys that
        stay in any case. `found` is told how many there are, before the first is deleted.

        Raises
        ------
        VaultError
            S3 refused some of them. What is left is found by the next call.
        """
        client = self._client
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
    """A selfie beside its snapshot, whose key is given."""
    kind = content_type.partition("/")[2]
    extension = kind if kind.isalnum() else "bin"
    return VaultObject(f"{snapshot.removesuffix('.json')}.selfie.{extension}", image, content_type)


def newest(kept: Kept | None, facts: Mapping[str, str]) -> Kept | None:
    """`kept` with the evidence that these facts name, unless a newer one of the product is there."""
    named = {name: facts[name] for name in ("snapshot", "selfie") if "/" in facts.get(name, "")}
    if "snapshot" not in named:
        return kept
    if "content" in facts:
        named["content"] = facts["content"]
    product = named["snapshot"].split("/")[2]
    # Keys of one product sort by the moment of their reading.
    known = (kept or {}).get(product, named)
    return {**(kept or {}), product: max(named, known, key=lambda each: each["snapshot"])}


def _read_at(key: str) -> str:
    """The moment in a key; an object that was not put here by us counts as older than all."""
    moment, marker, _ = key.rpartition("/")[2].partition("Z-")
    return f"{moment}Z" if marker else ""


def _call(key: str) -> list[str]:
    """Provider, user and call in a key."""
    return key.split("/")[:3]


def _digest(key: str) -> str:
    return key.rpartition("/")[2].partition("Z-")[2].removesuffix(".json")

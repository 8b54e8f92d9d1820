"""S3 in memory: one versioned bucket, as far as the vault and recon use it."""

import hashlib
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from chaos.paging import Paginator

_LEAST_PART_BYTES = 5 * 1024 * 1024


class NoSuchKey(ClientError):  # noqa: N818 -- botocore's name
    """There is no such object."""


class NoSuchUpload(ClientError):  # noqa: N818 -- botocore's name
    """There is no such multipart upload, or it is over."""


@dataclass(frozen=True)
class Version:
    """One version of an object; a delete marker has no body."""

    id: str
    body: bytes | None
    content_type: str = ""
    etag: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def facts(self) -> dict[str, Any]:
        """What S3 says of it without its body."""
        return {"ContentLength": len(self.body or b""), "ETag": self.etag, "ContentType": self.content_type}


class _Current(Mapping[str, bytes]):
    """Each key's newest version, unless that is a delete marker."""

    def __init__(self, versions: Mapping[str, Sequence[Version]]) -> None:
        self._versions = versions

    def __getitem__(self, key: str) -> bytes:
        newest = self._versions.get(key, ())[-1:]
        if not newest or newest[0].body is None:
            raise KeyError(key)
        return newest[0].body

    def __iter__(self) -> Iterator[str]:
        return (key for key, versions in self._versions.items() if versions and versions[-1].body is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MemoryS3:
    """One bucket, whatever it is called. `told` is called with each new object, as S3's notifications are."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey, NoSuchUpload=NoSuchUpload)

    def __init__(self, note: Callable[[str], None] = lambda _: None) -> None:
        self._versions: dict[str, list[Version]] = {}
        self._uploads: dict[str, tuple[str, str, dict[int, bytes]]] = {}
        self._numbers = itertools.count(1)
        self._note = note
        self.objects: Mapping[str, bytes] = _Current(self._versions)

    # --- objects ---

    def put_object(
        self,
        *,
        Key: str,  # noqa: N803
        Body: bytes = b"",  # noqa: N803
        ContentType: str = "binary/octet-stream",  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
        IfMatch: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Keep an object; with `IfNoneMatch="*"` only where there is none, with `IfMatch` only over that ETag."""
        self._check_absent(Key, IfNoneMatch, "PutObject")
        found = self._version(Key)
        if IfMatch and found is None:
            raise NoSuchKey(_error("NoSuchKey", 404), "PutObject")
        if IfMatch and found and IfMatch != found.etag:
            raise ClientError(_error("PreconditionFailed", 412), "PutObject")
        return self._add(Key, bytes(Body), ContentType, _etag(bytes(Body)))

    def get_object(
        self,
        *,
        Key: str,  # noqa: N803
        VersionId: str = "",  # noqa: N803
        Range: str = "",  # noqa: N803
        IfMatch: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """One object, or one version of it; with `Range` some of its bytes, with `IfMatch` only under that ETag."""
        found = self._version(Key, VersionId)
        if found is None:
            raise NoSuchKey(_error("NoSuchKey", 404), "GetObject")
        if IfMatch and IfMatch != found.etag:
            raise ClientError(_error("PreconditionFailed", 412), "GetObject")
        body = found.body or b""
        if not Range:
            return {"Body": io.BytesIO(body), **found.facts()}
        first, last = (int(each) for each in Range.removeprefix("bytes=").split("-"))
        if first >= len(body):
            raise ClientError(_error("InvalidRange", 416), "GetObject")
        part = body[first : last + 1]
        return {"Body": io.BytesIO(part), **found.facts(), "ContentLength": len(part)}

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Whether there is such an object. S3 answers without a body, so the code is the number alone."""
        found = self._version(Key)
        if found is None:
            raise ClientError(_error("404", 404), "HeadObject")
        return found.facts()

    def list_objects_v2(self, *, Prefix: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        """The objects by key; one page holds all of them."""
        found = {key: self.head_object(Key=key) for key in sorted(self.objects) if key.startswith(Prefix)}
        return {"Contents": [{"Key": key, "ETag": each["ETag"]} for key, each in found.items()]} if found else {}

    def upload_fileobj(
        self,
        Fileobj: Any,  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
    ) -> None:
        """Keep an object from an open file; the SDK may read it once more."""
        begin = Fileobj.tell()
        self.put_object(Bucket=Bucket, Key=Key, Body=Fileobj.read(), **(ExtraArgs or {}))
        Fileobj.seek(begin)

    def delete_object(self, *, Key: str, VersionId: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        """Hide an object behind a delete marker, or delete one version of it for good."""
        if VersionId:
            self._versions[Key] = [each for each in self._versions.get(Key, []) if each.id != VersionId]
            return {"VersionId": VersionId}
        self._versions.setdefault(Key, []).append(Version(self._next(), None))
        return {"DeleteMarker": True, "VersionId": self._versions[Key][-1].id}

    # --- versions ---

    def list_object_versions(self, *, Prefix: str = "", MaxKeys: int = 1000, **request: Any) -> dict[str, Any]:  # noqa: N803
        """Versions and delete markers by key, the newest first."""
        all_of_them = [
            (key, each, each is versions[-1])
            for key, versions in sorted(self._versions.items())
            for each in reversed(versions)
            if key.startswith(Prefix)
        ]
        start = (request.get("KeyMarker"), request.get("VersionIdMarker"))
        places = [number for number, (key, each, _) in enumerate(all_of_them) if (key, each.id) == start]
        rest = all_of_them[places[0] + 1 :] if places else all_of_them
        answer: dict[str, Any] = {"IsTruncated": len(rest) > MaxKeys}
        for key, each, latest in rest[:MaxKeys]:
            kind = "DeleteMarkers" if each.body is None else "Versions"
            shown = {"Key": key, "VersionId": each.id, "IsLatest": latest, "LastModified": each.at}
            if each.body is not None:
                shown |= {"Size": len(each.body), "ETag": each.etag}
            answer.setdefault(kind, []).append(shown)
        if answer["IsTruncated"]:
            last_key, last, _ = rest[MaxKeys - 1]
            answer |= {"NextKeyMarker": last_key, "NextVersionIdMarker": last.id}
        return answer

    def delete_objects(self, *, Delete: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Delete versions for good; those that are gone already are no errors."""
        if not 1 <= len(Delete["Objects"]) <= 1000:
            raise ClientError(_error("MalformedXML", 400), "DeleteObjects")
        for each in Delete["Objects"]:
            left = [known for known in self._versions.get(each["Key"], []) if known.id != each["VersionId"]]
            self._versions[each["Key"]] = left
        return {} if Delete.get("Quiet") else {"Deleted": [dict(each) for each in Delete["Objects"]]}

    def get_paginator(self, operation: str) -> Paginator:
        """Pages of `list_object_versions`."""
        tokens = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        return Paginator(getattr(self, operation), tokens)

    # --- multipart uploads ---

    def create_multipart_upload(
        self,
        *,
        Key: str,  # noqa: N803
        ContentType: str = "binary/octet-stream",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Begin an upload in parts."""
        upload_id = self._next()
        self._uploads[upload_id] = (Key, ContentType, {})
        return {"UploadId": upload_id, "Key": Key}

    def upload_part(self, *, UploadId: str, PartNumber: int, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Take one part."""
        self._parts(UploadId, "UploadPart")[PartNumber] = bytes(Body)
        return {"ETag": _etag(Body)}

    def complete_multipart_upload(
        self,
        *,
        UploadId: str,  # noqa: N803
        MultipartUpload: Mapping[str, Any],  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Make the object appear."""
        operation = "CompleteMultipartUpload"
        held = self._parts(UploadId, operation)
        key, content_type = self._uploads[UploadId][:2]
        parts = [held.get(each["PartNumber"], b"") for each in MultipartUpload["Parts"]]
        etags = [each["ETag"] for each in MultipartUpload["Parts"]]
        if etags != [_etag(part) for part in parts]:
            raise ClientError(_error("InvalidPart", 400), operation)
        if any(len(part) < _LEAST_PART_BYTES for part in parts[:-1]):
            raise ClientError(_error("EntityTooSmall", 400), operation)
        self._check_absent(key, IfNoneMatch, operation)
        del self._uploads[UploadId]
        # S3's own: the digest of the parts' digests, and how many they are.
        digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
        return self._add(key, b"".join(parts), content_type, f'{_etag(digests)[:-1]}-{len(parts)}"')

    def abort_multipart_upload(self, *, UploadId: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Give an upload up."""
        self._parts(UploadId, "AbortMultipartUpload")
        del self._uploads[UploadId]
        return {}

    def _parts(self, upload_id: str, operation: str) -> dict[int, bytes]:
        if upload_id not in self._uploads:
            raise NoSuchUpload(_error("NoSuchUpload", 404), operation)
        return self._uploads[upload_id][2]

    def list_multipart_uploads(self, **_: Any) -> dict[str, Any]:
        """The uploads that are neither complete nor given up."""
        found = [{"UploadId": number, "Key": key} for number, (key, *_) in self._uploads.items()]
        return {"Uploads": found} if found else {}

    def _version(self, key: str, version_id: str = "") -> Version | None:
        """The newest version of a key or the one of that id; None where that is none, or a delete marker."""
        known = self._versions.get(key, [])
        found = [each for each in known if each.id == version_id] if version_id else known
        return found[-1] if found and found[-1].body is not None else None

    def _check_absent(self, key: str, if_none_match: str, operation: str) -> None:
        if if_none_match and key in self.objects:
            raise ClientError(_error("PreconditionFailed", 412), operation)

    def _add(self, key: str, body: bytes, content_type: str, etag: str) -> dict[str, Any]:
        version = Version(self._next(), body, content_type, etag)
        self._versions.setdefault(key, []).append(version)
        self._note(key)
        return {"ETag": etag, "VersionId": version.id}

    def _next(self) -> str:
        return str(next(self._numbers))


def _error(code: str, status: int) -> Any:
    return {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'

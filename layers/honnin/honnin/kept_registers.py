"""Registers that are kept in the recon bucket for 30 days, and erased with their users (docs/erasure.md).

A register is kept in 256 parts: a hash of the user's id says in which one a user is. Keys:
`registers/<part>/<name>`, and `registers/about/<name>.json`, which is written last. A register without the latter
is not complete, and nobody is given it.

The first line of a part is a mark, which is another one at each write; each other line is a row. A part is opened, with
its mark alone, before the first timeline is read. Its rows are written on the condition that it is still the same
(`If-Match`). An erasure writes each part that may name the user again: without the user, and if it was open, closed. So
the rows that a register has read before the erasure cannot be written after it. Then the writer opens the part again,
leaves out whoever was erased, and writes once more. Neither side waits for the other, and each of them may stop at any
moment.

S3 counts the 30 days from the last time that an object was written. So an erasure deletes a part of a register that is
older than that, and does not write it again.
"""

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from honnin import aws
from honnin.errors import ConcurrentUpdateError, HonninError
from honnin.json_objects import JsonObjects, record_of
from honnin.register import Row
from honnin.store import Certificate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# As the bucket's lifecycle rule says (template.yaml).
KEPT = timedelta(days=30)

FOLDER = "registers/"
_ABOUT = f"{FOLDER}about/"

# One part for each first byte of the hash. Of a million users, a part names some 4,000 (3 MB).
PARTS = tuple(f"{number:02x}" for number in range(256))

# Parts that are opened at the same time: fewer than a client keeps connections (`aws.CONNECTIONS`).
_AT_ONCE = 8

# An erasure reads one part of each within one call (`honnin.erasure`, `_RUN_S`).
_MOST = 100

# The beginnings of a part's mark: its rows are still to come, or not.
_OPEN, _CLOSED = b"open ", b"closed "

# How often a part is written again because an erasure came between. Each time is another erasure.
_ROUNDS = 50

# The mark or the part is another one now (412), is just being written (409), or somebody has deleted it (404). See "How
# to prevent overwrites if the object has changed" in the S3 User Guide.
_CHANGED = frozenset({404, 409, 412})

_READ_TIMEOUT_S = 30


class RegisterEndedError(HonninError):
    """A register is not kept any more."""


class TooManyRegistersError(HonninError):
    """So many registers are kept that an erasure would take too long."""


class KeptRegisters:
    """The registers in one bucket. Errors of S3 are botocore's."""

    def __init__(
        self, bucket: str, client: "S3Client | None" = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._bucket = bucket
        self._given = client
        self._now = now

    @property
    def _s3(self) -> "S3Client":
        return self._given or aws.s3(read_timeout_s=_READ_TIMEOUT_S)

    # --- what is kept ---

    def names(self) -> list[str]:
        """The names of all complete registers, the oldest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_ABOUT)
        keys = (each["Key"] for page in pages for each in page.get("Contents", []))
        return sorted(key.removeprefix(_ABOUT).removesuffix(".json") for key in keys)

    def about(self, name: str) -> Mapping[str, Any] | None:
        """What was said of a register when it was complete; None if there is none of that name."""
        found: Mapping[str, Any] | None = JsonObjects(self._bucket, self._s3).get(f"{_ABOUT}{name}.json")
        return found

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a register, without those of users who were erased since.

        Raises
        ------
        RegisterEndedError
            Its 30 days have ended.
        """
        for part in PARTS:
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=_key(part, name))
            except self._s3.exceptions.NoSuchKey:
                raise RegisterEndedError(name) from None
            with answer["Body"] as body:
                yield from map(row_of, body.read().splitlines()[1:])

    def end(self, name: str, about: Mapping[str, Any]) -> None:
        """Record that a register is complete."""
        JsonObjects(self._bucket, self._s3).put(f"{_ABOUT}{name}.json", about)

    # --- erasing ---

    def forget(
        self,
        user_id: str,
        until: str | None = None,
        clean: Set[tuple[str, str]] = frozenset(),
        may_go_on: Callable[[], None] = lambda: None,
    ) -> frozenset[tuple[str, str]]:
        """Take a user out of every register, and out of all that are being written; returns the clean parts.

        Every older version of these parts is deleted. With `until` (UTC), rows that began later stay: they are of a
        user who came back. Parts in `clean` (key and ETag) are passed over. `may_go_on` is called between two parts,
        and raises an error if there is no time for another one; then the next call goes on.

        Raises
        ------
        ConcurrentUpdateError
            Parts are written again and again meanwhile.
        """
        oldest = _moment_in_name(self._now() - KEPT)
        prefix = f"{FOLDER}{part_of(user_id)}/"
        found = set(clean)
        for _ in range(_ROUNDS):
            pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
            versions = [each for page in pages for each in page.get("Versions", [])]
            # A version that is not the current one is of no use. A current one is deleted when it is too old.
            old = [each for each in versions if not each["IsLatest"] or each["Key"].removeprefix(prefix) < oldest]
            todo = [each for each in versions if each not in old and (each["Key"], each["ETag"]) not in found]
            for each in todo:
                may_go_on()
                if etag := self._without(each["Key"], user_id, until):
                    found.add((each["Key"], etag))
            for each in old:
                may_go_on()
                self._s3.delete_object(Bucket=self._bucket, Key=each["Key"], VersionId=each["VersionId"])
            if not todo and not old:
                return frozenset(found)
        raise ConcurrentUpdateError("each try met another change of the registers; repeat the call")

    def _without(self, key: str, user_id: str, until: str | None) -> str | None:
        """Leave a user out of a part; returns its ETag, or None if it was changed meanwhile."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            with answer["Body"] as body:
                mark, *lines = body.read().splitlines()
            left = [each for each in lines if not _is_of(each, user_id, until)]
            if not mark.startswith(_OPEN) and len(left) == len(lines):
                return answer["ETag"]
            return _put(self._s3, self._bucket, key, _CLOSED, left, IfMatch=answer["ETag"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in _CHANGED:
                return None
            raise


class NewRegister:
    """A register that is being written. Opened first, then read and given its rows (`add`), then written (`write`).

    Parameters
    ----------
    folder
        An empty folder of the caller's machine, which holds the rows until they are written.
    certificates
        Gives the erasures of a user (`honnin.store.erasure.Erasures.certificates`).

    Raises
    ------
    TooManyRegistersError
        100 were begun in the last 30 days.
    """

    def __init__(
        self,
        bucket: str,
        name: str,
        folder: Path,
        certificates: Callable[[str], Iterable[Certificate]],
        client: "S3Client",
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._folder = folder
        self._certificates = certificates
        self._s3 = client
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{FOLDER}{PARTS[0]}/")
        if sum(len(page.get("Contents", [])) for page in pages) >= _MOST:
            raise TooManyRegistersError
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            self._marks = dict(zip(PARTS, threads.map(self._open, PARTS), strict=True))

    def add(self, row: Row) -> None:
        """Take a row. It is not in the bucket yet."""
        with (self._folder / part_of(row.user_id or row.since)).open("ab") as stream:
            stream.write(line_of(row) + b"\n")

    def write(self) -> int:
        """Write all rows, without those of users who were erased meanwhile; returns their number.

        Raises
        ------
        ConcurrentUpdateError
            Erasures came between again and again.
        """
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return sum(threads.map(self._write, PARTS))

    def _write(self, part: str) -> int:
        path = self._folder / part
        lines = path.read_bytes().splitlines() if path.exists() else []
        for _ in range(_ROUNDS):
            if not lines:
                return 0
            try:
                _put(self._s3, self._bucket, _key(part, self._name), _CLOSED, lines, IfMatch=self._marks[part])
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in _CHANGED:
                    raise
                # Opened first: an erasure that begins after the look at the certificates changes the new mark.
                self._marks[part] = self._open(part)
                lines = [each for each in lines if not self._is_erased(row_of(each))]
            else:
                return len(lines)
        raise ConcurrentUpdateError("each try met another erasure; try again later")

    def _open(self, part: str) -> str:
        return _put(self._s3, self._bucket, _key(part, self._name), _OPEN, [])

    def _is_erased(self, row: Row) -> bool:
        """Whether a row is about a user as they were before an erasure."""
        if row.user_id is None:
            return False
        return any(row.since <= (each.completed_at or "~") for each in self._certificates(row.user_id))


def new_name(now: datetime) -> str:
    """A name that no other register has; names sort by their moments."""
    return f"{_moment_in_name(now)}-{secrets.token_hex(3)}"


def _moment_in_name(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def part_of(user_id: str) -> str:
    """The part that may name a user."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:2]


def line_of(row: Row) -> bytes:
    """A row as a line, without its end."""
    return json.dumps(asdict(row), separators=(",", ":")).encode()


def row_of(line: bytes) -> Row:
    """The row of a line."""
    said = json.loads(line)
    return record_of(Row, {**said, "flags": tuple((at, flag) for at, flag in said["flags"])})


def _put(client: "S3Client", bucket: str, key: str, mark: bytes, lines: Iterable[bytes], **condition: Any) -> str:
    """Write a part, with a mark that no other has; returns its ETag. Raises S3's errors."""
    body = b"\n".join([mark + uuid.uuid4().hex.encode(), *lines, b""])
    return client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/plain", **condition)["ETag"]


def _key(part: str, name: str) -> str:
    return f"{FOLDER}{part}/{name}"


def _is_of(line: bytes, user_id: str, until: str | None) -> bool:
    row = row_of(line)
    return row.user_id == user_id and (until is None or row.since <= until)

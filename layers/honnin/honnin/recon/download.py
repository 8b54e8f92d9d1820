"""Fetching announced recon files into the recon bucket, within the two hours that PayPay gives (base document).

A file is streamed: its bytes go into a multipart upload as they come, so that memory does not grow with the file. A
connection that breaks is resumed where the server allows it. What is stored is never overwritten: other bytes under a
known name are kept beside them as a revision, and compared too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests

from honnin import remote_file
from honnin.errors import (
    FileGoneError,
    FileNotFetchedError,
    FileTooLargeError,
    ReconUrlRefusedError,
    UrlRefusedError,
)
from honnin.http_client import Deadline
from honnin.observability import count, logger
from honnin.recon.bucket import AlreadyStoredError, FileId, FileWriter, ReconBucket
from honnin.recon.resend import ResendAlarm
from honnin.store import ReconFile, Store
from honnin.times import utc_text

# A file is not begun with less time than this, and a running one ends this long before the function does.
_MIN_LEFT_S = 30.0

_READ_TIMEOUT_S = 20.0

# How often a transfer begins anew from the first byte, when the server does not resume it.
_MOST_RESTARTS = 3

_FILES_AT_ONCE = 4


def check_url(url: str, *, allowed_hosts: Sequence[str], loopback: bool = False) -> None:
    """Check the address of a recon file: all that can be checked before connecting (see `honnin.remote_file`).

    Parameters
    ----------
    allowed_hosts
        Exact host names, or suffixes that begin with a dot.
    loopback
        Also allow plain http to 127.0.0.1: for the local stack only.

    Raises
    ------
    ReconUrlRefusedError
        Names the rule that is broken; nothing of the URL.
    """
    try:
        remote_file.check_url(url, allowed_hosts=allowed_hosts, loopback=loopback)
    except UrlRefusedError as refused:
        raise ReconUrlRefusedError(str(refused)) from None


@dataclass(frozen=True)
class Source:
    """Where files may come from, and how large one may be (bytes)."""

    allowed_hosts: Sequence[str]
    max_bytes: int
    loopback: bool = False


class Downloads:
    """One run: everything that is announced and not yet fetched. Safe at any concurrency: each file is claimed."""

    def __init__(
        self,
        *,
        store: Store,
        bucket: ReconBucket,
        source: Source,
        alarm: ResendAlarm,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._source = source
        self._alarm = alarm
        self._now = now

    def run(self, left_ms: Callable[[], int]) -> dict[str, int]:
        """Fetch, the oldest deadline first, several files at once; returns how many ended in each way.

        A file that fails does not stop the others. Errors of AWS itself are raised once all others are done.
        """
        deadline = Deadline(left_ms() / 1000 - _MIN_LEFT_S)
        files = self._store.recon.to_fetch()
        with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="recon") as workers:
            running = [workers.submit(self._one, file, deadline) for file in files]
        outcomes = Counter(each.result() for each in running)
        logger().info("recon download done", extra={"outcomes": dict(outcomes)})
        return dict(outcomes)

    def _one(self, file: ReconFile, deadline: Deadline) -> str:
        if deadline.remaining_s <= 0:
            return "no_time_left"
        now = self._now()
        until = utc_text(now + timedelta(seconds=deadline.remaining_s))
        if not self._store.recon.claim(file, utc_text(now), until):
            return "claimed_elsewhere"
        reason = ""
        try:
            return self._fetch(file, deadline)
        except UrlRefusedError as error:
            return self._end(file, "REFUSED", str(error))
        except FileTooLargeError as error:
            return self._end(file, "TOO_LARGE", str(error))
        except FileGoneError as error:
            return self._end(file, "EXPIRED", str(error))
        except FileNotFetchedError as error:
            reason = str(error)
            if self._is_over(file):
                return self._end(file, "EXPIRED", reason)
            logger().warning("recon file not fetched yet", extra={**_named(file), "reason": reason})
            count("ReconFetchFailed")
            return "failed"
        finally:
            # Does nothing to a file that is done: only what this claim still holds is given back.
            self._store.recon.release(file, until, reason)

    def _is_over(self, file: ReconFile) -> bool:
        """Whether PayPay has taken the file away: two hours after the time in the notification, or after we got it."""
        ends = [datetime.fromisoformat(file.deadline or ""), datetime.fromisoformat(file.received_at or "")]
        return self._now() >= min(ends[0], ends[1] + timedelta(hours=2))

    def _end(self, file: ReconFile, state: str, reason: str) -> str:
        newest = self._store.recon.file(file.file_type, file.day, file.name)
        if newest and newest.received_at != file.received_at:
            return "renewed"  # a newer notification came meanwhile, and its URL is the one to fetch
        logger().error("recon file lost", extra={**_named(file), "state": state, "reason": reason})
        if state == "REFUSED":
            count("ReconFileRefused")
        elif file.state not in ("STORED", "COMPARED"):
            # A stored file is not lost when the URL of a later notification fails. Alert before the state is recorded,
            # so that a crash in between repeats the alert.
            count("ReconFileLost")
            self._alarm.send(file.file_type, [file.day], reason)
        self._store.recon.end_fetch(file, state, reason)
        return state.lower()

    def _fetch(self, file: ReconFile, deadline: Deadline) -> str:
        base = FileId.of(file)
        if not file.is_stored and self._bucket.has(base):
            return self._adopt(file, base)
        known = self._known_hashes(file, base)
        # Only its hash tells whether a file is a revision, but its place must be known before the first byte.
        name = f"{file.name}.rev-{_compact(file.received_at or '')}" if known else file.name
        writer = self._transfer(file, FileId(file.file_type, file.day, name), deadline)
        if writer.sha256 in known:
            writer.abort()
            self._store.recon.end_fetch(file, file.state, "announced again with the same bytes")
            return "unchanged"
        try:
            writer.finish()
        except AlreadyStoredError:
            return self._adopt(file, FileId(file.file_type, file.day, name))
        self._stored(file, name, writer.sha256, writer.size)
        return "revision" if known else "stored"

    def _adopt(self, file: ReconFile, stored: FileId) -> str:
        """Use the object that is in the bucket: of a run that was killed or faster, or put there by a person."""
        sha256, size = self._bucket.measure(stored)
        self._stored(file, stored.name, sha256, size)
        return "adopted"

    def _stored(self, file: ReconFile, name: str, sha256: str, size: int) -> None:
        self._store.recon.stored(file, name=name, sha256=sha256, size=size, at=utc_text(self._now()))
        logger().info("recon file stored", extra={**_named(file), "stored_as": name, "size": size})

    def _known_hashes(self, file: ReconFile, base: FileId) -> set[str]:
        """The hashes of what is stored under this name, revisions included; none for a file that is not stored."""
        if not file.is_stored:
            return set()
        files = self._store.recon.files(file.file_type, file.day, file.day)
        known = {each.sha256 for each in files if file.name in (each.name, each.revision_of) and each.sha256}
        # There is no hash if the comparison came before the record of the download, or if a person put the file there.
        if file.sha256 or not self._bucket.has(base):
            return known
        return known | {self._bucket.measure(base)[0]}

    def _transfer(self, file: ReconFile, target: FileId, deadline: Deadline) -> FileWriter:
        transfer = Transfer(self._source, file.url or "", lambda: self._bucket.writer(target, self._source.max_bytes))
        return transfer.run(deadline)


class Transfer:
    """One file on its way from a URL into a writer, over as many connections as it takes."""

    def __init__(self, source: Source, url: str, begin: Callable[[], FileWriter]) -> None:
        self._source = source
        self._url = url
        self._begin = begin
        self._writer = begin()
        # What the server calls these bytes (ETag or Last-Modified), and how many there are in all.
        self._validator: str | None = None
        self._total: int | None = None

    def run(self, deadline: Deadline) -> FileWriter:
        """The writer with the whole file in it, not finished yet.

        Raises
        ------
        RemoteFileError
            As `remote_file.opened`, and `FileTooLargeError`. The writer has been given up.
        """
        restarts = 0
        try:
            while True:
                had = self._writer.size
                try:
                    self._receive(deadline)
                    return self._writer
                except (FileGoneError, FileTooLargeError):
                    raise
                except FileNotFetchedError:
                    restarts += self._writer.size <= had
                    if restarts > _MOST_RESTARTS or deadline.remaining_s <= 0:
                        raise
        except BaseException:
            self._writer.abort()
            raise

    def _receive(self, deadline: Deadline) -> None:
        """Take what one connection gives: the rest of the file where that can be, else the file anew."""
        headers = {}
        # Without a name for these bytes nobody can tell whether the rest belongs to them (RFC 9110 §15.3.7.3).
        if self._writer.size and self._validator:
            headers = {"Range": f"bytes={self._writer.size}-", "If-Range": self._validator}
        with remote_file.opened(
            self._url,
            allowed_hosts=self._source.allowed_hosts,
            loopback=self._source.loopback,
            deadline=deadline,
            read_timeout_s=_READ_TIMEOUT_S,
            headers=headers,
            accepted=(200, 206, 416),
        ) as response:
            if not self._continues(response):
                self._restart(response)
            for piece in remote_file.pieces(response, deadline):
                if self._writer.size + len(piece) > self._source.max_bytes:
                    raise FileTooLargeError(f"the file is larger than {self._source.max_bytes} bytes")
                self._writer.write(piece)
        if self._total is not None and self._writer.size != self._total:
            raise FileNotFetchedError("the transfer broke off")

    def _continues(self, response: requests.Response) -> bool:
        """Whether the answer is the rest of the very file that we hold the beginning of."""
        if response.status_code != 206 or not self._writer.size:
            return False
        unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = extent.partition("/")
        if unit != "bytes" or not span.startswith(f"{self._writer.size}-") or not total.isdecimal():
            return False
        if _validator(response) not in (None, self._validator) or int(total) != (self._total or int(total)):
            return False
        self._total = int(total)
        return True

    def _restart(self, response: requests.Response) -> None:
        if self._writer.size:
            self._writer.abort()
            self._writer = self._begin()
        if response.status_code != 200:
            self._validator = self._total = None
            raise FileNotFetchedError("the server gave another part than the one asked for")
        if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise FileNotFetchedError("the file came compressed, which was not asked for")
        self._validator = _validator(response)
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdecimal() else None
        if self._total is None and response.headers.get("Transfer-Encoding", "").lower() != "chunked":
            raise FileNotFetchedError("the answer does not say where the file ends")
        if self._total is not None and self._total > self._source.max_bytes:
            raise FileTooLargeError(f"the file is larger than {self._source.max_bytes} bytes")


def _validator(response: requests.Response) -> str | None:
    """What `If-Range` may carry (RFC 9110 §13.1.5): a strong ETag, else the time of the last change."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _compact(moment: str) -> str:
    return "".join(character for character in moment if character.isalnum())


def _named(file: ReconFile) -> dict[str, str]:
    return {"file_type": file.file_type, "day": file.day, "file_name": file.name}

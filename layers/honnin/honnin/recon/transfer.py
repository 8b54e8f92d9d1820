"""Transfers one file from a URL into a writer, over as many connections as are needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from honnin import remote_file
from honnin.content_coding import Decoder
from honnin.errors import FileGoneError, FileNotFetchedError, FileTooLargeError
from honnin.http_client import Deadline
from honnin.recon.bucket import FileWriter
from honnin.remote_file import Answer
from honnin.wording import Wording

_READ_TIMEOUT_S = 20.0

# How often a transfer may start again from the first byte, if the server does not resume it.
_MOST_RESTARTS = 3


@dataclass(frozen=True)
class Source:
    """Where files may come from, and the largest size in bytes. `loopback`: for the local stack only."""

    allowed_hosts: Sequence[str]
    max_bytes: int
    loopback: bool = False


class Transfer:
    """One file. After `run`, `says_its_length` says whether the server gave the file's length."""

    def __init__(self, source: Source, url: str, begin: Callable[[], FileWriter]) -> None:
        self._source = source
        self._url = url
        self._begin = begin
        self._writer = begin()
        self._decoder = Decoder(())
        # How many bytes have arrived, counted as they were sent.
        self._received = 0
        # The server's name for these bytes (ETag or Last-Modified), and their number in all.
        self._validator: str | None = None
        self._total: int | None = None
        self.says_its_length = True

    def run(self, deadline: Deadline) -> FileWriter:
        """Transfer the file; returns the writer with the whole file, decompressed, but not finished yet.

        Raises
        ------
        RemoteFileError
            As `remote_file.opened`, and `FileTooLargeError`. The writer was aborted.
        """
        restarts = 0
        try:
            while True:
                had = self._received
                try:
                    self._receive(deadline)
                    for plain in self._decoder.end():
                        self._write(plain)
                    return self._writer
                except (FileGoneError, FileTooLargeError):
                    raise
                except FileNotFetchedError:
                    restarts += self._received <= had
                    if restarts > _MOST_RESTARTS or deadline.remaining_s <= 0:
                        raise
        except BaseException:
            self._writer.abort()
            raise

    def _receive(self, deadline: Deadline) -> None:
        """Read what one connection gives: the rest of the file if possible, otherwise the file from the beginning."""
        headers = {}
        # Without an ETag or a date it is unknown whether the rest belongs to the same file (RFC 9110 §15.3.7.3).
        if self._received and self._validator:
            headers = {"Range": f"bytes={self._received}-", "If-Range": self._validator}
        with remote_file.opened(
            self._url,
            allowed_hosts=self._source.allowed_hosts,
            loopback=self._source.loopback,
            deadline=deadline,
            read_timeout_s=_READ_TIMEOUT_S,
            headers=headers,
            accepted=(200, 203, 206, 416),
        ) as answer:
            if not self._continues(answer):
                self._restart(answer)
            for piece in answer.pieces():
                self._received += len(piece)
                self._check_size(self._received)
                for plain in self._decoder.decode(piece):
                    self._write(plain)
        if self._total is not None and self._received != self._total:
            raise FileNotFetchedError(Wording("the transfer was interrupted", "転送が途中で切れた"))

    def _write(self, plain: bytes) -> None:
        self._check_size(self._writer.size + len(plain))
        self._writer.write(plain)

    def _check_size(self, size: int) -> None:
        if size > self._source.max_bytes:
            raise FileTooLargeError(remote_file.larger_than(self._source.max_bytes))

    def _continues(self, answer: Answer) -> bool:
        """Whether the answer is the rest of the file whose beginning we have."""
        if answer.status != 206 or not self._received:
            return False
        unit, _, extent = answer.headers.get("Content-Range", "").partition(" ")
        span, _, total = extent.partition("/")
        if unit != "bytes" or not span.startswith(f"{self._received}-") or not total.isdecimal():
            return False
        if _validator(answer) not in (None, self._validator) or int(total) != (self._total or int(total)):
            return False
        self._total = int(total)
        return True

    def _restart(self, answer: Answer) -> None:
        if self._received:
            self._writer.abort()
            self._writer = self._begin()
        self._received = 0
        self._decoder = Decoder(answer.codings())
        # RFC 9110 §15.3.4: 203 is the whole file, sent through a proxy, which says so with this code.
        if answer.status not in (200, 203):
            self._validator = self._total = None
            raise FileNotFetchedError(
                Wording("the server sent another part of the file than requested", "サーバーが要求と異なる範囲を返した")
            )
        self._validator = _validator(answer)
        self._total = answer.length
        self.says_its_length = not answer.ends_with_connection
        self._check_size(self._total or 0)


def _validator(answer: Answer) -> str | None:
    """What `If-Range` may carry (RFC 9110 §13.1.5): a strong ETag, else the time of the last change."""
    etag: str = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified")

"""How a recon file comes over the wire: whole, or in one of the ways in which a transfer goes wrong."""

import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from flask import Response, redirect, request
from werkzeug.datastructures import Range
from werkzeug.wrappers import Response as AnyResponse

from sandbox.journal import request_notes
from sandbox.paypay.recon_content import Content

# What the server is like; any number of these may be set.
TRAITS = ("slow", "no_range", "chunked", "changed")
# What goes wrong; one of these at most. They stop after `recon_times` requests.
SENTENCES = {"forbidden": 403, "gone": 410, "not_found": 404, "error": 500}
FAILURES = ("broken", "stall", "short_length", "endless", "gzip", "redirect", *SENTENCES)
TRANSFERS = ("whole", *TRAITS, *FAILURES)
METADATA_URL = "http://169.254.169.254/latest/meta-data/"
# The bomb: 4 GiB of zeros in some 4 MB, more than Honnin takes of any file.
BOMB_BLOCK_BYTES = 1024 * 1024
BOMB_BLOCKS = 4096
_GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_EMPTY_LAST_BLOCK = b"\x03\x00"
CSV_TYPE = "text/csv; charset=utf-8"
# A slow transfer sends its bytes in so many portions per second.
_PORTIONS_PER_S = 10

Hold = Callable[[float], None]
Blocks = Iterable[bytes]


@dataclass(frozen=True)
class Manner:
    """How one request is answered. `words` are out of `TRANSFERS`; `break_at` None is half of the answer."""

    words: frozenset[str]
    bytes_per_s: float
    break_at: int | None
    stall_s: float

    @property
    def failure(self) -> str | None:
        """What goes wrong with this answer, out of `FAILURES`."""
        return next((word for word in FAILURES if word in self.words), None)

    def mended(self) -> "Manner":
        """Return it without its failure."""
        return replace(self, words=self.words - set(FAILURES))


def transfer_words(value: object) -> object:
    """Check the dial `recon_transfer`: one of `TRANSFERS` or a list of them; return the list."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(word in TRANSFERS for word in words):
        raise ValueError(f"must be one of, or a list out of: {', '.join(TRANSFERS)}")
    if len(set(words) & set(FAILURES)) > 1:
        raise ValueError(f"takes only one of: {', '.join(FAILURES)}")
    if "whole" in words and set(words) != {"whole"}:
        raise ValueError("takes whole only by itself")
    return words


def respond(content: Content, manner: Manner, hold: Hold, is_stopping: Callable[[], bool]) -> AnyResponse:
    """Answer the current request for `content` in that manner; `hold` waits in real time."""
    request_notes().fault = ", ".join(sorted(manner.words - {"whole"})) or None
    match manner.failure:
        case "redirect":
            return redirect(METADATA_URL, 302)
        case None | "broken" | "stall":
            answer = _file(content, manner, hold)
        case "gzip":
            answer = _bomb()
        case "short_length" | "endless" as failure:
            answer = _without_end(content, is_stopping)
            if failure == "short_length":
                answer.headers["Content-Length"] = str(content.size)
        case word:
            return sentence(SENTENCES[word], "The sandbox is set to give this answer.")
    if "slow" in manner.words:
        answer.response = _paced(answer.iter_encoded(), manner.bytes_per_s, hold)
    return answer


def sentence(status: int, text: str) -> Response:
    """Return an answer that says `text`."""
    return Response(text + "\n", status, mimetype="text/plain")


def _file(content: Content, manner: Manner, hold: Hold) -> Response:
    takes_ranges = "no_range" not in manner.words
    headers = {"ETag": f'"{content.etag}"', "Accept-Ranges": "bytes" if takes_ranges else "none"}
    status, start, stop = 200, 0, content.size
    if takes_ranges and (wanted := _wanted_range(content.etag)) is not None:
        found = wanted.range_for_length(content.size)
        if found is None:
            headers["Content-Range"] = f"bytes */{content.size}"
            return Response("", 416, headers, mimetype="text/plain")
        status, (start, stop) = 206, found
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    if "chunked" not in manner.words:  # the server chunks whatever names no length
        headers["Content-Length"] = str(stop - start)
    blocks: Blocks = content.blocks(start, stop)
    if manner.failure is not None:
        length = (stop - start) // 2 if manner.break_at is None else manner.break_at
        blocks = _cut(blocks, length, hold, manner.stall_s if manner.failure == "stall" else 0.0)
    return Response(blocks, status, headers, content_type=CSV_TYPE)


def _wanted_range(etag: str) -> Range | None:
    """Return the range that is asked for; None (the whole file) for several, and where `If-Range` is of other bytes."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    condition = request.if_range
    return wanted if "If-Range" not in request.headers or condition.etag == etag else None


def _without_end(content: Content, is_stopping: Callable[[], bool]) -> Response:
    rows = itertools.takewhile(lambda _block: not is_stopping(), content.line.blocks())
    blocks = itertools.chain(content.blocks(0, content.size), rows)
    return Response(blocks, 200, {"ETag": f'"{content.etag}"'}, content_type=CSV_TYPE)


def _bomb() -> Response:
    # Flushed in full, every block of zeros is packed into the same bytes.
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(bytes(BOMB_BLOCK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    size = len(_GZIP_HEAD) + BOMB_BLOCKS * len(packed) + len(_gzip_end(0, 0))
    headers = {"Content-Encoding": "gzip", "Content-Length": str(size)}
    return Response(_bomb_bytes(packed, BOMB_BLOCKS), 200, headers, content_type=CSV_TYPE)


def _bomb_bytes(packed: bytes, blocks: int) -> Iterator[bytes]:
    zeros, checksum = bytes(BOMB_BLOCK_BYTES), 0
    yield _GZIP_HEAD
    for _ in range(blocks):
        checksum = zlib.crc32(zeros, checksum)
        yield packed
    yield _gzip_end(checksum, blocks * BOMB_BLOCK_BYTES)


def _gzip_end(checksum: int, size: int) -> bytes:
    return _EMPTY_LAST_BLOCK + struct.pack("<II", checksum, size % 2**32)


def _cut(blocks: Blocks, length: int, hold: Hold, stall_s: float) -> Iterator[bytes]:
    """Pass `length` bytes on; if there are more, wait and break the connection."""
    left = length
    for block in blocks:
        if left:
            yield block[:left]
        if len(block) > left:
            hold(stall_s)
            raise ConnectionAbortedError("the sandbox is set to break the transfer")
        left -= len(block)


def _paced(blocks: Blocks, bytes_per_s: float, hold: Hold) -> Iterator[bytes]:
    size = max(1, int(bytes_per_s / _PORTIONS_PER_S))
    for block in blocks:
        for start in range(0, len(block), size):
            portion = block[start : start + size]
            yield portion
            hold(len(portion) / bytes_per_s)

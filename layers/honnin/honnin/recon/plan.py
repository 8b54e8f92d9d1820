"""The plan of a comparison: the byte ranges of a stored file, cut at line ends. Each range is compared separately.

The file is read once for this, in bounded memory. Later reads use `If-Match`, so that all ranges are of the same bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from honnin.json_objects import record_of
from honnin.recon.bucket import FileId, ReconBucket
from honnin.store import Comparison

PLAN = "plan.json"


@dataclass(frozen=True)
class Range:
    """A part of a file: its name, the bytes from `start` to before `end`, and the number of lines before it."""

    name: str
    start: int
    end: int
    lines_before: int = 0


def write(bucket: ReconBucket, comparison: Comparison, rows: int = 100_000) -> dict[str, Any]:
    """Write the list of a file's ranges, of about `rows` rows each; returns its key, for the state machine.

    An empty file has one empty range.
    """
    file = FileId.compared(comparison)
    etag, pieces = bucket.open(file)
    found = list(ranges(pieces, rows))
    key = bucket.put_part(file, comparison.number, PLAN, [asdict(each) for each in found])
    return {"bucket": bucket.name, "key": key, "etag": etag, "ranges": len(found)}


def planned(bucket: ReconBucket, comparison: Comparison) -> list[Range]:
    """The ranges of a comparison, as they were written; none if its objects no longer exist."""
    return [record_of(Range, each) for each in bucket.part(FileId.compared(comparison), comparison.number, PLAN) or ()]


def ranges(pieces: Iterable[bytes], rows: int) -> Iterator[Range]:
    """The ranges of a text that comes in pieces of any size. Each has about `rows` rows, and only whole lines."""
    number = start = at = lines = lines_before = 0
    held_back = b""
    for piece in pieces:
        # A CR at the very end may be the first half of a line end, so it is read together with the next piece.
        piece = held_back + piece  # noqa: PLW2901
        held_back = b"\r" if piece.endswith(b"\r") else b""
        piece = piece.removesuffix(b"\r") if held_back else piece  # noqa: PLW2901
        begin = 0
        while begin < len(piece):
            cut = _cut(piece, begin, rows - lines)
            if cut is None:
                lines += _lines(piece, begin, len(piece))
                break
            yield Range(f"{number:05}", start, at + cut, lines_before)
            lines_before += lines + _lines(piece, begin, cut)
            number, start, lines, begin = number + 1, at + cut, 0, cut
        at += len(piece)
    at += len(held_back)
    if at > start or number == 0:
        yield Range(f"{number:05}", start, at, lines_before)


def _cut(piece: bytes, begin: int, rows: int) -> int | None:
    """The position in a piece after which `rows` lines have ended; None if it has fewer lines."""
    if _lines(piece, begin, len(piece)) < rows:
        return None
    end = begin
    for _ in range(rows):
        end = _next_end(piece, end)
    return end


def _next_end(piece: bytes, begin: int) -> int:
    feed, carriage = piece.find(b"\n", begin), piece.find(b"\r", begin)
    if carriage < 0 or 0 <= feed < carriage:
        return feed + 1
    return carriage + (2 if piece[carriage + 1 : carriage + 2] == b"\n" else 1)


def _lines(piece: bytes, begin: int, end: int) -> int:
    feeds = piece.count(b"\n", begin, end)
    carriages = piece.count(b"\r", begin, end)
    return feeds + carriages - piece.count(b"\r\n", begin, end) if carriages else feeds

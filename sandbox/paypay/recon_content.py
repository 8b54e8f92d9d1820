"""What stands in a recon file: the rows of a night, bytes put by hand, or as many generated rows as are wanted.

No content is held as a whole: 10 million generated rows are made block by block while they are sent.
"""

import functools
import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

# Ways in which a file may differ from the usual one (header row, CRLF, bare values, no blank last line).
FORMATS = ("no_header", "bom", "quoted", "lf", "blank_last_line")
HEADER = "userAuthorizationId"
ID_CHARACTERS = 36
BLOCK_ROWS = 4096
# Far beyond what anybody asks for: the row by which changed content differs names nobody.
_ADDED_ROW = 10**15


def generated_id(number: int) -> str:
    """Return the id in row `number` (from 0) of a file of generated rows: 36 characters in the shape of a UUID.

    It depends on the number alone, and no two numbers share one; a file of n rows lists ids 0 to n-1 in order.
    """
    block, place = divmod(number, BLOCK_ROWS)
    return _lead(place) + _rest(block)


@dataclass(frozen=True)
class Line:
    """How one row is written."""

    quote: bytes = b""
    end: bytes = b"\r\n"

    @property
    def size(self) -> int:
        """The bytes of a row that holds an id of 36 characters."""
        return ID_CHARACTERS + 2 * len(self.quote) + len(self.end)

    def write(self, value: str) -> bytes:
        """Return a row."""
        return self.quote + value.encode("utf-8") + self.quote + self.end

    def block(self, number: int) -> bytes:
        """Return the 4096 generated rows from row 4096 × `number` on."""
        # Within a block only the first three digits differ, so one join writes them all.
        after_lead = _rest(number).encode("ascii") + self.quote + self.end
        return after_lead.join(_leads(self.quote))

    def blocks(self) -> Iterator[bytes]:
        """Return generated rows without end."""
        return map(self.block, itertools.count())


@dataclass(frozen=True)
class Content:
    """The bytes of a file: `head`, then `rows` generated rows written as `line` says, then `foot`."""

    head: bytes = b""
    foot: bytes = field(default=b"", repr=False)
    rows: int = 0
    line: Line = field(default_factory=Line)

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.head) + self.rows * self.line.size + len(self.foot)

    @functools.cached_property
    def sha256(self) -> str:
        """The SHA-256 of all bytes, in hex; takes about a second for 10 million rows, once."""
        digest = hashlib.sha256()
        for block in self.blocks(0, self.size):
            digest.update(block)
        return digest.hexdigest()

    @property
    def etag(self) -> str:
        """A name for exactly these bytes, without quotes; unlike the SHA-256 it need not read generated rows."""
        recipe = repr((self.head, self.rows, self.line, self.foot))
        return hashlib.sha256(recipe.encode("utf-8")).hexdigest()[:32]

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `stop` (0 to `size`), a block of rows at a time."""
        rows_at = len(self.head)
        foot_at = rows_at + self.rows * self.line.size
        if start < rows_at:
            yield self.head[start:stop]
        position = max(start, rows_at) - rows_at
        end = min(stop, foot_at) - rows_at
        while position < end:
            number, offset = divmod(position, BLOCK_ROWS * self.line.size)
            piece = self.line.block(number)[offset : offset + end - position]
            position += len(piece)
            yield piece
        if stop > foot_at:
            yield self.foot[max(start - foot_at, 0) : stop - foot_at]

    def changed(self) -> "Content":
        """Return other content: one more row near the start, so that no part of the one continues the other."""
        head = self.head + self.line.write(generated_id(_ADDED_ROW))
        return Content(head, self.foot, self.rows, self.line)


def listed(ids: Iterable[str], formats: Collection[str]) -> Content:
    """Return a file that lists `ids`, written as `formats` (out of `FORMATS`) says."""
    line = _line(formats)
    rows = b"".join(line.write(each) for each in ids)
    return Content(_head(line, formats), rows + _foot(line, formats), 0, line)


def generated(rows: int, formats: Collection[str]) -> Content:
    """Return a file of `rows` generated rows, written as `formats` (out of `FORMATS`) says."""
    line = _line(formats)
    return Content(_head(line, formats), _foot(line, formats), rows, line)


def _line(formats: Collection[str]) -> Line:
    return Line(b'"' if "quoted" in formats else b"", b"\n" if "lf" in formats else b"\r\n")


def _head(line: Line, formats: Collection[str]) -> bytes:
    mark = b"\xef\xbb\xbf" if "bom" in formats else b""
    return mark + (b"" if "no_header" in formats else line.write(HEADER))


def _foot(line: Line, formats: Collection[str]) -> bytes:
    return line.end if "blank_last_line" in formats else b""


def _lead(place: int) -> str:
    # An odd factor visits every one of the 4096 values once; a file that is sorted would be too easy.
    return f"{place * 2749 % BLOCK_ROWS:03x}"


@functools.cache
def _leads(quote: bytes) -> list[bytes]:
    # The empty last one gives the last row its rest when these are joined.
    return [quote + _lead(place).encode("ascii") for place in range(BLOCK_ROWS)] + [b""]


def _rest(block: int) -> str:
    digits = hashlib.sha256(b"sandbox recon block %d" % block).hexdigest()
    return f"{digits[:5]}-{digits[5:9]}-4{digits[9:12]}-8{digits[12:15]}-{digits[15:27]}"

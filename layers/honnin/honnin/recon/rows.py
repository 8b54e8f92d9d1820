"""Reading a recon file: every row checked, in bounded memory, at the speed of the standard library's C.

Not published are header, quoting, BOM and the newline of the last row (docs/providers.md §1.5), so all of them are
taken: UTF-8 with or without BOM, CRLF or LF, with the header `userAuthorizationId` or without, quoted or bare.

`csv` would look at each row in Python. Here a block of whole rows is judged at once: what is left of it when all
characters of ids are taken out must be its newlines and nothing else. Only a block that fails is looked at row by row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from honnin.errors import InvalidReconFileError

# Base document: userAuthorizationId is a text of at most 64 characters; its example is a UUID.
LONGEST_ID = 64
HEADER = b"userAuthorizationId"

# A file with a larger share of bad rows than this is invalid.
MOST_BAD_PERCENT = 1

_ID_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-"
_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 64 * 1024
_SAMPLE = 20
# With so many, a file need not be read to its end to be judged.
_TOO_MANY_BAD = 1_000_000


@dataclass(frozen=True)
class BadRow:
    """A row that is no id: its line in the file (from 1) and why. Never its content."""

    line: int
    reason: str


class Rows:
    """The ids of a recon file, as lists of ASCII bytes, block by block, in the file's order.

    Iterate once. Meanwhile `good` and `bad` count rows (header and blank end not counted), and `sample` holds the
    first bad ones. After the end, `check` says whether the file is valid.

    Parameters
    ----------
    chunks
        The file's bytes in pieces of any size: of the whole file, or of a range that begins and ends with a line.
    begins
        Whether these are the file's first bytes: only there may be a header.

    Raises
    ------
    InvalidReconFileError
        While iterating: the file is not UTF-8 text.
    """

    def __init__(self, chunks: Iterable[bytes], *, begins: bool = True) -> None:
        self._chunks = chunks
        self._begins = begins
        self._line = 0
        # A run of blank lines that may be the end: the first one's line, and how many.
        self._blank_from = 0
        self._blank = 0
        self.good = 0
        self.bad = 0
        self.sample: list[BadRow] = []

    def __iter__(self) -> Iterator[list[bytes]]:
        for block in _whole_lines(self._chunks):
            rest = block if self._line or not self._begins else self._without_header(block)
            ids = _all_plain(rest) if rest and not self._blank else None
            if ids is None:
                ids = list(self._one_by_one(rest))
            else:
                self._line += len(ids)
            self.good += len(ids)
            if self.bad > _TOO_MANY_BAD:
                self.check()
            yield ids

    def check(self) -> None:
        """Raise `InvalidReconFileError` when more than 1 % of the rows are bad."""
        if self.bad * 100 > (self.good + self.bad) * MOST_BAD_PERCENT:
            sample = [asdict(each) for each in self.sample]
            raise InvalidReconFileError(f"{self.bad} of {self.good + self.bad} rows are no ids", sample)

    def _without_header(self, block: bytes) -> bytes:
        first, newline, rest = block.removeprefix(_BOM).partition(b"\n")
        if first.removesuffix(b"\r").strip(b'"') == HEADER:
            self._line = 1
            return rest
        return first + newline + rest

    def _one_by_one(self, block: bytes) -> Iterator[bytes]:
        for raw in block.split(b"\n")[:-1]:
            self._line += 1
            if len(raw) > _LONGEST_LINE:
                raise InvalidReconFileError("the file is not text: a line is longer than 64 KiB")
            row = raw.removesuffix(b"\r")
            if not row:
                # Blank lines at the end are no rows; those before another row are bad ones.
                self._blank_from = self._blank_from if self._blank else self._line
                self._blank += 1
                continue
            self._refuse_blank_lines()
            quoted = len(row) >= 2 and row.startswith(b'"') and row.endswith(b'"')
            value = row[1:-1] if quoted else row
            if reason := _fault(value):
                self._refuse(self._line, reason)
            else:
                yield value

    def _refuse_blank_lines(self) -> None:
        for line in range(self._blank_from, self._blank_from + min(self._blank, _SAMPLE)):
            self._refuse(line, "the row is empty")
        self.bad += max(0, self._blank - _SAMPLE)
        self._blank = 0

    def _refuse(self, line: int, reason: str) -> None:
        self.bad += 1
        if len(self.sample) < _SAMPLE:
            self.sample.append(BadRow(line, reason))


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks cut anew, so that each ends with a newline; the last one gets it where it lacks it."""
    kept = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield kept + chunk[:end] if kept else chunk[:end]
            kept = chunk[end:]
        else:
            kept += chunk
        if len(kept) > _LONGEST_LINE:
            raise InvalidReconFileError("the file is not text: a line is longer than 64 KiB")
    if kept:
        yield kept + b"\n"


def _all_plain(block: bytes) -> list[bytes] | None:
    """The ids of a block in which every row is one, all bare or all quoted; None when a closer look is needed."""
    left = block.translate(None, _ID_BYTES)
    newline = b"\r\n" if block.endswith(b"\r\n") else b"\n"
    quoted = block.startswith(b'"')
    unit = b'""' + newline if quoted else newline
    rows = len(left) // len(unit)
    if left != unit * rows:
        return None
    if quoted:
        if not block.endswith(b'"' + newline):
            return None
        separator = b'"' + newline + b'"'
        ids = block[1 : -1 - len(newline)].split(separator)
    else:
        ids = block[: -len(newline)].split(newline)
    lengths = set(map(len, ids))
    # As many ids as newlines: none of them hides a newline or a quote inside.
    if len(ids) != rows or 0 in lengths or max(lengths) > LONGEST_ID:
        return None
    return ids


def _fault(value: bytes) -> str | None:
    """Why a row is no id, in words that give nothing of it away."""
    if not value.translate(None, _ID_BYTES):
        if not value:
            return "the row is empty"
        return "the id is longer than 64 characters" if len(value) > LONGEST_ID else None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise InvalidReconFileError("the file is not UTF-8 text") from None
    if "\0" in text:
        raise InvalidReconFileError("the file is not text: it holds NUL")
    return "the row has more than one column" if "," in text else "the row has a character that no id has"

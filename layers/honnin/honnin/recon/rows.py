"""Reads a recon file: every line, in bounded memory, at the speed of the standard library's C code.

Header, quoting, BOM, columns and line ends are not published (docs/providers.md §1.5), so no text is refused for its
format. White space and control characters are removed, and the first column is used. A first line that is no id is a
header. Any other text that is no id is counted and shown.

`csv` would handle each row in Python. Here a block of whole lines is checked at once: when all characters of ids are
removed from it, only its line ends may be left. Only a block that fails this check is read line by line.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from honnin.json_objects import record_of
from honnin.wording import Wording

# Base document: userAuthorizationId is a text of at most 64 characters; its example is a UUID.
LONGEST_ID = 64

_ID_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-"
# NUL is included: if it is removed, ids in UTF-16 are the same as in ASCII, wherever a range of bytes was cut.
_CONTROL = bytes({*range(32), 127} - set(b"\t\n\r"))
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LINE_END = re.compile(rb"\r\n?|\n")
_COLUMN_END = re.compile(r"[,;|\t]")
_QUOTES = "\"'`“”「」"
# Characters that are not white space for Python: those of zero width, and the byte order mark.
_BLANK = "\u200b\u200c\u200d\u2060\ufeff"
_SEPARATORS = ",;|\t " + _QUOTES
_HEADERS = frozenset({"userauthorization", "authorization", "user"})
# Characters that some programs put around an id: `="…"` (Excel), `{…}`, a byte order mark that was encoded twice.
_AROUND = re.compile(r"^(?:[={]|[^\x00-\x7f])+[\"']?|[\"']?(?:}|[^\x00-\x7f])+$")
# The example in the base document has 36 characters, some of them digits.
_LEAST_REAL = 16

# No valid row is longer; of a longer line only the beginning is checked.
_LONGEST_LINE = 64 * 1024
_SAMPLE = 20

_EMPTY = Wording("the first column is empty", "1 列目が空である")
_TOO_LONG = Wording("longer than 64 characters", "64 文字を超えている")
_STRANGE = Wording("a character that no id has", "ID に使われない文字がある")
# By their English texts, which are what is stored.
FAULTS = {str(each): each for each in (_EMPTY, _TOO_LONG, _STRANGE)}


@dataclass(frozen=True)
class BadRow:
    """A row that is no id: its line in the file (from 1) and why. Never its content."""

    line: int
    reason: str


@dataclass(frozen=True)
class Shape:
    """What a text looks like: its bytes, its rows, and how many headers there are.

    `real` is 0 if no id looks like the ids that PayPay makes. The sum of the shapes of a file's ranges is the shape of
    the file.
    """

    size: int = 0
    good: int = 0
    bad: int = 0
    real: int = 0
    documented_headers: int = 0
    other_headers: int = 0

    @classmethod
    def of_parts(cls, parts: Iterable[Mapping[str, int]]) -> "Shape":
        """The shape of a file from those of its ranges, as they were stored."""
        total: Counter[str] = Counter()
        for each in parts:
            total.update(each)
        return record_of(cls, total)

    @property
    def is_only_the_header(self) -> bool:
        """Whether there is the documented header and nothing else, which means a day on which nothing happened."""
        return self.documented_headers == 1 and not self.other_headers and not self.good and not self.bad

    @property
    def looks_like_ids(self) -> bool:
        """Whether at least half of the rows are ids, and at least one is as long as PayPay's ids.

        So a web page is none.
        """
        return self.real > 0 and self.bad <= self.good


class Rows:
    """The ids of a recon file, as lists of ASCII bytes, block by block, in the file's order.

    Iterate once. Meanwhile `good` and `bad` count rows (header and blank lines are none), `sample` holds the first bad
    ones, and `size` counts bytes; after the end, `shape` says what the text may prove.

    Parameters
    ----------
    chunks
        The file's bytes in pieces of any size: of the whole file, or of a range that begins and ends with a line.
    begins
        Whether these are the file's first bytes: only there a line that is no id can be a header.
    """

    def __init__(self, chunks: Iterable[bytes], *, begins: bool = True) -> None:
        self._chunks = chunks
        self._begins = begins
        self._line = 0
        self._headers = {"documented": 0, "other": 0}
        self._has_real_id = False
        self.good = 0
        self.bad = 0
        self.size = 0
        self.sample: list[BadRow] = []

    @property
    def shape(self) -> Shape:
        """The shape of what was read so far."""
        documented, other = self._headers["documented"], self._headers["other"]
        return Shape(self.size, self.good, self.bad, int(self._has_real_id), documented, other)

    def __iter__(self) -> Iterator[list[bytes]]:
        for block in _whole_lines(self._measured()):
            rest = block
            while self._begins and rest:
                end = _LINE_END.search(rest)
                cut = end.end() if end else len(rest)
                yield self._counted(list(self._one_by_one(rest[:cut])))
                rest = rest[cut:]
            ids = _all_plain(rest) if rest else []
            if ids is None:
                ids = list(self._one_by_one(rest))
            else:
                self._line += len(ids)
            yield self._counted(ids)

    def _counted(self, ids: list[bytes]) -> list[bytes]:
        self.good += len(ids)
        self._has_real_id = self._has_real_id or any(_is_real(each.decode()) for each in ids)
        return ids

    def _measured(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk

    def _one_by_one(self, block: bytes) -> Iterator[bytes]:
        # A block ends with a line end, and there is no line after it.
        for line in _LINE_END.split(block)[:-1]:
            self._line += 1
            text = _plain_text(line) if line else ""
            if not text.strip(_SEPARATORS):
                continue
            name = _first_column(text)
            is_first, self._begins = self._begins, False
            fault = _fault(name)
            if _is_documented_header(name):
                self._headers["documented"] += 1
            elif is_first and (fault or _is_header(name)):
                self._headers["other"] += 1
            elif fault:
                self._refuse(fault)
            else:
                yield name.encode()

    def _refuse(self, reason: Wording) -> None:
        self.bad += 1
        if len(self.sample) < _SAMPLE:
            self.sample.append(BadRow(self._line, reason))


def id_of(line: bytes | str) -> str | None:
    """The id in a line; None if it has none. The documented header is no id."""
    name = _first_column(_plain_text(line.encode() if isinstance(line, str) else line))
    return None if _fault(name) or _is_documented_header(name) else name


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks divided again, so that each ends with a line end. If the last one lacks a line end, it is added."""
    kept = b""
    for chunk in filter(None, chunks):
        # A CR at the end of a chunk may be the first half of a line end.
        if kept.endswith(b"\r") and not chunk.startswith(b"\n"):
            yield kept
            kept = b""
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, -1)) + 1
        if end:
            yield kept + chunk[:end] if kept else chunk[:end]
            kept = chunk[end:]
        elif len(kept) < _LONGEST_LINE or chunk.endswith(b"\r"):
            kept += chunk
    if kept:
        yield kept + b"\n"


def _all_plain(block: bytes) -> list[bytes] | None:
    """The ids of a block in which every line is an id, all plain or all quoted; None if it must be read by line."""
    left = block.translate(None, _ID_BYTES)
    newline = b"\r\n" if block.endswith(b"\r\n") else block[-1:]
    quoted = block.startswith(b'"')
    unit = b'""' + newline if quoted else newline
    rows = len(left) // len(unit)
    if left != unit * rows or _may_hold_header(block):
        return None
    if quoted:
        if not block.endswith(b'"' + newline):
            return None
        separator = b'"' + newline + b'"'
        ids = block[1 : -1 - len(newline)].split(separator)
    else:
        ids = block[: -len(newline)].split(newline)
    lengths = set(map(len, ids))
    # There are as many ids as newlines, so no id contains a newline or a quote.
    if len(ids) != rows or 0 in lengths or max(lengths) > LONGEST_ID:
        return None
    return ids


def _may_hold_header(block: bytes) -> bool:
    """Whether a header may be in the block. If files were joined, it may be anywhere."""
    # To find one byte is many times faster than to find a word, and PayPay's example of an id does not have this
    # letter.
    return (b"z" in block or b"Z" in block) and (b"uthorization" in block or b"UTHORIZATION" in block)


def _plain_text(line: bytes) -> str:
    """A line without invisible characters."""
    raw = line[:_LONGEST_LINE]
    for bom in _BOMS:
        raw = raw.removeprefix(bom)
    raw = raw.translate(None, _CONTROL)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # The bytes of a full-width space in Shift_JIS include a character that ids have, so the line is decoded.
        text = raw.decode("cp932", "replace")
    return text.strip().strip(_BLANK).strip()


def _first_column(text: str) -> str:
    name = _COLUMN_END.split(text.lstrip(_QUOTES), maxsplit=1)[0].strip().strip(_QUOTES).strip().strip(_BLANK)
    # White space separates columns, and other characters surround an id, only if there is an id: a sentence has none.
    first = name.partition(" ")[0]
    inner = _AROUND.sub("", first)
    if _is_real(inner) and not _fault(inner):
        return inner
    return first if _is_real(first) else name


def _is_real(text: str) -> bool:
    """Whether an id looks like the ids that PayPay makes, and not like a word."""
    return len(text) >= _LEAST_REAL and any(map(str.isdigit, text))


def _fault(name: str) -> Wording | None:
    """Why a text is no id. The reason contains nothing of the text."""
    if not name:
        return _EMPTY
    if len(name) > LONGEST_ID:
        return _TOO_LONG
    return _STRANGE if name.encode("utf-8", "replace").translate(None, _ID_BYTES) else None


def _is_documented_header(name: str) -> bool:
    """Whether it is `userAuthorizationId`, in any spelling."""
    return re.sub(r"[-_ .:]", "", name).lower() == "userauthorizationid"


def _is_header(name: str) -> bool:
    """Whether a first line that could be an id is the name of a column: it has no digit, and is a name for ids."""
    letters = re.sub(r"[^A-Za-z]", "", name).lower()
    return not any(map(str.isdigit, name)) and (letters.endswith(("id", "ids")) or letters in _HEADERS)

"""Reading a recon file: every form that PayPay may give it, every way to be wrong, in any pieces, in little memory."""

import gzip
import itertools
import tracemalloc
from collections.abc import Iterator
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from honnin.errors import InvalidReconFileError
from honnin.recon import rows
from honnin.recon.rows import BadRow, Rows

# The base document's own examples of userAuthorizationId.
A = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
B = "b6a1e0f2-7c3d-4d5e-8f90-1a2b3c4d5e6f"
IDS = [A.encode(), B.encode()]
HEADER = "userAuthorizationId"

type Outcome = tuple[list[bytes], int, int, list[BadRow], str]


class Reading(Rows):
    """A content read whole, in chunks of `size` bytes; `ids` are those that it holds."""

    def __init__(self, content: bytes | str, size: int | None = None) -> None:
        raw = content.encode() if isinstance(content, str) else content
        super().__init__([raw] if size is None else [raw[at : at + size] for at in range(0, len(raw), size)])
        self.ids = [each for block in self for each in block]


def outcome(chunks: list[bytes]) -> Outcome:
    """All that reading some chunks leads to; the sentence is that of an InvalidReconFileError."""
    ids: list[bytes] = []
    made = Rows(chunks)
    sentence = ""
    try:
        for block in made:
            ids += block
        made.check()
    except InvalidReconFileError as error:
        sentence = str(error)
    return ids, made.good, made.bad, made.sample, sentence


# Every form that is a good file


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["", "newline", "blank", "blanks"])
def test_every_form_gives_the_ids_in_the_files_order(
    newline: str, bom: str, quote: str, header: bool, end: str
) -> None:
    lines = [*([HEADER] if header else []), A, B]
    text = bom + newline.join(f"{quote}{line}{quote}" for line in lines)
    text += {"": "", "newline": newline, "blank": newline * 2, "blanks": newline * 4}[end]

    made = Reading(text)

    assert made.ids == IDS
    assert (made.good, made.bad, made.sample) == (2, 0, [])
    made.check()


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\r\n{B}\n",
        f"{A}\n{B}\r\n",
        f'"{A}"\n{B}\n',
        f'{A}\n"{B}"\n',
        f'"{HEADER}"\r\n{A}\r\n"{B}"',
        f'{HEADER}\n"{A}"\r\n{B}\r\n\n',
    ],
)
def test_forms_may_be_mixed(text: str) -> None:
    made = Reading(text)

    assert made.ids == IDS
    assert made.bad == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\r\n",
        "\r\n\n\r\n",
        "\ufeff",
        "\ufeff\n",
        HEADER,
        f"{HEADER}\n",
        f'\ufeff"{HEADER}"\r\n',
        f"{HEADER}\r\n\r\n",
    ],
)
def test_a_file_without_rows_is_valid(text: str) -> None:
    made = Reading(text)

    assert (made.ids, made.good, made.bad, made.sample) == ([], 0, 0, [])
    made.check()


@pytest.mark.parametrize("text", ["1", "a" * 64, "AZaz09._:@-", f'"{"a" * 64}"', HEADER.lower()])
def test_an_id_has_one_to_64_of_the_allowed_characters(text: str) -> None:
    made = Reading(f"{HEADER}\n{text}\n")

    assert made.ids == [text.strip('"').encode()]


def test_the_header_is_one_only_in_the_first_line() -> None:
    made = Reading(f"{A}\n{HEADER}\n{B}\n")

    assert made.ids == [A.encode(), HEADER.encode(), B.encode()]


# Bad rows: counted, kept with line and reason, the rest goes on

TOO_LONG = "the id is longer than 64 characters"
EMPTY = "the row is empty"
COLUMNS = "the row has more than one column"
CHARACTER = "the row has a character that no id has"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a" * 65, TOO_LONG),
        (f'"{"a" * 65}"', TOO_LONG),
        ("", EMPTY),
        ('""', EMPTY),
        (f"{A},{B}", COLUMNS),
        (f'"{A}","{B}"', COLUMNS),
        (f"{A},", COLUMNS),
        (f" {A}", CHARACTER),
        (f"{A} ", CHARACTER),
        ("\t", CHARACTER),
        ('"', CHARACTER),
        (f'"{A}', CHARACTER),
        (f'{A}"', CHARACTER),
        (f'{A[:8]}"{A[8:]}', CHARACTER),
        (f'"{A[:8]}""{A[8:]}"', CHARACTER),
        ("山田太郎", CHARACTER),
        (f"{A}\u3000", CHARACTER),
        ("\ufeff" + A, CHARACTER),
        (f"{A}\r{B}", CHARACTER),
        (f"{A}\r", CHARACTER),
        ("=1+1", CHARACTER),
        ("<script>", CHARACTER),
        ("\x1b[31m", CHARACTER),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_bad_row_is_counted_with_its_line_and_reason_and_the_rest_goes_on(
    row: str, reason: str, newline: str
) -> None:
    made = Reading(newline.join([HEADER, A, row, B]) + newline)

    if row == f"{A}\r" and newline == "\n":
        # That is a line that ends with CRLF.
        assert made.ids == [A.encode(), A.encode(), B.encode()]
        return
    assert made.ids == IDS
    assert (made.good, made.bad) == (2, 1)
    assert made.sample == [BadRow(3, reason)]


def test_lines_are_counted_from_one_with_and_without_header() -> None:
    assert Reading(f"x y\n{A}\n").sample == [BadRow(1, CHARACTER)]
    assert Reading(f"{HEADER}\nx y\n{A}\n").sample == [BadRow(2, CHARACTER)]


def test_the_line_is_right_in_a_later_block_too() -> None:
    lines = [HEADER, *([A] * 500), "x y", *([B] * 500), "z,z"]

    made = Reading("\r\n".join(lines), size=4096)

    assert made.sample == [BadRow(502, CHARACTER), BadRow(1003, COLUMNS)]
    assert made.good == 1000


def test_blank_lines_before_another_row_are_bad_rows_and_those_at_the_end_are_none() -> None:
    made = Reading(f"{HEADER}\n\n{A}\n\n\n{B}\n\n\n", size=3)

    assert made.ids == IDS
    assert made.sample == [BadRow(2, EMPTY), BadRow(4, EMPTY), BadRow(5, EMPTY)]
    assert made.bad == 3


def test_the_sample_is_limited_and_the_count_is_not() -> None:
    made = Reading("x y\n" * 1000)

    assert made.bad == 1000
    assert made.sample == [BadRow(line, CHARACTER) for line in range(1, 21)]


def test_nothing_of_a_bad_row_is_in_what_is_kept_of_it() -> None:
    secret = "山田 太郎,090-1234-5678"

    made = Reading(f"{A}\n{secret}\n{secret.replace(',', ' ')}\n")

    assert len(made.sample) == 2
    for part in ("山田", "太郎", "090", "1234", "5678"):
        assert part not in repr(made.sample)
    with pytest.raises(InvalidReconFileError) as refused:
        made.check()
    assert "山田" not in str(refused.value)


# The limit


def file_of(good: int, bad: int) -> str:
    return f"{A}\n" * good + "x y\n" * bad


@pytest.mark.parametrize(("good", "bad"), [(99, 1), (198, 2), (9_900, 100), (1, 0), (0, 0)])
def test_exactly_one_percent_of_bad_rows_is_believed(good: int, bad: int) -> None:
    Reading(file_of(good, bad)).check()


@pytest.mark.parametrize(("good", "bad"), [(98, 1), (197, 2), (9_899, 100), (0, 1)])
def test_more_than_one_percent_is_not(good: int, bad: int) -> None:
    made = Reading(file_of(good, bad))

    with pytest.raises(InvalidReconFileError, match=f"{bad} of {good + bad} rows are no ids"):
        made.check()


class Pieces:
    """A file of so many equal pieces; `taken` counts those that were asked for."""

    def __init__(self, piece: str, count: int) -> None:
        self._piece = piece.encode()
        self._count = count
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            self.taken += 1
            yield self._piece


def test_past_many_bad_rows_a_mostly_bad_file_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_TOO_MANY_BAD", 100)
    pieces = Pieces(file_of(10, 40), 1000)

    with pytest.raises(InvalidReconFileError, match="120 of 150 rows are no ids"):
        list(Rows(pieces))

    assert pieces.taken == 3


def test_past_many_bad_rows_a_mostly_good_file_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_TOO_MANY_BAD", 100)
    pieces = Pieces(file_of(990, 10), 30)

    made = Rows(pieces)
    assert sum(map(len, made)) == 29_700
    made.check()

    assert (pieces.taken, made.good, made.bad) == (30, 29_700, 300)


def test_blank_lines_inside_count_for_the_limit() -> None:
    made = Reading(f"{A}\n\n" + f"{A}\n" * 97)

    with pytest.raises(InvalidReconFileError, match="1 of 99 rows"):
        made.check()


# What is not text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"{HEADER}\n{A}\n{B}\n".encode("utf-16"), "not UTF-8"),
        (f"{HEADER}\n{A}\n".encode("utf-16-le"), "NUL"),
        (f"{A}\n{B}\n".encode("utf-16-be"), "NUL"),
        (gzip.compress(f"{HEADER}\n{A}\n".encode() * 100), "not UTF-8"),
        (f"{A}\n".encode() * 200 + b"\0\n", "NUL"),
        (f"{A}\n".encode() * 200 + b"\xff\n", "not UTF-8"),
        ("名前\n".encode("cp932"), "not UTF-8"),
        (b"\xe5\xb1\n\xb1\n", "not UTF-8"),
        (b"\xc0\xaf\n", "not UTF-8"),
        (b"\xed\xa0\x80\n", "not UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00\n", "NUL"),
    ],
    ids=["utf-16", "utf-16-le", "utf-16-be", "gzip", "nul", "ff", "cp932", "torn", "overlong", "surrogate", "elf"],
)
def test_what_is_no_text_is_refused_whole(content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidReconFileError, match=sentence):
        Reading(content)


def test_one_endless_line_is_refused_before_it_fills_the_memory() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 4096
            yield b"a" * 4096

    with pytest.raises(InvalidReconFileError, match="64 KiB"):
        list(Rows(endless()))
    assert taken <= 128 * 1024


def test_an_old_macs_newline_is_none() -> None:
    made = Reading(f"{A}\r{B}\r")

    assert made.ids == []
    with pytest.raises(InvalidReconFileError, match="1 of 1 rows"):
        made.check()


def test_a_line_longer_than_64_kib_is_refused_wherever_the_chunks_end() -> None:
    content = f"{A}\n".encode() * 200 + b"a" * (100 * 1024) + b"\n"

    for size in (4096, 65_536, 70_000, len(content)):
        sentence = outcome([content[at : at + size] for at in range(0, len(content), size)])[4]
        assert sentence == "the file is not text: a line is longer than 64 KiB"


# Any chunks, any bytes

pieces_of_files = st.sampled_from(
    [
        *(part.encode() for part in (A, B, "x", '"', ",", " ", "\n", "\r\n", "\r", "\n\n", HEADER, "山", "\ufeff")),
        f'"{A}"\r\n'.encode(),
        f"{B}\n".encode(),
        b"a" * 64,
        b"a" * 65,
        b"\0",
        b"\xff",
    ]
)
contents = st.one_of(
    st.lists(pieces_of_files, max_size=30).map(b"".join),
    st.binary(max_size=200),
    st.text('aA0-"\r\n, ', max_size=60).map(str.encode),
)


@given(contents, st.lists(st.integers(0, 400), max_size=8))
@example(b'"a\nb"\n"c"d\n', [])
@example(b'"a"\r\nb"c"\r\n', [])
@example(b"\xef\xbb\xbfuserAuthorizationId\r\na\r\n", [1, 2, 4, 23, 24])
@example(b"a\n\n\nb\n\n", [2, 3, 4])
def test_where_the_chunks_end_makes_no_difference(content: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    chunks = [content[start:stop] for start, stop in itertools.pairwise(ends)]
    by_byte = [content[at : at + 1] for at in range(len(content))]

    whole = outcome([content])

    for cut in (outcome(chunks), outcome(by_byte)):
        if whole[4] and "rows are no ids" not in whole[4]:
            # Not text: what was counted before that is of no use to anybody.
            assert cut[4] == whole[4]
        else:
            assert cut == whole


class RowByRow(Rows):
    """`Rows` without the fast path."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Look at every row by itself."""
        for block in rows._whole_lines(self._chunks):
            ids = list(self._one_by_one(block if self._line else self._without_header(block)))
            self.good += len(ids)
            yield ids


blocks = st.one_of(
    contents,
    st.lists(st.sampled_from(["a", "b" * 64, "c.d@e", '"a"', '"b', 'c"', '""', ""]), min_size=1, max_size=6).flatmap(
        lambda lines: st.sampled_from(["\n", "\r\n", '"\n"', '"\r\n"']).map(lambda by: f"{by.join(lines)}\n".encode())
    ),
)


@given(blocks)
@example(b'"a"b"\n""\n')
@example(b'""\n""\n')
@example(b'"a\n""b"\n')
@example(b'"a"\n"b\n""\n')
@example(b"a\rb\nc\r\n")
@example(b'"a"\r\n"b"\n')
@example(b'"a"\n"b"\r\n')
@example(b'a"\n"b\n')
def test_the_fast_path_says_what_the_rows_one_by_one_say(content: bytes) -> None:
    try:
        slow = RowByRow([content])
        expected = [each for block in slow for each in block]
    except InvalidReconFileError as error:
        with pytest.raises(InvalidReconFileError, match=str(error)):
            Reading(content)
        return
    made = Reading(content)

    assert made.ids == expected
    assert (made.good, made.bad, made.sample) == (slow.good, slow.bad, slow.sample)


@given(blocks.map(lambda content: content + b"\n"))
def test_a_block_that_is_taken_at_once_has_only_good_rows(content: bytes) -> None:
    taken = rows._all_plain(content)

    if taken is None:
        return
    slow = Rows([])
    assert list(slow._one_by_one(content)) == taken
    assert slow.bad == 0


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_usual_files_take_the_fast_path(newline: bytes, quote: bytes) -> None:
    block = b"".join(quote + each + quote + newline for each in IDS)

    assert rows._all_plain(block) == IDS


# Memory


def generated_chunks(count: int, row: str = "{}\r\n") -> Iterator[bytes]:
    """So many rows in chunks of 256 KiB, made as they are asked for."""
    held = bytearray()
    for number in range(count):
        held += row.format(UUID(int=number)).encode()
        if len(held) >= 256 * 1024:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def peak_kib(chunks: Iterator[bytes], expected: int) -> float:
    tracemalloc.start()
    try:
        made = Rows(chunks)
        assert sum(map(len, made)) + made.bad == expected
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("row", ["{}\r\n", '"{}"\n', "{}\n", "{} \n"], ids=["plain", "quoted", "lf", "bad"])
def test_memory_does_not_grow_with_the_file(row: str) -> None:
    small, large = peak_kib(generated_chunks(25_000, row), 25_000), peak_kib(generated_chunks(100_000, row), 100_000)

    # Some chunks of 256 KiB and their rows as objects (3.8 MB of rows in the larger file).
    assert large < 3 * 1024
    assert large < small * 1.2


def test_a_file_of_newlines_does_not_fill_the_memory() -> None:
    chunks = (b"\n" * (256 * 1024) for _ in range(4))

    assert peak_kib(chunks, 0) < 24 * 1024

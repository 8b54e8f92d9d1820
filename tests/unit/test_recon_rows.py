"""Reading a recon file: whatever the text looks like, in any pieces, in little memory."""

import gzip
import itertools
import tracemalloc
from collections.abc import Iterator
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from honnin.recon import rows
from honnin.recon.closing import Found, StoredFacts, doubt
from honnin.recon.rows import BadRow, Rows, Shape, id_of

# The base document's own examples of userAuthorizationId.
A = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
B = "b6a1e0f2-7c3d-4d5e-8f90-1a2b3c4d5e6f"
C = "01234567-89ab-4cde-8f01-23456789abcd"
IDS = [A.encode(), B.encode()]
HEADER = "userAuthorizationId"

type Outcome = tuple[list[bytes], int, int, list[BadRow], Shape]


class Reading(Rows):
    """A content read whole, in chunks of `size` bytes; `ids` are those that it holds."""

    def __init__(self, content: bytes | str, size: int | None = None) -> None:
        raw = content.encode() if isinstance(content, str) else content
        super().__init__([raw] if size is None else [raw[at : at + size] for at in range(0, len(raw), size)])
        self.ids = [each for block in self for each in block]


def outcome(chunks: list[bytes]) -> Outcome:
    """All that reading some chunks leads to."""
    made = Rows(chunks)
    ids = [each for block in made for each in block]
    return ids, made.good, made.bad, made.sample, made.shape


def lines(*each: str, by: str = "\r\n") -> str:
    return "".join(f"{line}{by}" for line in each)


PAGE = """<!DOCTYPE html>
<html lang="ja"><head><title>メンテナンス中</title>
<style>
body { margin: 0 }
</style></head>
<body><h1>ただいまメンテナンス中です</h1>
<p>Request id: 5f3a2b1c-0d9e-4f8a-b7c6-d5e4f3a2b1c0</p>
</body></html>
"""

# What is in the file -> how many of A, B it names, and how many rows are no ids.
CONTENTS: dict[str, tuple[str | bytes, list[str], int]] = {
    # as documented, and the forms of it
    "documented": (lines(HEADER, A, B), [A, B], 0),
    "no header": (lines(A, B), [A, B], 0),
    "LF": (lines(HEADER, A, B, by="\n"), [A, B], 0),
    "CR only": (lines(HEADER, A, B, by="\r"), [A, B], 0),
    "CR only without header or end": (f"{A}\r{B}", [A, B], 0),
    "no newline at the end": (f"{HEADER}\r\n{A}\r\n{B}", [A, B], 0),
    "BOM": ("\ufeff" + lines(HEADER, A, B), [A, B], 0),
    "BOM without header": ("\ufeff" + lines(A, B), [A, B], 0),
    "UTF-16 with BOM": (lines(HEADER, A, B).encode("utf-16"), [A, B], 0),
    "UTF-16 LE": (lines(HEADER, A, B).encode("utf-16-le"), [A, B], 0),
    "UTF-16 BE": (lines(A, B, by="\n").encode("utf-16-be"), [A, B], 0),
    "quoted": (lines(f'"{HEADER}"', f'"{A}"', f'"{B}"'), [A, B], 0),
    "single quotes": (lines(f"'{A}'", f"'{B}'"), [A, B], 0),
    "mixed quotes and ends": (f'{HEADER}\n"{A}"\r\n{B}\r', [A, B], 0),
    # white space, and what cannot be seen
    "trailing spaces": (lines(HEADER + " ", A + " ", B + "  "), [A, B], 0),
    "trailing tab": (lines(HEADER, A + "\t", B + "\t"), [A, B], 0),
    "leading spaces": (lines(" " + A, "\t" + B), [A, B], 0),
    "trailing space in the header only": (lines(HEADER + " ", A, B), [A, B], 0),
    "full-width spaces": (lines(HEADER, "\u3000" + A, B + "\u3000"), [A, B], 0),
    "full-width spaces in Shift_JIS": (lines(A + "\u3000", B + "\u3000").encode("cp932"), [A, B], 0),
    "no-break spaces": (lines(A + "\u00a0", B + "\u200b"), [A, B], 0),
    "spaces in the quotes": (lines(f'" {A} "', f'" {B} "'), [A, B], 0),
    "as Excel keeps a text": (lines(f'="{A}"', f'="{B}"'), [A, B], 0),
    "braces around ids": (lines(f"{{{A}}}", f'"{{{B}}}"'), [A, B], 0),
    "a BOM that was encoded twice": ("\ufeff".encode().decode("latin-1") + lines(A, B), [A, B], 0),
    "spaces around the quotes": (lines(f' "{A}" ', f' "{B}" '), [A, B], 0),
    "NUL bytes": (lines(A + "\0", B + "\0"), [A, B], 0),
    "^Z at the end": (lines(HEADER, A, B) + "\x1a", [A, B], 0),
    "^Z behind the last row": (f"{HEADER}\r\n{A}\r\n{B}\x1a", [A, B], 0),
    # columns
    "trailing commas": (lines(HEADER + ",", A + ",", B + ","), [A, B], 0),
    "a second column": (lines(HEADER + ",updatedAt", A + ",2026-03-31", B + ",2026-03-31"), [A, B], 0),
    "quoted columns": (lines(f'"{A}","1"', f'"{B}","2"'), [A, B], 0),
    "tabs": (lines(f"{A}\t1", f"{B}\t2"), [A, B], 0),
    "semicolons": (lines(f"{A};1", f"{B};2"), [A, B], 0),
    "spaces between columns": (lines(f"{A} 2026-03-31", f"{B} 2026-03-31"), [A, B], 0),
    "a name in a second column": (lines(f"{A},山田太郎", f"{B},佐藤花子").encode("cp932"), [A, B], 0),
    # headers
    "snake case header": (lines("user_authorization_id", A, B), [A, B], 0),
    "lower case header": (lines(HEADER.lower(), A, B), [A, B], 0),
    "header with a space": (lines("User Authorization Id", A, B), [A, B], 0),
    "Japanese header": (lines("ユーザー認可ID", A, B), [A, B], 0),
    "Japanese header in Shift_JIS": (lines("ユーザー認可ID", A, B).encode("cp932"), [A, B], 0),
    "header `id`": (lines("id", A, B), [A, B], 0),
    "a comment first": (lines("# generated 2026-04-01", A, B), [A, B], 0),
    "a title, then the header": (lines("本人確認リコン 2026/03/31", HEADER, A, B), [A, B], 0),
    "the header twice": (lines(HEADER, HEADER, A, B), [A, B], 0),
    "joined files": (lines(HEADER, A, HEADER, B), [A, B], 0),
    "a blank line first": (lines("", HEADER, A, B), [A, B], 0),
    # what else stands there
    "blank lines": (lines(HEADER, "", A, "", "", B, "", ""), [A, B], 0),
    "lines of spaces and commas": (lines(A, "   ", ",,,", '""', B), [A, B], 0),
    "a comment": (lines(A, "# half of it", B), [A, B], 1),
    "a footer": (lines(HEADER, A, B, "合計 2 件"), [A, B], 1),
    "a trailer record": (lines(HEADER, A, B, "[EOF]"), [A, B], 1),
    "an empty first column": (lines(A, ",x", B), [A, B], 1),
    "too long": (lines(A, "a" * 65, B), [A, B], 1),
    "a very long line": (lines(A, "x" * 200_000, B), [A, B], 1),
    "control characters": (lines(A, "\x1b[31m!", B), [A, B], 1),
    "torn bytes": (lines(A).encode() + b"\xff\xfe!\r\n" + lines(B).encode(), [A, B], 1),
    # what names nobody
    "nothing": ("", [], 0),
    "a newline": ("\r\n", [], 0),
    "a BOM": ("\ufeff", [], 0),
    "the header": (lines(HEADER), [], 0),
    "the header without end": (HEADER, [], 0),
    "the header, and blank lines": (lines(HEADER, "", ""), [], 0),
    "binary": (bytes(range(256)) * 4, [], 0),
    "still packed": (gzip.compress(lines(A, B).encode() * 9), [], 0),
}


def test_there_are_enough_contents() -> None:
    assert len(CONTENTS) >= 40


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("size", [None, 1, 7, 40])
def test_who_a_file_names(name: str, size: int | None) -> None:
    content, ids, bad = CONTENTS[name]
    made = Reading(content, size)

    assert [each for each in made.ids if each in IDS] == [each.encode() for each in ids]
    if name not in ("binary", "still packed"):
        assert (len(made.ids), made.good, made.bad) == (len(ids), len(ids), bad)
    assert made.size == len(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("name", CONTENTS)
def test_ranges_that_are_cut_at_line_ends_name_the_same(name: str) -> None:
    """As the comparison reads a file: each range by itself, only the first of which may begin with a header."""
    content = CONTENTS[name][0]
    raw = content.encode() if isinstance(content, str) else content
    ends = [at + 1 for at, byte in enumerate(raw) if byte == 10 or (byte == 13 and raw[at + 1 : at + 2] != b"\n")]
    cuts = sorted({0, *ends[1::2], len(raw)})
    parts = [Rows([raw[first:last]], begins=not first) for first, last in itertools.pairwise(cuts)]

    found = [each for part in parts for block in part for each in block]

    whole = Reading(content)
    assert [each for each in found if each in IDS] == [each for each in whole.ids if each in IDS]
    if name not in ("binary", "still packed"):
        assert found == whole.ids
        assert sum(part.bad for part in parts) == whole.bad


# What a file proves: whether anybody is linked, whether its name is ours, whether webhooks were received -> closed

OPEN, CLOSED = False, True
CLOSES = [
    ("documented", True, False, True, CLOSED),  # somebody is linked here: whatever else is said of it
    ("a very long line", True, False, True, CLOSED),
    ("Japanese header", True, False, True, CLOSED),
    ("documented", False, True, True, CLOSED),  # ids under our own name
    ("UTF-16 with BOM", False, True, True, CLOSED),
    ("a footer", False, True, True, CLOSED),
    ("documented", False, False, True, OPEN),  # another owner's
    ("documented", False, False, False, OPEN),
    ("the header", False, False, False, CLOSED),  # a day on which nothing happened
    ("the header without end", False, False, False, CLOSED),
    ("the header, and blank lines", False, True, False, CLOSED),
    ("the header", False, True, True, OPEN),  # webhooks were received on that day
    ("nothing", False, True, False, OPEN),
    ("a newline", False, True, False, OPEN),
    ("a BOM", False, True, False, OPEN),
    ("binary", False, True, False, OPEN),
    ("still packed", False, True, False, OPEN),
]


@pytest.mark.parametrize(("name", "linked", "own_name", "webhooks", "closed"), CLOSES)
def test_what_closes_a_day(name: str, linked: bool, own_name: bool, webhooks: bool, closed: bool) -> None:
    made = Reading(CONTENTS[name][0])
    found = Found(made.size, made.good, int(linked), made.shape.looks_like_ids, made.shape.is_only_the_header)

    assert (doubt(found, StoredFacts(own_name=own_name, webhooks=webhooks)) is None) is closed


@pytest.mark.parametrize(
    "content",
    [
        PAGE,
        PAGE.replace("\n", ""),
        "OK",
        "OK\r\n",
        "Service Unavailable",
        '{"error": "not found"}',
        "<Error><Code>AccessDenied</Code></Error>",
        "userAuthorizationId is required",
        lines("ユーザー認可ID"),
        lines("本人確認リコン", HEADER),
        lines(HEADER, "# nobody"),
        "404",
        "true",
    ],
)
@pytest.mark.parametrize("webhooks", [False, True])
def test_a_page_or_a_message_under_our_own_name_closes_no_day(content: str, webhooks: bool) -> None:
    made = Reading(content)
    found = Found(made.size, made.good, 0, made.shape.looks_like_ids, made.shape.is_only_the_header)

    assert doubt(found, StoredFacts(own_name=True, webhooks=webhooks))


def test_each_doubt_says_why() -> None:
    nobody = StoredFacts(own_name=False, webhooks=True)
    reasons = [
        doubt(Found(0, 0, 0, looks_like_ids=False, is_only_the_header=False), nobody),
        doubt(Found(9, 0, 0, looks_like_ids=False, is_only_the_header=True), nobody),
        doubt(Found(9, 1, 0, looks_like_ids=False, is_only_the_header=False), nobody),
        doubt(Found(9, 1, 0, looks_like_ids=True, is_only_the_header=False), nobody),
    ]
    assert len(set(reasons)) == 4
    assert all(reasons)


# One line


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (A, A),
        (A.encode(), A),
        (f"{A}\r\n", A),
        (f'"{A}",1', A),
        (f"\ufeff{A} ", A),
        ("a" * 64, "a" * 64),
        ("AZaz09._:@-", "AZaz09._:@-"),
        ("a" * 65, None),
        (HEADER, None),
        ("", None),
        (",", None),
        ("山田太郎", None),
        ("<script>", None),
        ("=1+1", None),
        (b"\xff", None),
    ],
)
def test_the_id_of_a_line(line: str | bytes, found: str | None) -> None:
    assert id_of(line) == found


# Rows that are no ids: counted, kept with line and reason, the rest goes on


def test_a_bad_row_is_kept_with_its_line_and_reason() -> None:
    made = Reading(lines(HEADER, A, "a" * 65, "山", ",x", "", B))

    assert made.ids == IDS
    assert made.sample == [
        BadRow(3, "longer than 64 characters"),
        BadRow(4, "a character that no id has"),
        BadRow(5, "the first column is empty"),
    ]


def test_the_line_is_right_in_a_later_block_too() -> None:
    made = Reading("\r\n".join([HEADER, *([A] * 500), "x y", *([B] * 500), "z z"]), size=4096)

    assert [each.line for each in made.sample] == [502, 1003]
    assert made.good == 1000


def test_the_sample_is_limited_and_the_count_is_not() -> None:
    made = Reading("x y\n" * 1001)

    assert made.bad == 1000  # the first one is taken for a header
    assert [each.line for each in made.sample] == list(range(2, 22))


def test_nothing_of_a_bad_row_is_in_what_is_kept_of_it() -> None:
    secret = "山田 太郎,090-1234-5678"

    made = Reading(f"{A}\n{secret}\n{secret.replace(',', ' ')}\n")

    assert len(made.sample) == 2
    for part in ("山田", "太郎", "090", "1234", "5678"):
        assert part not in repr(made.sample)


def test_an_endless_line_does_not_fill_the_memory() -> None:
    endless = (b"a" * 65_536 for _ in range(200))

    assert peak_kib(itertools.chain([f"{A}\n".encode()], endless), 2) < 1024


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

    assert outcome(chunks) == whole
    assert outcome(by_byte) == whole


class RowByRow(Rows):
    """`Rows` without the fast path."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Look at every row by itself."""
        for block in rows._whole_lines(self._chunks):
            yield self._counted(list(self._one_by_one(block)))


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
    slow = RowByRow([content])
    expected = [each for block in slow for each in block]
    made = Reading(content)

    assert made.ids == expected
    assert (made.good, made.bad, made.sample) == (slow.good, slow.bad, slow.sample)


@given(blocks.map(lambda content: content + b"\n"))
def test_a_block_that_is_taken_at_once_has_only_good_rows(content: bytes) -> None:
    taken = rows._all_plain(content)

    if taken is None:
        return
    slow = Rows([], begins=False)
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


@pytest.mark.parametrize("row", ["{}\r\n", '"{}"\n', "{}\n", "{}, \n"], ids=["plain", "quoted", "lf", "columns"])
def test_memory_does_not_grow_with_the_file(row: str) -> None:
    small, large = peak_kib(generated_chunks(15_000, row), 15_000), peak_kib(generated_chunks(60_000, row), 60_000)

    # Some chunks of 256 KiB and their rows as objects (2.3 MB of rows in the larger file).
    assert large < 3 * 1024
    assert large < small * 1.2


def test_a_file_of_newlines_does_not_fill_the_memory() -> None:
    chunks = iter([b"\n" * (256 * 1024)])

    assert peak_kib(chunks, 0) < 24 * 1024

"""The ranges of a file: together they are the file, each holds whole lines, and no file fills the memory."""

import itertools
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from honnin.recon import plan
from honnin.recon.plan import Range
from tests.fakes.recon_engine import Engine, comparison


def cut(text: bytes, piece: int, rows: int) -> list[Range]:
    pieces = (text[start : start + piece] for start in range(0, len(text), piece))
    return list(plan.ranges(pieces, rows))


_LINES = st.lists(st.sampled_from([b"a", b"bb", b"", b"c" * 9]), max_size=30)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(_LINES, _ENDS, st.booleans(), st.integers(1, 12), st.integers(1, 5))
@example([b"a", b"b"], b"\r\n", True, 2, 1)
def test_the_ranges_are_the_file_and_each_holds_whole_lines(
    lines: list[bytes], end: bytes, ended: bool, piece: int, rows: int
) -> None:
    text = end.join(lines) + (end if ended else b"")

    ranges = cut(text, piece, rows)

    assert [each.name for each in ranges] == [f"{number:05}" for number in range(len(ranges))]
    assert ranges[0].start == 0
    assert ranges[-1].end == len(text)
    for before, after in itertools.pairwise(ranges):
        assert before.end == after.start
        assert text[: before.end].endswith(end)
        # No line end is cut in two.
        assert not (text[: before.end].endswith(b"\r") and text[after.start :].startswith(b"\n"))
    for each in ranges:
        assert text[each.start : each.end].count(end) <= rows
        assert each.lines_before == text[: each.start].count(end)


def test_a_file_without_a_byte_has_one_empty_range() -> None:
    assert list(plan.ranges([], 100)) == [Range("00000", 0, 0)]


def test_a_text_without_a_line_end_is_one_range() -> None:
    assert cut(b"x" * 1000, 10, 1) == [Range("00000", 0, 1000)]


@pytest.mark.parametrize("megabytes", [4, 64])
def test_no_file_fills_the_memory(megabytes: int) -> None:
    row = b"a85fe9e9-b4c9-45cf-a392-834c57d83af7\r\n"
    piece = row * 6_000

    def pieces() -> Iterator[bytes]:
        for _ in range(megabytes * 1024 * 1024 // len(piece)):
            yield bytes(piece)

    tracemalloc.start()
    number = sum(1 for _ in plan.ranges(pieces(), 100_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert number >= megabytes // 4
    assert most < 3 * 1024 * 1024


def test_the_plan_is_where_the_state_machine_is_told() -> None:
    engine = Engine()
    engine.put("a", "b", "c")

    planned = plan.write(engine.bucket, comparison(), 2)

    assert planned["bucket"] == "recon"
    assert planned["etag"] == engine.objects.head_object(Key=f"recon/{comparison().file_type}/2026/03/31/a.csv")["ETag"]
    assert [each["name"] for each in engine.read(planned["key"])] == ["00000", "00001"]
    assert plan.planned(engine.bucket, comparison()) == [Range(**each) for each in engine.read(planned["key"])]

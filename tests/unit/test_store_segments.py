"""Reading the whole table in segments: all of them, several at the same time, and none goes on when one has failed."""

import threading
from threading import Event

import pytest

from honnin.store import Store
from honnin.store.segments import AT_ONCE, pages, side_by_side
from honnin.store.table import decode
from tests.fakes.cli import state_table
from tests.fakes.memory import dynamodb, memory_aws


def test_all_segments_together_are_the_whole_table_whatever_the_page() -> None:
    with memory_aws():
        table = Store(state_table(), dynamodb()).table
        table.put([{"pk": f"P#{number}", "sk": "S"} for number in range(30)])
        for segments in (1, 4):
            found = [
                decode(item)["pk"]
                for segment in range(segments)
                for items, _ in pages(table, segment, segments, Limit=3)
                for item in items
            ]
            assert sorted(found) == sorted(f"P#{number}" for number in range(30))


def test_a_segment_goes_on_behind_a_key() -> None:
    with memory_aws():
        table = Store(state_table(), dynamodb()).table
        table.put([{"pk": f"P#{number}", "sk": "S"} for number in range(9)])
        first, after = next(pages(table, 0, 1, Limit=4))
        rest = [item for items, _ in pages(table, 0, 1, after, Limit=4) for item in items]
        assert len(first) + len(rest) == 9
        assert not [each for each in rest if each in first]


def test_segments_are_worked_side_by_side() -> None:
    together = threading.Barrier(AT_ONCE)
    done: list[int] = []

    def work(_: Event, segment: int) -> None:
        if segment < AT_ONCE:
            together.wait(20)
        done.append(segment)

    side_by_side(AT_ONCE + 3, work)
    assert sorted(done) == list(range(AT_ONCE + 3))


def test_when_one_fails_the_others_are_told_and_its_error_is_raised() -> None:
    stopped: list[bool] = []
    both = threading.Barrier(2)

    def work(stop: Event, segment: int) -> None:
        both.wait(20)
        if segment == 1:
            # Not the first one, which is waited for.
            raise ValueError("no")
        stopped.append(stop.wait(20))

    with pytest.raises(ValueError, match="no"):
        side_by_side(2, work)
    assert stopped == [True]

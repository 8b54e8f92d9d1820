"""When an open submission is asked for: 10 min, 1 h, 6 h, 24 h, then daily for 30 days."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.vexora import schedule
from tests.fakes import START

DELAYS = (600, 3_600, 21_600, 86_400)
PLAN = [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), *(timedelta(days=day) for day in range(1, 32))]


def test_the_whole_plan() -> None:
    assert list(schedule.offsets(DELAYS)) == PLAN
    assert len(PLAN) == 4 + 30


def test_each_poll_on_time_leads_to_the_next() -> None:
    polls, at = schedule.next_poll(START, 0, DELAYS, START)
    asked = []
    while at:
        asked.append(at - START)
        polls, at = schedule.next_poll(START, polls + 1, DELAYS, at)
    assert asked == PLAN
    assert polls == len(PLAN)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(minutes=11), (1, timedelta(hours=1))),
        (timedelta(hours=7), (3, timedelta(hours=24))),
        (timedelta(days=3, hours=1), (6, timedelta(days=4))),
        (timedelta(days=30, hours=23), (33, timedelta(days=31))),
    ],
)
def test_missed_polls_are_not_made_up_one_by_one(after: timedelta, expected: tuple[int, timedelta]) -> None:
    polls, at = schedule.next_poll(START, 1, DELAYS, START + after)
    assert at is not None
    assert (polls, at - START) == expected


def test_a_poll_due_exactly_now_counts_as_done() -> None:
    assert schedule.next_poll(START, 0, DELAYS, START + timedelta(minutes=10)) == (1, START + timedelta(hours=1))


@pytest.mark.parametrize("polls", [0, 34, 35])
def test_after_the_last_poll_there_is_none(polls: int) -> None:
    assert schedule.next_poll(START, polls, DELAYS, START + timedelta(days=31))[1] is None


def test_an_open_submission_is_stale_from_its_last_poll_on() -> None:
    assert schedule.stale_at(START, DELAYS) == START + timedelta(days=31)


def test_other_delays_of_the_template_parameter() -> None:
    assert schedule.offsets((2, 5))[:4] == (
        timedelta(seconds=2),
        timedelta(seconds=5),
        timedelta(days=1, seconds=5),
        timedelta(days=2, seconds=5),
    )


@given(st.integers(0, 40), st.integers(0, 40 * 86_400))
def test_the_next_poll_lies_ahead_and_is_one_of_the_plan(polls: int, seconds: int) -> None:
    now = START + timedelta(seconds=seconds)
    done, at = schedule.next_poll(START, polls, DELAYS, now)
    if at is None:
        assert polls >= len(PLAN) or now >= START + PLAN[-1]
    else:
        assert at > now
        assert done >= polls
        assert at - START == PLAN[done]

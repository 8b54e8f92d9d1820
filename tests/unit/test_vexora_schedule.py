"""When an open submission is asked for: 10 min, 1 h, 6 h, 24 h, then daily for 30 days."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.vexora import schedule
from tests.fakes import START

DELAYS = (600, 3_600, 21_600, 86_400)
PLAN = [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), *(timedelta(days=day) for day in range(1, 32))]


WEEKLY = [timedelta(days=31, weeks=week) for week in range(1, 60)]


def test_the_whole_plan() -> None:
    assert len(PLAN) == 4 + 30
    assert [schedule.offset(poll, DELAYS) for poll in range(len(PLAN) + len(WEEKLY))] == PLAN + WEEKLY


def test_each_poll_on_time_leads_to_the_next() -> None:
    polls, at = schedule.next_poll(START, 0, DELAYS, START)
    asked = []
    for _ in PLAN + WEEKLY:
        asked.append(at - START)
        polls, at = schedule.next_poll(START, polls + 1, DELAYS, at)
    assert asked == PLAN + WEEKLY
    assert polls == len(PLAN + WEEKLY)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(minutes=11), (1, timedelta(hours=1))),
        (timedelta(hours=7), (3, timedelta(hours=24))),
        (timedelta(days=3, hours=1), (6, timedelta(days=4))),
        (timedelta(days=30, hours=23), (33, timedelta(days=31))),
        (timedelta(days=31), (34, timedelta(days=38))),
        (timedelta(days=400), (34 + 52, timedelta(days=31 + 53 * 7))),
    ],
)
def test_missed_polls_are_not_made_up_one_by_one(after: timedelta, expected: tuple[int, timedelta]) -> None:
    polls, at = schedule.next_poll(START, 1, DELAYS, START + after)
    assert (polls, at - START) == expected


def test_a_poll_due_exactly_now_counts_as_done() -> None:
    assert schedule.next_poll(START, 0, DELAYS, START + timedelta(minutes=10)) == (1, START + timedelta(hours=1))


def test_an_open_submission_is_stale_from_its_last_poll_on() -> None:
    assert schedule.stale_at(START, DELAYS) == START + timedelta(days=31)


def test_other_delays_of_the_template_parameter() -> None:
    found = [schedule.offset(poll, (2, 5)) for poll in (0, 1, 2, 3, 31, 32)]
    days = [timedelta(days=days, seconds=5) for days in (0, 1, 2, 30, 37)]
    assert found == [timedelta(seconds=2), *days]


@given(st.integers(0, 60), st.integers(0, 400 * 86_400))
def test_the_next_poll_lies_ahead_and_is_the_first_that_does(polls: int, seconds: int) -> None:
    now = START + timedelta(seconds=seconds)
    done, at = schedule.next_poll(START, polls, DELAYS, now)
    assert at > now
    assert done >= polls
    assert at - START == schedule.offset(done, DELAYS)
    assert done == polls or START + schedule.offset(done - 1, DELAYS) <= now

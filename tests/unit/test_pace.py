"""`honnin.pace`: how many calls of all environments a provider gets, who comes first, and what a refusal does.

The environments of a simulation run one after the other on one clock; the table is in memory.
"""

import heapq
import itertools
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.dynamodb import MemoryDynamoDB
from honnin import pace
from honnin.errors import NoLeaseError, NotSentError
from honnin.pace import _TOGETHER_S, Pace, Wait, Work, ask, pause_s, rate_at
from honnin.store.pace import Ask, Paces, PaceSecond, Slowed
from honnin.store.table import Table

START = 1_775_000_000.25
SHARES = {Work.REPAIR: 50, Work.REREAD: 30}


# --- pure: the rate ---


@given(
    most=st.integers(1, 2000),
    refused=st.integers(1, 2000),
    times=st.lists(st.floats(-5, 4000), min_size=2, max_size=20),
)
def test_after_a_refusal_the_rate_is_half_and_comes_back_without_ever_falling(
    most: int, refused: int, times: list[float]
) -> None:
    slowed = Slowed(min(refused, most), round(START * 1000))
    rates = [rate_at(most, slowed, START + after) for after in sorted(times)]
    assert rates == sorted(rates)
    assert all(1 <= rate <= most for rate in rates)
    for after, rate in zip(sorted(times), rates, strict=True):
        if after <= 9.9:
            assert rate == max(1, min(refused, most) // 2)
        if after <= 69:
            assert rate <= max(1, min(refused, most) * 0.9)
    assert rate_at(most, slowed, START + 70 + 1801) == most


def test_nothing_refused_is_the_most() -> None:
    assert rate_at(50, None, START) == 50


def test_a_provider_that_wants_to_be_left_alone_is() -> None:
    slowed = Slowed(40, round(START * 1000), round(START * 1000) + 20_000)
    assert rate_at(50, slowed, START + 19.9) == 0
    assert rate_at(50, slowed, START + 20) == 20
    assert rate_at(50, slowed, START + 29.9) == 20
    assert 20 < rate_at(50, slowed, START + 60) <= 36


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("86400", 30),
        ("99999999999999999999999", 30),
        ("-5", 0),
        ("1.5", 0),
        ("７", 0),
        ("", 0),
        (None, 0),
        ("soon", 0),
        ("Wed, 01 Apr 2026 03:00:12 GMT", 12),
        ("Wed, 01 Apr 2026 02:59:00 GMT", 0),
        ("Wed, 01 Apr 2026 03:00:12 -0000", 12),
        ("Wed, 01 Apr 99999 03:00:12 GMT", 0),
    ],
)
def test_retry_after_is_taken_in_both_forms_and_never_for_longer_than_half_a_minute(
    given: str | None, expected: float
) -> None:
    assert pause_s(given, 1_775_012_400.0) == expected


# --- pure: what to ask of a second ---


@given(
    used=st.integers(0, 300),
    mine=st.integers(0, 300),
    after=st.floats(-1, 1),
    rate=st.integers(1, 200),
    wanted=st.integers(1, 20),
    share=st.one_of(st.none(), st.integers(1, 100)),
)
def test_what_is_asked_keeps_to_the_rate_and_the_share_and_never_asks_for_the_past(
    used: int, mine: int, after: float, rate: int, wanted: int, share: int | None
) -> None:
    second = int(START)
    work = Work.LIVE if share is None else Work.REPAIR
    seen = PaceSecond(second, rate, used=used, repairs=mine)
    now = second + after
    asked = ask(seen, now, 7, work, wanted, share)
    if isinstance(asked, Wait):
        assert asked.until > now - 1e-6
        assert asked.until <= second + 1
        return
    first = max(used, asked.floor)
    slots = [second + (first + each) / rate for each in range(asked.number)]
    assert 1 <= asked.number <= wanted
    assert first + asked.number <= rate
    assert slots[0] >= now - 1e-5
    assert asked.is_behind == (used < asked.floor)
    assert asked.floor <= asked.ceiling
    if share is not None:
        assert mine + asked.number <= max(1, rate * share // 100)
        assert slots[-1] <= now + max(0.1, 1 / rate) + 1e-6, "what can wait would stand before a live call"


def test_a_live_call_reserves_ahead_and_a_repair_does_not() -> None:
    second = int(START)
    seen = PaceSecond(second, 50, used=40)
    assert isinstance(ask(seen, second + 0.2, 50, Work.LIVE, 5, None), Ask)
    assert ask(seen, second + 0.2, 50, Work.REPAIR, 5, 50) == Wait(second + 0.7)


# --- the simulation ---


@dataclass
class World:
    """Environments on one clock, a table in memory, a provider that refuses above `limit` calls in a second."""

    most: int = 50
    limit: float = float("inf")
    now: float = START
    calls: list[tuple[float, Work]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    waits: dict[Work, list[float]] = field(default_factory=lambda: {work: [] for work in Work})
    writes: int = 0
    retry_after: str | None = None

    def __post_init__(self) -> None:
        self.db = MemoryDynamoDB()
        take, self._agenda, self._order = self.db.update_item, [], itertools.count()

        def update_item(**request: Any) -> Any:
            self.writes += 1
            return take(**request)

        self.db.update_item = update_item  # type: ignore[method-assign]
        self.paces = Paces(Table("table", self.db))  # type: ignore[arg-type]

    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)

    def environment(self, work: Work, *, skew: float = 0.0) -> Pace:
        made = Pace("paypay", self.paces, self.most, SHARES, clock=lambda: self.now + skew, sleep=self._slept)
        made.begin(work, 120_000)
        return made

    def _slept(self, seconds: float) -> None:
        self.now += seconds

    def at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._order), do))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, do = heapq.heappop(self._agenda)
            do()
        self.now = end

    def wants(self, environment: Pace, work: Work, number: int, skew: float = 0.0, then: Any = None) -> None:
        """The environment's threads want to make calls, from now on; `then` is done once the last one is made."""
        asked_at = self.now

        def go_on(left: int) -> None:
            found = environment.lease(min(left, 10))
            if isinstance(found, Wait):
                self.at(max(found.until - skew, self.now + 1e-4), lambda: go_on(left))
                return
            for slot in found:
                self.at(max(slot - skew, self.now), lambda: self.call(environment, work, asked_at))
            if left > len(found):
                self.at(self.now, lambda: go_on(left - len(found)))
            elif then:
                self.at(max(found[-1] - skew, self.now) + 0.3, then)

        go_on(number)

    def call(self, environment: Pace, work: Work, asked_at: float) -> None:
        self.calls.append((self.now, work))
        self.waits[work].append(self.now - asked_at)
        if self.per_second(self.now) > self.limit:
            self.refused.append(self.now)
            self.at(self.now + 0.2, lambda: environment.limited(self.retry_after))

    def per_second(self, until: float) -> int:
        return len(self.calls) - bisect_left(self.calls, (until - 1 + 1e-6, Work.API))

    def busiest(self, works: Sequence[Work] = (Work.LIVE, Work.REPAIR, Work.REREAD)) -> int:
        """The most calls in one second of any beginning."""
        times = sorted(at for at, work in self.calls if work in works)
        return max((bisect_left(times, at + 1 - 1e-6) - index for index, at in enumerate(times)), default=0)

    def mean(self, since: float, until: float, work: Work | None = None) -> float:
        mine = [at for at, each in self.calls if since <= at < until and work in (None, each)]
        return len(mine) / (until - since)

    def busy(self, work: Work, environments: int, *, skews: Sequence[float] = (0.0,)) -> None:
        """Environments that always have ten more calls to make."""
        for number in range(environments):
            skew = skews[number % len(skews)]
            made = self.environment(work, skew=skew)

            def again(made: Pace = made, skew: float = skew) -> None:
                self.wants(made, work, 10, skew, then=again)

            self.at(self.now + random.random(), again)


@pytest.fixture(autouse=True)
def _same_chance() -> None:
    random.seed(16)


@settings(max_examples=25, deadline=None)
@given(
    most=st.integers(1, 60),
    seed=st.integers(0, 10_000),
    environments=st.integers(1, 12),
    limit=st.one_of(st.just(float("inf")), st.floats(2, 40)),
)
def test_no_second_of_any_beginning_sees_more_calls_than_the_most(
    most: int, seed: int, environments: int, limit: float
) -> None:
    random.seed(seed)
    world = World(most, limit)
    for number in range(environments):
        world.busy(list(Work)[number % 4] if number % 4 != 1 else Work.LIVE, 1)
    world.run(12)
    assert world.busiest() <= most
    assert len(world.calls) >= 5


@pytest.mark.parametrize("work", [Work.REPAIR, Work.REREAD])
def test_what_can_wait_gets_its_share_and_no_more(work: Work) -> None:
    world = World(50)
    world.busy(work, 20)
    world.run(30)
    share = SHARES[work] / 100
    assert world.mean(START + 5, START + 30) == pytest.approx(50 * share, rel=0.04)
    assert world.busiest() <= 50


def test_live_calls_have_the_whole_rate_while_fifty_thousand_repairs_wait() -> None:
    world = World(50)
    world.busy(Work.REPAIR, 20)
    world.busy(Work.REREAD, 10)
    world.run(5)
    world.busy(Work.LIVE, 12)
    world.run(25)
    assert world.mean(START + 8, START + 30, Work.LIVE) >= 0.97 * 50
    assert world.busiest() <= 50


def test_a_live_call_hardly_waits_behind_repairs() -> None:
    """Five live calls a second beside repairs and rereads that take whatever they can."""
    world = World(50)
    world.busy(Work.REPAIR, 20)
    world.busy(Work.REREAD, 20)
    live = [world.environment(Work.LIVE) for _ in range(5)]
    for number in range(200):
        world.at(START + 1 + number / 5, partial(world.wants, live[number % 5], Work.LIVE, 1))
    world.run(45)
    assert len(world.waits[Work.LIVE]) == 200
    assert max(world.waits[Work.LIVE]) <= 0.13
    # Repairs and rereads do get what is left.
    assert world.mean(START + 5, START + 40, Work.REPAIR) >= 20
    assert world.mean(START + 5, START + 40, Work.REREAD) >= 12


def test_repairs_give_way_to_calls_of_the_api_which_never_wait() -> None:
    world = World(20)
    world.busy(Work.REPAIR, 5)
    api = Pace("paypay", world.paces, 20, clock=lambda: world.now, sleep=lambda _: pytest.fail("the API waited"))

    def call() -> None:
        api.before_call()
        world.call(api, Work.API, world.now)
        world.at(world.now + 0.04, call)

    world.at(START + 2.5, call)
    world.run(20)
    assert world.mean(START + 5, START + 20, Work.API) == pytest.approx(25, rel=0.03)
    # A tenth of a second's slots, before the first calls of the API show in a new second.
    assert world.mean(START + 5, START + 20, Work.REPAIR) <= 3


@pytest.mark.parametrize("environments", [1, 8, 40])
def test_the_total_halves_within_ten_seconds_of_a_refusal(environments: int) -> None:
    world = World(60)
    world.busy(Work.LIVE, environments)
    world.run(10)
    before = world.mean(START + 5, START + 10)
    world.environment(Work.LIVE).limited()
    world.run(15)
    assert world.mean(START + 17, START + 19) <= before / 2 * 1.05
    assert world.mean(START + 11 + 7, START + 25) >= before / 2 * 0.8


def test_refused_calls_that_were_on_their_way_do_not_halve_it_again() -> None:
    world = World(40)
    world.busy(Work.LIVE, 20)
    world.run(5)
    environments = [world.environment(Work.LIVE) for _ in range(20)]
    for number, each in enumerate(environments):
        world.at(world.now + number / 10, each.limited)
    world.run(6)
    slowed = world.paces.slowed("paypay")
    assert slowed
    assert 38 <= slowed.rate <= 40


@pytest.mark.parametrize(
    ("limit", "work", "least"),
    [(30.0, Work.LIVE, 0.75), (12.5, Work.LIVE, 0.7), (4.0, Work.LIVE, 0.7), (9.0, Work.REPAIR, 0.6)],
)
def test_forty_environments_settle_near_under_a_limit_that_nobody_told_them(
    limit: float, work: Work, least: float
) -> None:
    world = World(50, limit)
    world.busy(work, 40)
    world.run(900)
    late = START + 300
    taken = world.mean(late, world.now)
    refused = len([at for at in world.refused if at >= late]) / (world.now - late)
    assert least * limit <= taken <= limit
    assert refused <= 0.05 * taken


def test_an_idle_rate_is_halved_from_what_was_called() -> None:
    world = World(1000, limit=8.0)
    world.busy(Work.LIVE, 1)  # ten calls, and ten more 0.3 s later
    world.run(20)
    slowed = world.paces.slowed("paypay")
    assert slowed
    assert slowed.rate < 100, "from a thousand it would have taken seven halvings"


def test_after_the_refusals_end_the_rate_comes_back_to_the_most() -> None:
    world = World(20)
    world.busy(Work.LIVE, 4)
    world.run(3)
    world.environment(Work.LIVE).limited()
    world.run(300)
    assert world.mean(world.now - 20, world.now) >= 0.95 * 20


def test_nobody_calls_before_retry_after_but_the_api() -> None:
    world = World(20)
    world.busy(Work.LIVE, 4)
    world.run(5)
    refused_at = world.now
    world.environment(Work.LIVE).limited("12")
    world.run(30)
    quiet = [at for at, _ in world.calls if refused_at + 6 <= at < refused_at + 12]
    assert quiet == []
    assert world.mean(refused_at + 13, refused_at + 20) == pytest.approx(10, rel=0.2)


def test_a_longer_retry_after_counts_also_right_after_a_refusal() -> None:
    world = World(20)
    first, second = world.environment(Work.LIVE), world.environment(Work.LIVE)
    first.limited()
    world.now += 1
    second.limited("20")
    slowed = world.paces.slowed("paypay")
    assert slowed
    assert slowed.until_ms == round((START + 21) * 1000)
    assert slowed.at_ms == round(START * 1000)


# --- clocks that differ ---


def test_with_clocks_that_differ_a_live_call_finds_what_the_faster_clocks_have_left_of_its_second() -> None:
    skews = (0.0, 2.0, -3.0)
    world = World(30)
    world.busy(Work.REPAIR, 12, skews=skews)
    live = [(world.environment(Work.LIVE, skew=skew), skew) for skew in skews]
    for number in range(200):
        made, skew = live[number % 3]
        world.at(START + 5 + number / 5, partial(world.wants, made, Work.LIVE, 1, skew))
    world.run(60)
    assert max(world.waits[Work.LIVE]) <= 1.2
    assert world.mean(START + 10, START + 40) <= 30


def test_with_clocks_that_differ_live_calls_alone_keep_to_the_rate_over_seconds() -> None:
    world = World(30)
    world.busy(Work.LIVE, 9, skews=(0.0, 2.0, -3.0))
    world.run(60)
    assert 30 * 0.9 <= world.mean(START + 10, START + 60) <= 30 * 1.05
    assert world.busiest() <= 3 * 30  # as many times the most as there are clocks


def test_a_refusal_reaches_those_whose_clocks_differ() -> None:
    world = World(30)
    world.busy(Work.LIVE, 9, skews=(0.0, 3.0, -3.0))
    world.run(10)
    before = world.mean(START + 5, START + 10)
    world.environment(Work.LIVE, skew=3.0).limited()
    world.run(10)
    assert world.mean(START + 17, START + 20) <= before / 2 * 1.25


# --- what it costs ---


def test_threads_that_wait_together_are_served_by_one_write() -> None:
    world = World(50)
    made = world.environment(Work.LIVE)
    world.wants(made, Work.LIVE, 10)
    world.run(2)
    assert len(world.calls) == 10
    assert world.writes <= 2  # the second one where the second of the clock ended between


def test_a_lone_call_is_one_write_and_an_idle_environment_writes_nothing() -> None:
    world = World(50)
    made = world.environment(Work.LIVE)
    for number in range(30):
        world.at(START + number * 10, lambda: world.wants(made, Work.LIVE, 1))
    world.run(3000)
    assert (len(world.calls), world.writes) == (30, 30)


def test_a_saturated_night_costs_about_two_writes_a_call() -> None:
    world = World(50)
    world.busy(Work.REPAIR, 20)
    world.run(60)
    assert world.writes <= 2.5 * len(world.calls)


# --- the counter fails ---


class BrokenTable:
    """DynamoDB that refuses every call in one way."""

    exceptions = MemoryDynamoDB.exceptions

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> Any:
            self.calls += 1
            raise self.error

        return fail


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "UpdateItem")


FAILURES = [
    refusal("ProvisionedThroughputExceededException"),
    refusal("AccessDeniedException"),
    refusal("InternalServerError"),
    EndpointConnectionError(endpoint_url="https://dynamodb"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda each: type(each).__name__ + str(each)[-60:-40])
def test_without_the_counter_each_environment_calls_at_a_fixed_low_rate(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(50)
    table = BrokenTable(error)
    world.paces = Paces(Table("table", table))  # type: ignore[arg-type]
    for _ in range(40):
        world.busy(Work.REPAIR, 1)
    world.run(60)
    assert world.mean(START + 5, START + 60) == pytest.approx(40, rel=0.05)
    # Each asks again after ten seconds, and says so each time.
    assert table.calls <= 40 * 7
    printed = capsys.readouterr().out
    assert '"PaceUnshared"' in printed
    assert ('"ConfigurationFault"' in printed) == ("AccessDenied" in str(error))


def test_the_low_rate_follows_the_most() -> None:
    world = World(5)
    world.paces = Paces(Table("table", BrokenTable(FAILURES[0])))  # type: ignore[arg-type]
    world.busy(Work.LIVE, 20)
    world.run(100)
    assert world.mean(START + 20, START + 100) <= 2.2


def test_when_the_table_is_back_the_rate_is_shared_again() -> None:
    world = World(50)
    good, table = world.db.update_item, BrokenTable(FAILURES[0])
    world.busy(Work.LIVE, 10)
    world.db.update_item = table.update_item  # type: ignore[method-assign]
    world.run(15)
    world.db.update_item = good  # type: ignore[method-assign]
    world.run(45)
    assert world.mean(START + 35, START + 60) >= 47


def test_a_refusal_that_cannot_be_told_slows_the_environment_itself() -> None:
    world = World(50)
    world.paces = Paces(Table("table", BrokenTable(FAILURES[0])))  # type: ignore[arg-type]
    made = world.environment(Work.LIVE)
    made.limited("25")
    assert made.lease(1) == [START + 25 + 1]


def test_an_api_call_goes_out_whatever_the_table_says_and_asks_it_seldom() -> None:
    table = BrokenTable(FAILURES[1])
    api = Pace("paypay", Paces(Table("table", table)), 50, clock=lambda: START, sleep=pytest.fail)  # type: ignore[arg-type]
    for _ in range(20):
        api.before_call()
    assert table.calls == 1


# --- inside the function ---


def test_a_worker_waits_in_the_function_and_gives_up_before_its_time_is_over() -> None:
    world = World(10)
    world.paces.slow("paypay", Slowed(10, round(START * 1000), round((START + 300) * 1000)), None)
    made = world.environment(Work.REPAIR)
    made.begin(Work.REPAIR, 90_000)
    with pytest.raises(NoLeaseError) as raised:
        made.before_call()
    # Not sent: whoever handles that knows that nothing has happened.
    assert isinstance(raised.value, NotSentError)
    assert raised.value.retryable
    assert world.now <= START + 70
    made.begin(Work.REPAIR, 400_000)
    made.before_call()
    assert world.now >= START + 300


def test_the_environments_threads_share_what_one_of_them_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads on a table in memory that is slow: no slot is given twice, and none is lost."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Lock
    from time import sleep

    world, made_at, lock = World(1000), [], Lock()
    take = world.db.update_item
    called = itertools.count()

    def slow(**request: Any) -> Any:
        next(called)
        sleep(0.02)
        with lock:
            return take(**request)

    world.db.update_item = slow  # type: ignore[method-assign]
    # The wait for other threads is none for a slot: it is distinguished by its sign.
    monkeypatch.setattr("honnin.pace._TOGETHER_S", -1.0)
    made = Pace("paypay", world.paces, 1000, clock=lambda: START, sleep=lambda s: made_at.append(s) if s >= 0 else None)
    made.begin(Work.LIVE, 60_000)
    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(made.before_call) for _ in range(60)]:
            done.result()
    assert len(made_at) == len(set(made_at)) == 60
    assert next(called) < 40
    second = world.paces.second("paypay", int(START))
    assert second.live == 60, "no slot is leased for nobody"


def test_threads_that_come_a_moment_later_share_the_write_of_the_first() -> None:
    """The threads of a batch do not come at once; without the wait the first one would write for itself alone."""
    from concurrent.futures import ThreadPoolExecutor
    from time import sleep

    world, arrived = World(1000), itertools.count()
    take, called = world.db.update_item, itertools.count()

    def counted(**request: Any) -> Any:
        next(called)
        return take(**request)

    world.db.update_item = counted  # type: ignore[method-assign]
    made = Pace(
        "paypay", world.paces, 1000, clock=lambda: START, sleep=lambda s: sleep(0.2) if s == _TOGETHER_S else None
    )
    made.begin(Work.LIVE, 60_000)

    def call() -> None:
        sleep(0.005 * next(arrived))
        made.before_call()

    with ThreadPoolExecutor(10) as pool:
        for done in [pool.submit(call) for _ in range(10)]:
            done.result()
    assert next(called) == 1
    assert world.paces.second("paypay", int(START)).live == 10


@pytest.mark.parametrize(("work", "most"), [(Work.LIVE, 2), (Work.REPAIR, 4), (Work.REREAD, 4)])
def test_a_batch_gets_its_slots_with_few_writes(work: Work, most: int) -> None:
    """What can wait gets only slots of the next tenth of a second: without the longer pause, almost one for a write."""
    world = World(50)
    made, left = world.environment(work), 11
    made._waiting = left
    while made._waiting:
        # A write takes some milliseconds.
        world.now += 0.008
        made._waiting -= len(made._wait_for_slots())
    second = int(START)
    taken = [world.paces.second("paypay", each).calls for each in (second, second + 1)]
    assert (sum(taken), world.writes <= most) == (left, True)


def test_a_batch_begins_without_the_slots_of_the_one_before() -> None:
    world = World(50)
    made = world.environment(Work.LIVE)
    made._slots.append(START - 100)
    made.begin(Work.REREAD, 60_000)
    made.before_call()
    second = world.paces.second("paypay", int(START))
    assert (second.live, second.rereads) == (0, 1)


def test_the_longest_wait_leaves_time_for_the_call_and_its_commit() -> None:
    assert pace._KEPT_MS >= 12_000 + 5_000

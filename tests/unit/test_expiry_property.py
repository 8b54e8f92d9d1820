"""Ends, extensions, refusals, crashes, repeated runs and moved clocks: none early, none missed, none twice."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.dynamodb import MemoryDynamoDB
from honnin.errors import ProviderConfigurationError, ProviderRefusedError, ProviderUnavailableError
from honnin.event import Event
from honnin.paypay import expiry
from honnin.paypay.expiry import PATIENCE
from honnin.store import Store
from honnin.store.expiries import LINK, Expiry
from honnin.times import utc_text
from tests.fakes.clocks import START, FakeClock
from tests.fakes.expiry_world import AHEAD, CrashError, ExpiryWorld
from tests.fakes.memory import memory_aws
from tests.fakes.paypay_world import LINKED

FAILURES = [
    None,
    ProviderUnavailableError("paypay", "down", http_status=503),
    ProviderRefusedError("paypay", "no", http_status=400, code="INVALID_REQUEST_PARAMS"),
    ProviderConfigurationError("paypay", "no", http_status=401, code="UNAUTHORIZED"),
]

_step = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 40 * 24)),
    st.tuples(st.just("extend"), st.integers(-5, 60)),
    st.tuples(st.just("fail"), st.integers(0, len(FAILURES) - 1)),
    st.tuples(st.just("crash"), st.integers(0, 2)),
    st.tuples(st.just("again"), st.integers(1, 3)),
    st.tuples(st.just("notified"), st.sampled_from([0, 1])),
    st.tuples(st.just("behind"), st.integers(1, 90)),
    st.tuples(st.just("deliver"), st.just(0)),
)


class _Watched(ExpiryWorld):
    """The world, with what PayPay has answered about the end."""

    def check(self) -> None:
        user = self.user()
        if user.status == "EXPIRED":
            assert user.expired_at is not None
            assert user.expired_at <= utc_text(self.clock()), "early"
            if user.provider_status == "expireAt":
                assert (user.link_expires_at or "") <= utc_text(self.clock()), "early"
            else:
                assert self.ending.ends[LINKED] <= self.clock().timestamp(), "PayPay has not said so"


def _do(world: _Watched, step: tuple[str, int]) -> None:
    match step:
        case "pass", hours:
            world.clock.now += timedelta(hours=hours)
            world.watch()
        case "extend", days:
            end = world.ending.ends[LINKED]
            # PayPay extends from the present end, or shortens; it revives nothing that has ended.
            if end > world.clock().timestamp():
                world.ending.ends[LINKED] = max(end + days * 86_400, int(world.clock().timestamp()) + 60)
        case "fail", which:
            world.paypay.failure = FAILURES[which]
        case "crash", after:
            world.crash_after = after
            with suppress(CrashError):
                world.watch()
            world.crash_after = None
        case "again", times:
            for _ in range(times):
                world.watch()
        case "notified", kind:
            if world.paypay.failure is None:
                world.notify("account_status" if kind else "kyc")
        case "behind", minutes:
            world.deliver(behind=timedelta(minutes=minutes))
        case "deliver", _:
            world.clock.now += timedelta(minutes=16)
            world.deliver()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 70), st.lists(_step, min_size=4, max_size=18))
def test_none_early_none_missed_none_twice(days: int, steps: list[tuple[str, int]]) -> None:
    with memory_aws():
        world = _Watched()
        world.linked(START + timedelta(days=days))
        for step in steps:
            _do(world, step)
            world.check()
        world.paypay.failure = None
        # PayPay answers again: within a day and the patience of the queue everybody is as PayPay says.
        for _ in range(30):
            world.clock.now += timedelta(hours=1)
            world.watch()
            world.clock.now += timedelta(minutes=16)
            world.deliver()
            world.check()
        ended = world.ending.ends[LINKED] <= world.clock().timestamp()
        is_late = world.clock().timestamp() > world.ending.ends[LINKED] + timedelta(days=29).total_seconds()
        if ended or not is_late:
            assert (world.user().status == "EXPIRED") == ended, "missed"
        world.publish_late()
        _check_told(world)


def _check_told(world: _Watched) -> None:
    ended = [each for each in world.timeline() if each.to_status == "EXPIRED" and each.from_status != "EXPIRED"]
    assert len(world.events("AuthorizationExpired")) == len(ended)
    ahead = world.events("AuthorizationExpiring")
    assert not [end for end, times in Counter(each["linkExpiresAt"] for each in ahead).items() if times > 1], "twice"
    for each in ahead:
        occurred, end = (datetime.fromisoformat(each[name]) for name in ("occurredAt", "linkExpiresAt"))
        assert end - AHEAD - timedelta(hours=2) <= occurred < end + PATIENCE + timedelta(minutes=20)


# --- a hundred thousand on one day ---

_NUMBER = 100_000
# A run finds so many queries' worth of ends at least, whatever there is.
_SHARDS = 16


class _Ends:
    """The index `due` as lists, for 100,000 ends."""

    def __init__(self, ends: Sequence[Expiry]) -> None:
        self.waiting = deque(sorted(ends, key=attrgetter("due_at")))

    def due(self, now: str, ahead: str) -> Iterator[Expiry]:
        """What has ended by now; what a run takes and does not queue stays due."""
        yield from takewhile(lambda each: each.due_at <= now, list(self.waiting))

    def look_again(self, expiry: Expiry, due_at: str | None) -> None:
        """Move one, once."""
        assert due_at is not None
        assert self.waiting.popleft() == expiry


@pytest.mark.parametrize("spread_s", [0, 86_399])
def test_a_hundred_thousand_that_end_on_one_day_are_asked_for_that_day_each_once(spread_s: int) -> None:
    """The day begins at midnight in Japan; all at one moment, or spread over the day."""
    begin = datetime.fromisoformat("2026-06-01T00:00:00+09:00")
    ends_of = {f"auth-{n}": begin + timedelta(seconds=spread_s * n // _NUMBER) for n in range(_NUMBER)}
    index = _Ends([_reported(subject, utc_text(ends)) for subject, ends in ends_of.items()])
    store = cast("Store", SimpleNamespace(expiries=index))
    clock = FakeClock(begin)
    sent: dict[str, tuple[datetime, str]] = {}
    batches: list[int] = []

    def send(events: list[Event], delay_s: int) -> None:
        assert delay_s < 900
        batches.append(len(events))
        for each in events:
            assert each.event_id not in sent, "twice"
            sent[each.event_id] = clock() + timedelta(seconds=delay_s), each.subject

    runs = 0
    while index.waiting:
        done = expiry.watch(store=store, send=send, ahead=AHEAD, now=clock(), left_ms=lambda: 600_000)
        assert done["ended"] <= 18_000
        clock.advance(seconds=3600)
        runs += 1
    assert len(sent) == len({subject for _, subject in sent.values()}) == _NUMBER
    assert all(at >= ends_of[subject] for at, subject in sent.values()), "early"
    latest = max(at - (ends_of[subject] if spread_s else begin) for at, subject in sent.values())
    assert latest <= (timedelta(hours=1, minutes=15) if spread_s else timedelta(hours=6))
    assert runs <= (25 if spread_s else 6)
    assert len(batches) <= _NUMBER / 10 + runs
    # Webhooks find room: no second has more than the pace.
    assert max(Counter(at for at, _ in sent.values()).values()) <= 20


def _reported(subject: str, ends: str) -> Expiry:
    return Expiry(LINK, f"user-of-{subject}", "paypay", subject, ends, is_reported=True, due_at=ends)


def test_a_run_reads_each_shard_once_and_no_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    queries: Counter[str] = Counter()
    query = MemoryDynamoDB.query

    def counted(self: MemoryDynamoDB, **request: Any) -> dict[str, Any]:
        queries["query"] += 1
        return query(self, **request)

    monkeypatch.setattr(MemoryDynamoDB, "query", counted)
    with memory_aws():
        world = _Watched()
        for number in range(40):
            world.linked(START + timedelta(days=40), f"user-{number}", f"0a1b2c3d-0000-4000-8000-{number:012}")
        world.clock.now = START + timedelta(days=1)
        queries.clear()
        assert world.watch() == {"ended": 0, "expiring": 0, "given_up": 0}
        assert queries["query"] == 3 * _SHARDS
        world.clock.now = START + timedelta(days=40)
        queries.clear()
        assert world.watch()["ended"] == 40
        assert queries["query"] == 3 * _SHARDS
        queries.clear()
        assert world.watch() == {"ended": 0, "expiring": 0, "given_up": 0}
        assert max(world.counts().values()) == 1

"""A batch of many users: groups overlap, each is by itself, and little is asked of AWS and of PayPay."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin import http_client, observability, worker
from honnin.errors import (
    EventNotReadyError,
    HonninError,
    MalformedEventError,
    ProviderTimeoutError,
    UnexpectedError,
)
from honnin.event import Event
from honnin.mass_change import BatchWatch
from honnin.observability import Counted, count, logger, reporting
from honnin.store import Effect, Store
from honnin.times import utc_text
from honnin.worker import Group
from tests.fakes import FakeLambdaContext, FakeQueue, counts
from tests.fakes.memory import memory_aws
from tests.fakes.paypay_user import paypay_user
from tests.fakes.settling import SettlingWorld

MARKED = "marked-value-of-a-person"

# How long a thread waits for the others: never in vain, so its length costs nothing.
PATIENCE_S = 20

# --- the loop: messages are texts "<user>:<what it does>" ---


class _DeathError(BaseException):
    """Nothing that anybody expects."""


ERRORS: dict[str, Callable[[], Exception]] = {
    "bug": lambda: TypeError(MARKED),
    "malformed": lambda: MalformedEventError("no rule"),
    "later": lambda: EventNotReadyError("under way"),
    "timeout": lambda: ProviderTimeoutError("paypay", "no answer"),
}
# What ends the process where there are no threads.
ENDS: dict[str, Callable[[], BaseException]] = {"exit": lambda: SystemExit(MARKED), "death": _DeathError}


def by_user(process: Callable[[str], None]) -> Callable[[Sequence[str]], list[Group[str]]]:
    """Divides by what stands before the colon."""

    def divide(messages: Sequence[str]) -> list[Group[str]]:
        users = dict.fromkeys(each.partition(":")[0] for each in messages)
        return [
            Group([place for place, each in enumerate(messages) if each.partition(":")[0] == user], process)
            for user in users
        ]

    return divide


def run(bodies: Sequence[str], process: Callable[[str], None], queue: FakeQueue, **more: Any) -> list[int]:
    """The places of the messages that SQS must keep."""
    records = [
        {
            "messageId": str(place),
            "receiptHandle": f"receipt-{place}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1775012400000"},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
        }
        for place, body in enumerate(bodies)
    ]
    options: dict[str, Any] = {"divide": by_user(process), "parse": str} | more
    answer: Any = worker.run({"Records": records}, FakeLambdaContext(60_000), queue=queue, **options)
    return [int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


def emitted(printed: str) -> Counter[str]:
    """What was counted; each line is whole."""
    found: Counter[str] = Counter()
    for record in map(json.loads, printed.splitlines()):
        found += counts.of(record)
    return found


def test_ten_groups_run_at_once() -> None:
    together = threading.Barrier(10)
    assert run([f"u{each}:" for each in range(10)], lambda _: _meet(together), FakeQueue()) == []


def _meet(barrier: threading.Barrier) -> None:
    barrier.wait(PATIENCE_S)


def test_the_messages_of_one_group_never_overlap_and_keep_their_order() -> None:
    seen: list[str] = []
    inside = threading.Lock()

    def process(body: str) -> None:
        assert inside.acquire(blocking=False), "two at once"
        time.sleep(0)
        seen.append(body)
        inside.release()

    bodies = [f"u:{each}" for each in range(10)]
    assert run(bodies, process, FakeQueue()) == []
    assert seen == bodies


def test_each_thread_has_a_session_of_its_own_and_the_next_batch_has_the_same() -> None:
    together = threading.Barrier(10)
    sessions: list[Any] = []

    def process(_: str) -> None:
        _meet(together)
        sessions.append(http_client._own_session())

    for _ in range(2):
        run([f"u{each}:" for each in range(10)], process, FakeQueue())
    try:
        assert len({id(each) for each in sessions[:10]}) == 10
        assert {id(each) for each in sessions[:10]} == {id(each) for each in sessions[10:]}
    finally:
        http_client.session.cache_clear()


def test_no_thread_is_left_when_the_answer_is_there() -> None:
    before = set(threading.enumerate())
    with pytest.raises(SystemExit):
        run(["a:", "b:exit", "d:bug"], _as_it_says, FakeQueue())
    assert set(threading.enumerate()) <= before


def _as_it_says(body: str) -> None:
    what = body.partition(":")[2]
    count("Processed")
    if what in (every := ERRORS | ENDS):
        raise every[what]()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["fine", *ERRORS])), max_size=10))
def test_the_answer_names_the_messages_that_failed_and_no_other(messages: list[tuple[str, str]]) -> None:
    queue = FakeQueue()
    bodies = [f"{user}:{what}" for user, what in messages]
    assert run(bodies, _as_it_says, queue) == [place for place, (_, what) in enumerate(messages) if what in ERRORS]
    assert set(queue.delays) == {str(place) for place, (_, what) in enumerate(messages) if what in ERRORS}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["fine", *ERRORS])), min_size=1, max_size=10))
def test_overlapping_does_what_one_after_another_does(messages: list[tuple[str, str]]) -> None:
    bodies = [f"{user}:{what}" for user, what in messages]
    first, second = FakeQueue(), FakeQueue()
    overlapped = run(bodies, _as_it_says, first)
    assert overlapped == run(bodies, _as_it_says, second, overlap=worker.one_after_another)
    assert set(first.delays) == set(second.delays)


def test_what_threads_count_is_complete_and_printed_by_the_main_thread(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()
    write = observability.write

    def noting(counted: Iterable[Counted]) -> None:
        threads.add(threading.current_thread())
        write(counted)

    monkeypatch.setattr(observability, "write", noting)
    monkeypatch.setattr(worker, "write", noting)
    bodies = [f"u{place}:{what}" for place, what in enumerate(["fine"] * 6 + list(ERRORS))]
    run(bodies, _as_it_says, FakeQueue())

    assert threads == {threading.main_thread()}
    counted = emitted(capsys.readouterr().out)
    assert (counted["Processed"], counted["EventFailed"], counted["UnexpectedError"]) == (10, 4, 1)


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_the_process_ends_the_invocation_when_all_others_have_come_to_their_end(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queue, seen = FakeQueue(), list[str]()
    together = threading.Barrier(4)

    def process(body: str) -> None:
        if body.endswith("1"):
            _meet(together)
        seen.append(body)
        _as_it_says(body.rstrip("0123456789"))

    @reporting
    def handler() -> list[int]:
        return run(["a:1", f"b:{what}1", "b:2", "c:1", "c:2", "d:timeout1"], process, queue)

    with pytest.raises((SystemExit, _DeathError)):
        handler()
    assert sorted(seen) == sorted(["a:1", f"b:{what}1", "c:1", "c:2", "d:timeout1"])
    assert set(queue.delays) == {"5"}, "its own messages come again when Lambda gives them back"
    printed = capsys.readouterr().out
    assert MARKED not in printed
    assert emitted(printed) == {"Processed": 5, "EventFailed": 1, "UnexpectedError": 1}


def test_a_line_says_of_its_own_event_only(capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(10)

    def process(body: str) -> None:
        _meet(together)
        logger().info("working", user=body)
        _meet(together)
        raise EventNotReadyError(body)

    run([f"u{each}:" for each in range(10)], process, FakeQueue())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    working = [each for each in lines if each.get("message") == "working"]
    failed = [each for each in lines if "message_id" in each]
    assert sorted(each["user"] for each in working) == [f"u{each}:" for each in range(10)]
    assert not [each for each in working if "message_id" in each or "reason" in each]
    assert {(each["message_id"], each["reason"]) for each in failed} == {(str(n), f"u{n}:") for n in range(10)}
    assert not [each for each in failed if "user" in each]


def test_a_mistake_is_logged_by_its_place_without_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["a:bug", "b:fine", "a:fine"], _as_it_says, FakeQueue()) == [0]
    printed = capsys.readouterr().out
    assert MARKED not in printed
    [line] = [json.loads(each) for each in printed.splitlines() if "message_id" in each]
    assert line["frames"][-1].startswith("_as_it_says:")
    assert emitted(printed)["UnexpectedError"] == 1


def test_what_the_division_raises_in_an_outage_fails_every_message_that_could_be_read() -> None:
    tried = []

    def divide(messages: Sequence[int]) -> list[Group[int]]:
        tried.append(messages)
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "BatchGetItem")

    queue = FakeQueue()
    assert run(["1", "x", "2"], _as_it_says, queue, divide=divide, parse=int) == [0, 1, 2]
    assert tried == [[1, 2]], "there is no time to try each by itself"


@pytest.mark.parametrize(
    "refusal",
    [
        lambda: ClientError({"Error": {"Code": "ValidationException"}}, "BatchGetItem"),
        lambda: UnicodeEncodeError("utf-8", "", 0, 1, "surrogates not allowed"),
    ],
)
def test_a_message_that_cannot_be_divided_fails_no_other(refusal: Callable[[], Exception]) -> None:
    """What the table knows of a batch is read by one call, and one key that DynamoDB refuses fails all of it."""
    done: list[str] = []

    def divide(messages: Sequence[str]) -> list[Group[str]]:
        if "poison" in messages:
            raise refusal()
        return by_user(done.append)(messages)

    assert run(["a:1", "poison", "b:2"], done.append, FakeQueue(), divide=divide) == [1]
    assert sorted(done) == ["a:1", "b:2"]


def test_a_message_that_no_group_has_comes_again() -> None:
    def divide(messages: Sequence[str]) -> list[Group[str]]:
        return [Group([0], _as_it_says)]

    queue = FakeQueue()
    assert run(["a:", "b:"], _as_it_says, queue, divide=divide) == [1]
    assert queue.delays == {"1": 0}


def test_the_time_is_looked_at_before_each_message_of_each_group() -> None:
    class Context(FakeLambdaContext):
        """Time passes while a message is processed."""

        left_ms = 120_000

        def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
            """What is left."""
            return self.left_ms

    context, queue, seen = Context(), FakeQueue(), list[str]()

    def process(body: str) -> None:
        seen.append(body)
        context.left_ms -= 40_000

    records = [
        {"messageId": str(n), "receiptHandle": "r", "body": f"u:{n}", "attributes": {}, "eventSourceARN": "a:q"}
        for n in range(4)
    ]
    answer = worker.run({"Records": records}, context, parse=str, divide=by_user(process), queue=queue)
    assert seen == ["u:0", "u:1"]
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["2", "3"]
    assert queue.delays == {"2": 0, "3": 0}


# --- the processor ---

USERS = [f"user-{each}" for each in range(10)]


class Locked:
    """AWS in memory under threads: one call at a time."""

    def __init__(self, client: Any, calls: Counter[str]) -> None:
        self._client = client
        self._calls = calls
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name in ("exceptions", "get_paginator"):
            return found

        def call(**request: Any) -> Any:
            with self._lock:
                self._calls[name] += 1
                return found(**request)

        return call


class LockedBus(Locked):
    """The bus, whose client is itself."""

    @property
    def client(self) -> "LockedBus":
        """Itself."""
        return self


class World(SettlingWorld):
    """Ten linked users; every call of AWS is counted."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        super().__init__()
        self.db = cast("Any", Locked(self.db, self.calls))
        self.s3 = cast("Any", Locked(self.s3, self.calls))
        self.bus = cast("Any", LockedBus(self.bus, self.calls))
        for user in USERS:
            at = utc_text(self.clock())
            after = paypay_user(user, "LINKED", linked=f"auth-{user}", scopes=("mini_app_kyc_passport",), at=at)
            self.store.events.apply(Effect(f"api:linked:{user}", "linked", "api", at, None, after, {}, links=True))
        self.calls.clear()

    def _send(self, events: Any) -> None:
        self.calls["send_message_batch"] += 1
        super()._send(events)

    def hints(self, kind: str = "kyc", users: Sequence[str] = USERS) -> list[Event]:
        """A webhook about each of these users, received now."""
        return [self.hint(kind, f"auth-{user}") for user in users]

    def batch(self, events: Sequence[Event]) -> list[str]:
        """One SQS batch, worked off by threads; the ids of the events that come again."""
        self.clock.advance(seconds=1)
        batch = self.environment.batch()
        places = {each.event_id: place for place, each in enumerate(events)}
        records = [
            {
                "messageId": each.event_id,
                "receiptHandle": str(places[each.event_id]),
                "body": each.to_json(),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1775012400000"},
                "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
            }
            for each in events
        ]
        answer: Any = worker.run(
            {"Records": records},
            FakeLambdaContext(120_000),
            parse=Event.from_json,
            divide=batch.divide,
            queue=FakeQueue(),
            overlap=self.overlap,
        )
        batch.end()
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    overlap: worker.Overlap = staticmethod(worker.overlapping)

    @property
    def environment(self) -> Any:
        """One worker for all batches, watched as the function is."""
        if not hasattr(self, "_environment"):
            self._environment = self.processor()
            self._environment.watch = BatchWatch(self.store, Decimal(5), lambda _: None, self.clock)
        return self._environment


@pytest.fixture
def world() -> Iterator[World]:
    with memory_aws():
        yield World()


def test_ten_users_are_read_at_once(world: World) -> None:
    together = threading.Barrier(10)
    world.paypay.meanwhile = [lambda: _meet(together)] * 10
    assert world.batch(world.hints()) == []
    assert {world.user(each).status for each in USERS} == {"VERIFIED"}
    assert len(world.paypay.asked) == 10


def test_a_failure_of_one_user_touches_no_other(world: World) -> None:
    def fail() -> None:
        raise TypeError(MARKED)

    world.paypay.meanwhile = [fail]
    [failed] = world.batch(world.hints())
    assert Counter(world.user(each).status for each in USERS) == {"VERIFIED": 9, "LINKED": 1}
    assert failed.startswith("paypay:kyc:")


def test_few_calls_of_aws_for_an_unchanged_user(world: World) -> None:
    world.batch(world.hints())  # links are attached, objects written
    world.clock.advance(seconds=1)
    world.calls.clear()
    assert world.batch(world.hints()) == []
    assert world.calls == {
        "batch_get_item": 2,
        "send_message_batch": 10,
        "transact_write_items": 10,
        "update_item": 2,  # how many webhooks came today, and, for a full batch, the readings within the hour
    }
    world.clock.advance(seconds=1)
    world.calls.clear()
    world.batch(world.hints(users=["user-3"]))
    assert world.calls.total() == 5


def test_few_calls_of_aws_for_a_change(world: World) -> None:
    world.batch(world.hints())
    world.clock.advance(seconds=1)
    world.lagging.change(flagged=True)
    world.calls.clear()
    world.batch(world.hints())
    calls = world.calls.copy()
    assert {world.user(each).status for each in USERS} == {"RISK_FLAGGED"}
    assert calls == {
        "batch_get_item": 2,
        "send_message_batch": 10,
        "transact_write_items": 10,
        "put_events": 10,
        "update_item": 10 + 10 + 1,  # who is about to lose VERIFIED; published; how many webhooks came today
    }
    world.clock.advance(seconds=1)
    world.lagging.change(flagged=False)
    world.paypay.data = {"status": "COMPLETED", "kycLevel": "new"}
    world.calls.clear()
    world.batch(world.hints())
    # Before an object is written, the race may be lost already: that is looked at once more.
    assert world.calls.total() <= 7 * len(USERS)
    assert world.calls["put_object"] == len(USERS)


def test_120_hints_of_one_user_cost_few_reads_settling_included(world: World) -> None:
    hints = [world.hint("kyc", "auth-user-0") for _ in range(120)]
    for start in range(0, 120, 10):
        assert world.batch(hints[start : start + 10]) == []
        world.clock.advance(seconds=1)
    world.settle()
    assert len(world.paypay.asked) == 3, "at once, after a minute, after a quarter of an hour"
    entries = [item["event_id"]["S"] for item in world.items() if item["sk"]["S"].startswith("AT#")]
    assert sorted(entries) == sorted([*(each.event_id for each in hints), *(f"api:linked:{each}" for each in USERS)])


def test_120_hints_of_three_kinds_while_they_still_come_cost_at_most_ten_reads(world: World) -> None:
    hints = []
    for _ in range(40):
        for kind in ("kyc", "risk", "account_status"):
            hints.append(world.hint(kind, "auth-user-0"))
            world.clock.advance(seconds=0.01)
    world.paypay.authorizations["auth-user-0"] = {"status": "ACTIVE", "referenceIds": ["user-0"]}
    for start in range(0, 120, 10):
        assert world.batch(hints[start : start + 10]) == []
    world.settle()
    assert len(world.paypay.asked) <= 10


@pytest.mark.parametrize("kind", ["kyc", "account_status"])
def test_a_reading_began_when_it_had_its_turn_and_not_when_it_began_to_wait(world: World, kind: str) -> None:
    """Else what somebody else asked for during the wait would pass for newer, and each hint since be read again."""
    world.paypay.authorizations["auth-user-0"] = {"status": "ACTIVE", "referenceIds": ["user-0"]}
    world.batch(world.hints(kind, ["user-0"]))
    world.clock.advance(seconds=1)
    during: list[Event] = []

    def wait() -> None:
        world.clock.advance(seconds=30)
        during.append(world.hint(kind, "auth-user-0"))
        world.clock.advance(seconds=30)

    world.paypay.waits = [wait]
    began = world.clock()
    world.batch(world.hints(kind, ["user-0"]))
    asked = len(world.paypay.asked)
    assert datetime.fromisoformat(world.user("user-0").read_at or "") > began + timedelta(seconds=60)
    world.batch(during)
    assert len(world.paypay.asked) == asked, "it is served by the reading that began after it was received"


def test_hints_of_an_authorization_that_nobody_knows_are_asked_about_once_a_batch(world: World) -> None:
    assert world.batch([world.hint("kyc", "nobody") for _ in range(10)]) == []
    assert world.paypay.asked == ["authorization"]


def test_duplicates_in_one_batch_take_effect_once(world: World) -> None:
    world.batch(world.hints())
    world.clock.advance(seconds=1)
    world.lagging.change(flagged=True)
    published = len(world.bus.entries)
    hint = world.hints()[0]
    environment = world.environment
    batch = environment.batch()
    groups = batch.divide([hint, hint, hint])
    assert [len(each.members) for each in groups] == [3]
    for _ in groups[0].members:
        groups[0].process(hint)
    assert len(world.bus.entries) == published + 1
    assert [each.event_id for each in world.timeline("user-0")].count(hint.event_id) == 1


def test_two_authorizations_that_turn_out_to_be_one_users_lose_a_race_and_no_event(world: World) -> None:
    for each in ("new-1", "new-2"):
        world.paypay.authorizations[each] = {
            "status": "ACTIVE",
            "referenceIds": ["user-new"],
            "scopes": ["mini_app_kyc_passport"],
        }
    hints = [world.hint("kyc", each) for each in ("new-1", "new-2")]
    left = hints
    for _ in range(3):
        again = set(world.batch(left)) if left else set()
        left = [each for each in left if each.event_id in again]
        world.clock.advance(seconds=30)
    assert left == []
    assert world.user("user-new").user_authorization_id in ("new-1", "new-2")


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_overlaps_every_user_ends_as_paypay_says_and_each_event_has_one_entry(data: st.DataObject) -> None:
    with memory_aws():
        world = World()
        hints: list[Event] = []
        for _ in range(data.draw(st.integers(1, 6))):
            users = data.draw(st.lists(st.sampled_from(USERS[:4]), min_size=1, max_size=6))
            hints += [world.hint(data.draw(st.sampled_from(["kyc", "risk"])), f"auth-{each}") for each in users]
            world.lagging.change(flagged=data.draw(st.booleans()))
            world.clock.advance(seconds=data.draw(st.sampled_from([0.01, 5])))
        world.overlap = data.draw(st.sampled_from([worker.overlapping, worker.one_after_another]))
        queue = data.draw(st.permutations([*hints, *data.draw(st.lists(st.sampled_from(hints), max_size=4))]))
        while queue:
            some, queue = queue[:10], queue[10:]
            unique = list({each.event_id: each for each in some}.values())
            assert world.batch(unique) == []
        world.settle()
        means = world.lagging.truth.means
        named = {each.subject.removeprefix("auth-") for each in hints}
        assert {world.user(each).status for each in named} == {means}
        entries = Counter(each.event_id for user in named for each in world.timeline(user) if each.what == "kyc_read")
        assert {name: number for name, number in entries.items() if name in {h.event_id for h in hints}} == {
            each.event_id: 1 for each in hints
        }


# --- functions that work off no queue ---


def test_a_mistake_in_a_handler_is_logged_counted_and_told_without_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @reporting
    def handler(event: object, context: object) -> None:
        raise KeyError(MARKED)

    with pytest.raises(UnexpectedError) as raised:
        handler({}, None)
    printed = capsys.readouterr().out
    assert MARKED not in printed + repr(raised.value) + repr(raised.value.__cause__)
    assert raised.value.__suppress_context__
    line = next(json.loads(each) for each in printed.splitlines() if "frames" in each)
    assert line["frames"][-1].startswith("handler:")
    assert line["error"] == "KeyError"
    assert emitted(printed) == {"UnexpectedError": 1}


@pytest.mark.parametrize("error", [EventNotReadyError("m"), MalformedEventError("m")])
def test_errors_of_ours_pass_as_they_are(error: HonninError, capsys: pytest.CaptureFixture[str]) -> None:
    @reporting
    def handler() -> None:
        raise error

    with pytest.raises(type(error)):
        handler()
    assert capsys.readouterr().out == ""


def test_the_store_reads_what_it_knows_at_once_and_nothing_twice(world: World) -> None:
    hint = world.hints()[0]
    store: Store = world.store
    world.calls.clear()
    known = store.known([hint])
    for _ in range(2):
        assert known.record(hint.event_id) is None
        assert not known.is_erased(hint.subject)
        assert known.link(hint.subject) is not None
        assert known.status("user-0", "paypay") is not None
        assert known.beside("user-0", "paypay") == []
    assert world.calls == {"batch_get_item": 2}
    known.forget()
    assert known.status("user-0", "paypay") is not None
    assert world.calls["get_item"] == 1

"""Reading many users again: who is read, how often, and what happens when it is stopped, killed or repeated."""

import json
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.replacing import replaced
from chaos.schedule import Fault
from honnin.reread import listing, plan, questions
from honnin.reread.starting import RereadConflictError, State, UnknownRereadError, execution_input, execution_name
from honnin.status import PayPayStatus
from honnin.store import Certificate, Reread
from honnin.store.rereads import Kind, Phase
from tests.fakes.reread_engine import AT, NAME, STARTED, RereadEngine


def counts(reread: Reread) -> tuple[int, ...]:
    """Listed, sent, skipped, read, left."""
    return reread.users, reread.sent, reread.skipped, reread.read, reread.left


def users(number: int, prefix: str = "user") -> list[str]:
    """Some names."""
    return [f"{prefix}-{each}" for each in range(number)]


@pytest.fixture
def engine() -> RereadEngine:
    return RereadEngine()


# --- who is read ---


def test_everybody_with_the_status_is_read_once_and_nobody_else(engine: RereadEngine) -> None:
    for each in users(20):
        engine.link(each)
    engine.link("flagged", "RISK_FLAGGED")
    engine.submit("user-0", "APPROVED")

    assert engine.begin() == f"{NAME}-1"
    done = engine.finish()

    # PayPay is asked for the authorization and for the KYC.
    assert engine.asked() == Counter(dict.fromkeys(users(20), 2))
    assert counts(done) == (20, 20, 0, 20, 0)
    assert done.executions == 1


@pytest.mark.parametrize("status", list(PayPayStatus))
def test_each_status_of_paypay(engine: RereadEngine, status: str) -> None:
    for each in PayPayStatus:
        engine.link(f"is-{each}", each)

    engine.begin(status=status)
    done = engine.finish()

    read = {} if status in ("LINK_PENDING", "LINK_DECLINED") else {f"is-{status}": 2}
    assert engine.asked() == Counter(read)
    assert (done.users, done.sent, done.skipped) == (1, len(read), 1 - len(read))


def test_a_status_that_nobody_has_ends_at_once(engine: RereadEngine) -> None:
    engine.begin(status="RISK_FLAGGED")

    assert counts(engine.finish()) == (0, 0, 0, 0, 0)
    # AWS does not say what a Map does with an empty list.
    assert "RereadSendFunction" not in engine.calls


def test_vexora_is_asked_about_submissions(engine: RereadEngine) -> None:
    engine.submit("a", "UNDER_REVIEW")
    engine.submit("b", "APPROVED")

    engine.begin(provider="vexora", status="UNDER_REVIEW")
    engine.run()

    [event] = engine.queue
    assert (event.provider, event.kind, event.subject, event.cause) == ("vexora", "kyc_result", "sub-a", "operator")


@pytest.mark.parametrize(
    ("provider", "expected"), [(None, {"p": 2, "v": 1, "both": 3}), ("paypay", {"p": 2, "both": 2})]
)
def test_all_users_of_one_provider_or_of_both(
    engine: RereadEngine, provider: str | None, expected: dict[str, int]
) -> None:
    engine.link("p", "INACTIVE")
    engine.submit("v")
    engine.link("both")
    engine.submit("both", "REJECTED")

    engine.begin(Kind.ALL, segments=3, provider=provider)
    done = engine.finish()

    assert engine.asked() == Counter(expected)
    # A user whom both know is one user.
    assert done.users == done.read == len(expected)


def test_all_users_whatever_moves_while_they_are_listed(engine: RereadEngine) -> None:
    for each in users(12):
        engine.link(each)
    engine.begin(Kind.ALL, segments=4, provider="paypay")
    for each in users(12):
        engine.states.work(1)
        engine.move(each, "RISK_FLAGGED")

    engine.finish()

    assert engine.asked() == Counter(dict.fromkeys(users(12), 2))


@pytest.mark.parametrize(
    "text",
    [
        "user-0\nuser-1\nuser-2\nuser-3\nnobody\n",
        "user-0\r\nuser-1\r\n\r\nuser-2\r\nuser-3\r\nnobody",
        '\ufeff"user-0"\n user-1 \nuser-2,x\nuser-3\nnobody\nuser-1\n名前\n',
    ],
    ids=["plain", "Windows", "from a spreadsheet"],
)
def test_a_file_of_ids(engine: RereadEngine, text: str) -> None:
    for each in users(6):
        engine.link(each)
    engine.put_file(text)

    engine.begin(Kind.FILE)
    done = engine.finish()

    assert engine.asked() == Counter(dict.fromkeys(users(4), 2))
    assert done.skipped == 1
    assert done.left == 0


def test_a_first_line_that_ends_like_the_name_of_a_column_is_a_user(engine: RereadEngine) -> None:
    engine.link("david")
    engine.put_file("david\n")
    engine.begin(Kind.FILE, provider="paypay")
    engine.finish()
    assert engine.asked() == Counter(david=2)


def test_an_empty_file_reads_nobody(engine: RereadEngine) -> None:
    engine.put_file("")
    engine.begin(Kind.FILE)
    assert counts(engine.finish()) == (0, 0, 0, 0, 0)


def test_no_event_names_a_user_or_an_authorization_in_its_id(engine: RereadEngine) -> None:
    engine.link("taro")
    engine.begin()
    engine.run()

    ids = [each.event_id for each in engine.queue]
    assert all(each.startswith(f"operator:{NAME}.") for each in ids)
    assert not [each for each in ids if "taro" in each]
    assert questions.event_id("a", "kyc", "taro") != questions.event_id("b", "kyc", "taro")


# --- how much is on the queue, and what is counted ---


def test_a_part_is_sent_after_the_one_before_it_was_read(engine: RereadEngine) -> None:
    """The machine in memory has one part under way at a time; the real one twenty (`MaxConcurrency`)."""
    for each in users(10):
        engine.link(each)
    engine.begin()

    for _ in range(5):
        engine.run()
        engine.clock.now += timedelta(seconds=61)

    assert len(engine.queue) <= 2 * 2
    assert engine.reread().done == 0


def test_what_became_of_the_users_is_counted(engine: RereadEngine) -> None:
    engine.link("changed", "UNCONFIRMED")
    engine.begin(status="UNCONFIRMED")
    engine.run()
    engine.work(status="VERIFIED")
    assert (engine.finish().changed, engine.reread().not_read) == (1, 0)


def test_who_was_refused_is_not_read(engine: RereadEngine) -> None:
    engine.link("refused")
    engine.begin()
    engine.run()
    engine.work(what="reading_refused")
    done = engine.finish()
    assert (done.read, done.not_read, done.done) == (0, 1, 1)


def test_nobody_waits_for_who_was_erased_meanwhile(engine: RereadEngine) -> None:
    engine.link("gone")
    engine.begin()
    engine.run()
    engine.queue.clear()
    engine.store.erasure.begin(Certificate("c", "gone", AT))
    engine.table.delete_item(TableName="table", Key={"pk": {"S": "USER#gone"}, "sk": {"S": "STATUS#paypay"}})

    done = engine.finish()

    assert (done.gone, done.read, done.left) == (1, 0, 0)


def test_what_never_takes_effect_is_waited_for_a_day(engine: RereadEngine) -> None:
    engine.link("lost")
    engine.begin()
    engine.run()
    engine.queue.clear()
    engine.clock.now += timedelta(hours=23)
    engine.run()
    assert engine.executions.state(engine.reread()) is State.RUNNING

    engine.clock.now += timedelta(hours=2)
    done = engine.finish()

    assert (done.left, done.read) == (1, 0)


@pytest.mark.parametrize(("lost", "hours"), [(1, 1), (2, 24)])
def test_for_a_few_of_many_nobody_waits_as_long(lost: int, hours: int) -> None:
    """Else one user in each part whom a provider never answers would make a day of each part, of a million's 2,000."""
    engine = RereadEngine(size=50)
    for each in users(50):
        engine.link(each)
    engine.begin(Kind.ALL, provider="paypay")
    engine.run()
    del engine.queue[: 2 * lost]
    engine.work()
    engine.clock.now += timedelta(hours=hours, minutes=-5)
    engine.run()
    assert engine.executions.state(engine.reread()) is State.RUNNING

    engine.clock.now += timedelta(minutes=10)
    engine.run()

    assert (engine.reread().left, engine.reread().read) == (lost, 50 - lost)


def test_while_repairs_and_rereads_are_stopped_nothing_is_sent_and_nobody_is_given_up(engine: RereadEngine) -> None:
    for each in users(4):
        engine.link(each)
    engine.begin()
    engine.states.work(18)
    engine.run()
    on_the_queue = len(engine.queue)
    assert 0 < on_the_queue < 8
    engine.store.mass_change.stop(engine.store.mass_change.read())

    for _ in range(10):
        engine.clock.now += timedelta(hours=4)
        engine.run()
    assert len(engine.queue) == on_the_queue
    assert (engine.reread().left, engine.reread().done) == (0, 0)

    engine.store.mass_change.resume()
    assert engine.finish().read == 4


def test_its_pace_and_its_end_are_told(engine: RereadEngine) -> None:
    for each in users(10):
        engine.link(each)
    engine.begin()
    assert engine.executions.progress(NAME, engine.clock.peek()).per_second is None
    while not engine.reread().done:
        engine.run()
        engine.work()
        engine.clock.now += timedelta(seconds=100)

    engine.clock.now = STARTED + timedelta(seconds=1000)
    progress = engine.executions.progress(NAME, engine.clock.peek())

    done = engine.reread().done
    assert progress.state is State.RUNNING
    assert progress.per_second == pytest.approx(done / 1000, rel=0.01)
    assert progress.expected_end is not None
    left_s = (10 - done) / (done / 1000)
    assert progress.expected_end[:18] == (engine.clock.peek() + timedelta(seconds=left_s)).isoformat()[:18]


# --- pausing ---


def test_paused_in_the_middle_it_sends_nothing_more_and_goes_on_where_it_was(engine: RereadEngine) -> None:
    for each in users(30):
        engine.link(each)
    engine.begin()
    while engine.reread().done < 8:
        engine.run()
        engine.work()
        engine.clock.now += timedelta(seconds=61)

    engine.executions.pause(NAME)
    sent = len(engine.sent)
    assert engine.executions.state(engine.reread()) is State.PAUSED
    for _ in range(3):
        engine.clock.now += timedelta(hours=1)
        engine.run()
    assert len(engine.sent) == sent
    assert 8 <= engine.reread().sent < 30

    assert engine.executions.resume(NAME) == f"{NAME}-2"
    done = engine.finish()

    assert engine.asked() == Counter(dict.fromkeys(users(30), 2))
    assert len(engine.sent) == len(set(engine.sent)) == 60
    assert counts(done) == (30, 30, 0, 30, 0)


def test_paused_while_users_are_listed(engine: RereadEngine) -> None:
    for each in users(30):
        engine.link(each)
    engine.begin()
    engine.states.work(6)
    assert 0 < engine.reread().users < 30
    engine.executions.pause(NAME)
    engine.link("later")

    engine.executions.resume(NAME)
    engine.finish()

    assert set(engine.asked()) >= set(users(30))
    assert set(engine.asked().values()) == {2}


def test_children_that_outlive_the_execution_send_nothing_more(engine: RereadEngine) -> None:
    """An invocation that is under way when an execution is stopped goes on; the local emulator stops no child."""
    for each in users(20):
        engine.link(each)
    engine.begin()
    engine.run()
    parts = engine.read(plan.parts(engine.store, engine.bucket, engine.reread())["key"])
    before = execution_input(engine.reread())
    engine.executions.pause(NAME)

    sent = len(engine.sent)
    for part in parts:
        assert engine.call("RereadSendFunction", {**before, "part": part}) == {"settled": True}
    assert len(engine.sent) == sent

    engine.executions.resume(NAME)
    for part in parts:
        # Of the execution before.
        assert engine.call("RereadSendFunction", {**before, "part": part}) == {"settled": True}
    assert len(engine.sent) == sent
    assert engine.finish().read == 20


def test_an_execution_that_succeeds_although_it_was_paused_has_not_done_it(engine: RereadEngine) -> None:
    """Where it could not be stopped."""
    for each in users(6):
        engine.link(each)
    engine.begin()
    engine.run()
    engine.store.rereads.pause(engine.reread())
    for _ in range(20):
        engine.clock.now += timedelta(seconds=61)
        engine.run()
    assert engine.states.executions[f"{NAME}-1"].status == "SUCCEEDED"
    assert engine.executions.state(engine.reread()) is State.PAUSED

    engine.executions.resume(NAME)
    engine.finish()
    assert engine.asked() == Counter(dict.fromkeys(users(6), 2))


def test_what_is_running_or_done_is_not_resumed_and_what_does_not_run_is_not_paused(engine: RereadEngine) -> None:
    engine.link("a")
    engine.begin()
    with pytest.raises(RereadConflictError, match="is running"):
        engine.executions.resume(NAME)
    with pytest.raises(RereadConflictError, match="already"):
        engine.begin()
    engine.finish()
    with pytest.raises(RereadConflictError, match="is done"):
        engine.executions.resume(NAME)
    with pytest.raises(RereadConflictError, match="is done"):
        engine.executions.pause(NAME)
    with pytest.raises(UnknownRereadError):
        engine.executions.pause("other")


def test_two_who_resume_at_the_same_time_start_one_execution(engine: RereadEngine) -> None:
    engine.link("a")
    engine.begin()
    engine.executions.pause(NAME)
    known = engine.reread()
    assert engine.store.rereads.next_execution(known)
    assert engine.store.rereads.next_execution(known) is None


def test_one_that_was_recorded_and_never_started_can_go_on(engine: RereadEngine) -> None:
    engine.link("a")
    engine.store.rereads.begin(Reread(NAME, Kind.STATUS, AT, "paypay", "VERIFIED"))
    assert engine.executions.state(engine.reread()) is State.PAUSED
    engine.executions.resume(NAME)
    engine.finish()
    assert engine.asked() == Counter(a=2)


def test_the_longest_name_has_room(engine: RereadEngine) -> None:
    """Step Functions takes 80 characters."""
    longest = Reread("reread-paypay-update_required-20260401t030000z", Kind.STATUS, AT, executions=999)
    assert len(execution_name(longest)) <= 80


# --- crashes ---


def play(kind: Kind, *faults: Fault) -> RereadEngine:
    """Some users, one of them at both providers, read again with these faults. Only shards with users are looked at."""
    engine = RereadEngine(faults)
    for each in users(3):
        engine.link(each)
    engine.submit("user-1", "APPROVED")
    engine.put_file("\n".join(users(3)))
    places = sorted({str(item["overview_pk"]["S"])[-1] for item in engine.table.items() if "overview_pk" in item})
    with replaced((plan, "PLACES", places)):
        engine.begin(kind, segments=2)
        engine.faulty = True
        engine.finish()
    both = kind is not Kind.STATUS
    assert engine.asked() == Counter({each: 3 if both and each == "user-1" else 2 for each in users(3)})
    assert set(engine.applied.values()) == {1}
    assert counts(engine.reread()) == (3, 3, 0, 3, 0)
    return engine


@pytest.mark.parametrize(
    ("kind", "when", "fault"),
    [*((kind, "before", "kill") for kind in Kind), (Kind.FILE, "after", "lost")],
)
def test_a_crash_at_any_single_call_does_no_harm(kind: Kind, when: str, fault: str) -> None:
    calls = play(kind).boundary.calls
    assert sum(calls.values()) > 30
    for service in ("dynamodb", "transaction", "s3", "sqs"):
        for number in range(calls[service]):
            play(kind, Fault(service, number, when, fault))


FAULTS = st.builds(
    Fault,
    st.sampled_from(["dynamodb", "dynamodb", "transaction", "s3", "s3", "sqs"]),
    st.integers(0, 40),
    st.sampled_from(["before", "after"]),
    st.sampled_from(["kill", "lost", "throttled"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(list(Kind)),
    st.lists(FAULTS, max_size=5),
    st.sets(st.integers(0, 30), max_size=4),
    st.sets(st.integers(0, 30), max_size=2),
)
def test_whatever_happens_nobody_is_left_out_and_no_event_takes_effect_twice(
    kind: Kind, faults: list[Fault], pauses: set[int], moves: set[int]
) -> None:
    """Paused and resumed at any moment, with faults at any call, while users come and go."""
    engine = RereadEngine(faults)
    for each in users(5):
        engine.link(each)
    engine.link("moves")
    engine.put_file("\n".join(users(5)))
    places = sorted({str(item["overview_pk"]["S"])[-1] for item in engine.table.items() if "overview_pk" in item})
    with replaced((plan, "PLACES", places)):
        engine.begin(kind, segments=2)
        engine.faulty = True
        for step in range(31):
            engine.states.work(1)
            if step % 3 == 0:
                engine.work()
                engine.clock.now += timedelta(seconds=61)
            state = engine.executions.state(engine.reread())
            if step in pauses and state is State.RUNNING:
                engine.executions.pause(NAME)
                state = State.PAUSED
            if step in moves:
                engine.move("moves", "RISK_FLAGGED" if step % 2 else "VERIFIED")
            if state in (State.PAUSED, State.FAILED):
                engine.executions.resume(NAME)
        engine.finish()
    asked = engine.asked()
    assert {each: asked[each] for each in users(5)} == dict.fromkeys(users(5), 2)
    assert asked["moves"] in (0, 2)
    assert set(engine.applied.values()) == {1}
    assert engine.executions.state(engine.reread()) is State.DONE
    assert engine.reread().read == engine.reread().sent


def test_it_fails_after_its_tries_and_is_resumed(engine: RereadEngine) -> None:
    engine.link("a")
    engine.begin()
    engine.broken.add("RereadListFunction")
    for _ in range(12):
        engine.run()
        engine.clock.now += timedelta(minutes=11)
    assert engine.executions.state(engine.reread()) is State.FAILED

    engine.broken.clear()
    engine.executions.resume(NAME)
    engine.finish()

    assert engine.asked() == Counter(a=2)


def test_a_listing_that_was_killed_goes_on_behind_its_last_part(engine: RereadEngine) -> None:
    """Who has left the status meanwhile must not move the others into parts that are written already."""
    for each in users(9):
        engine.link(each)
    engine.begin()
    reread = engine.reread()
    sources = engine.read(plan.sources(engine.bucket, reread)["key"])
    for source in sources:
        some = list(engine.store.overview.of_shard("paypay", "VERIFIED", source["shard"]))
        if len(some) >= 2:
            # One part is written, and then the run dies.
            first = next(listing._parts(engine.store, engine.bucket, reread, source, 1))
            assert first.users == [some[0][0]]
            engine.move(some[0][0], "RISK_FLAGGED")

    done = engine.finish()

    assert engine.asked() == Counter(dict.fromkeys(users(9), 2))
    assert done.users == 9


def test_two_runs_that_list_the_same_source_at_the_same_time_leave_nobody_out(engine: RereadEngine) -> None:
    for each in users(6):
        engine.link(each)
    engine.begin(Kind.ALL, provider="paypay")
    reread, source = engine.reread(), {"name": "0000", "segment": 0}
    one = listing._parts(engine.store, engine.bucket, reread, source, 2)
    other = listing._parts(engine.store, engine.bucket, reread, source, 4)
    found = [next(one), next(other), next(one), next(other), *one]
    found += list(other)

    named = [each for part in found for each in part.users]
    assert set(named) == set(users(6))
    objects = [json.loads(body)["users"] for key, body in engine.objects.objects.items() if "/parts/" in key]
    assert sorted(each for some in objects for each in some) == sorted(users(6))


def test_a_mark_counts_once(engine: RereadEngine) -> None:
    engine.begin()
    assert engine.store.rereads.mark(NAME, Phase.DONE, "p", {"read": 3})
    assert not engine.store.rereads.mark(NAME, Phase.DONE, "p", {"read": 3})
    assert engine.reread().read == 3

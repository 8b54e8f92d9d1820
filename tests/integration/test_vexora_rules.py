"""The statuses of a user at Vexora: every end of an application, and what an answer about the user may decide."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from honnin import users_api
from honnin.errors import (
    ConflictError,
    EventNotReadyError,
    NotSentError,
    NotUnderstoodError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
)
from honnin.event import Event
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.status import VerifiedNeeds
from honnin.store import Store, Submission, UserStatus
from honnin.times import utc_text
from honnin.vexora.models import Reading
from honnin.vexora.poll import poll
from honnin.vexora.submission import Submissions
from tests.fakes import FakeBus, FakeClock, FakeVexora
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import create_table

USER = "user-1"
DELAYS_S = (600, 3_600, 21_600, 86_400)
DAY_S = 86_400
UNKNOWN = "4004"

NOT_SENT = NotSentError("vexora", "no connection")
NO_ANSWER = ProviderTimeoutError("vexora", "no answer")
REFUSED = ProviderRefusedError("vexora", "no", http_status=200, code="2042")
DOWN = ProviderUnavailableError("vexora", "HTTP 503", http_status=503)
UNCLEAR = [NO_ANSWER, DOWN, RateLimitedError("vexora", "429"), NotUnderstoodError("vexora", "?")]


class World:
    """A table in memory, Vexora as a fake, and the code under test over them."""

    def __init__(self) -> None:
        self.store = Store(create_table(dynamodb(), "StateTable"), dynamodb())
        self.vexora, self.bus, self.clock = FakeVexora(), FakeBus(), FakeClock()
        self.publisher = Publisher("bus", self.store, self.bus.client)
        self.submissions = Submissions(
            store=self.store,
            client=self.vexora,
            publisher=self.publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: "callback-key",
            poll_delays_s=DELAYS_S,
            now=self.tick,
            unknown_user_codes=(UNKNOWN,),
        )
        self.processor = EventProcessor(store=self.store, publisher=self.publisher, vexora=self.vexora, now=self.tick)
        self.queue: list[str] = []
        self.serial = 0

    def tick(self) -> datetime:
        """The present moment; no two are the same."""
        return self.clock.advance(seconds=0.001)

    def submit(self, outcome: Exception | str = "0", *, query: Exception | str | None = None) -> UserStatus:
        """Submit the user; an error of the provider is swallowed."""
        self.vexora.next_apply.append(outcome)
        if query is not None:
            self.vexora.next_query.append(query)
        try:
            self.submissions.submit(USER, "テスト ハナコ")
        except ProviderError as error:
            if error is not outcome or error.state != self.status.status:
                raise
        finally:
            self.vexora.next_apply.clear()
            self.vexora.next_query.clear()
        return self.status

    def read(self, says: str | Reading | Exception, submission_id: str | None = None, cause: str = "webhook") -> None:
        """A callback comes (for the present submission, or another one), and the query says this."""
        self.serial += 1
        subject = submission_id or self.status.submission_id or ""
        self.vexora.next_query.append(says)
        now = utc_text(self.clock.now)
        self.processor.process(Event(f"{cause}:{self.serial}", "vexora", "kyc_result", cause, subject, now))
        self.vexora.next_query.clear()

    def poll(self) -> int:
        """Run the poll; how many are asked for."""

        def send(body: str) -> str:
            self.queue.append(body)
            return str(len(self.queue))

        polled = poll(
            store=self.store,
            publisher=self.publisher,
            send=send,
            delays_s=DELAYS_S,
            now=self.tick(),
            left_ms=lambda: 300_000,
        )
        return polled["polled"]

    @property
    def status(self) -> UserStatus:
        """The user."""
        found = self.store.users.status(USER, "vexora")
        assert found is not None
        return found

    @property
    def submission(self) -> Submission:
        """The present submission."""
        found = self.store.submissions.get(self.status.submission_id or "")
        assert found is not None
        return found

    @property
    def view(self) -> dict[str, Any]:
        """The user as the API shows it."""
        shown = users_api.user(self.store, USER, self.clock.now, VerifiedNeeds.ANY)
        found: dict[str, Any] = shown.model_dump(by_alias=True)["providers"]["vexora"]
        return found

    def polled(self) -> list[str]:
        """The submissions that are on the poll."""
        return [each.submission_id for each in self.store.submissions.due("9999")]


@pytest.fixture
def world(aws_environment: None) -> Iterator[World]:
    with memory_aws():
        yield World()


def rejected(world: World) -> UserStatus:
    world.submit()
    world.read(Reading("3", "the picture is blurred"))
    assert world.status.status == "REJECTED"
    return world.status


# --- not sent ---


def same_but_for_the_version(before: UserStatus, after: UserStatus) -> bool:
    assert after.version > before.version
    return replace(after, version=0) == replace(before, version=0)


def test_not_sent_as_the_first_thing_ever_is_failed_and_may_be_made_again(world: World) -> None:
    assert world.submit(NOT_SENT).status == "FAILED"
    assert world.polled() == []
    assert world.submit().status == "PENDING"
    assert len(world.vexora.applied) == 2


def test_not_sent_over_a_rejection_is_the_rejection_again(world: World) -> None:
    before = rejected(world)

    after = world.submit(NOT_SENT)

    assert same_but_for_the_version(before, after)
    assert after.reason == "the picture is blurred"
    assert world.polled() == []
    entries = [entry.what for entry in world.store.users.timeline(USER, 2)[0]]
    assert entries == ["submission_not_sent", "submission_started"]
    assert world.submit().status == "PENDING"


def test_not_sent_twice_over_a_failed_application(world: World) -> None:
    before = world.submit(REFUSED)
    assert before.status == "FAILED"
    for _ in range(2):
        assert same_but_for_the_version(before, world.submit(NOT_SENT))
    assert world.polled() == []


def test_not_sent_over_an_unclear_submission_leaves_it_unclear_and_on_the_poll(world: World) -> None:
    before = world.submit(NO_ANSWER)
    world.clock.advance(seconds=660)

    after = world.submit(NOT_SENT, query=ProviderRefusedError("vexora", "unknown", code=UNKNOWN))

    assert after.status == "SUBMITTING"
    assert same_but_for_the_version(before, after)
    assert world.polled() == [before.submission_id]
    assert world.submission.outcome == "unclear"
    # The same call may be made again at once.
    assert world.submit(query=ProviderRefusedError("vexora", "unknown", code=UNKNOWN)).status == "PENDING"


def test_what_was_not_sent_names_nobody_any_more(world: World) -> None:
    before = rejected(world)
    started: list[str] = []
    apply = world.vexora.apply

    def noting(**fields: str) -> Reading:
        started.append(str(fields["callback_url"]).split("/")[-2])
        return apply(**fields)

    world.vexora.apply = noting  # type: ignore[method-assign]
    world.submit(NOT_SENT)

    found = world.store.submissions.get(started[0])
    assert found is not None
    assert (found.user_id, found.due_at) == ("", None)
    assert world.status.submission_id == before.submission_id
    # Somebody who made up a callback for it changes nothing.
    version = world.status.version
    world.read("2", submission_id=started[0])
    assert (world.status.status, world.status.version) == ("REJECTED", version)


def test_a_callback_during_a_call_that_is_not_sent_stands(world: World) -> None:
    before = rejected(world)

    def approved_meanwhile(**_fields: str) -> Reading:
        world.read("2", submission_id=before.submission_id)
        raise NOT_SENT

    world.vexora.apply = approved_meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotSentError):
        world.submissions.submit(USER, "テスト")

    assert world.status.status == "APPROVED"
    assert world.polled() == []


# --- unclear ---


@pytest.mark.parametrize("error", UNCLEAR, ids=lambda error: type(error).__name__)
def test_any_other_failure_is_unclear_and_asked_for(world: World, error: Exception) -> None:
    assert world.submit(error).status == "SUBMITTING"
    assert world.submission.outcome == "unclear"
    assert world.polled() == [world.status.submission_id]

    with pytest.raises(ConflictError):
        world.submit(query="0")

    assert world.status.status == "PENDING"
    assert len(world.vexora.applied) == 1


# --- refused ---


@pytest.mark.parametrize(
    ("says", "status", "on_poll"),
    [("0", "PENDING", 1), ("1", "UNDER_REVIEW", 1), ("2", "APPROVED", 0), ("3", "REJECTED", 0)],
)
@pytest.mark.parametrize("earlier", [None, REFUSED, "rejected"])
def test_a_refused_application_is_what_vexora_knows_of_the_user(
    world: World, says: str, status: str, on_poll: int, earlier: Exception | str | None
) -> None:
    if earlier == "rejected":
        rejected(world)
    elif earlier:
        world.submit(earlier)
    asked = len(world.vexora.queried)

    after = world.submit(REFUSED, query=says)

    assert (after.status, after.provider_status) == (status, says)
    assert len(world.vexora.queried) == asked + 1
    assert len(world.polled()) == on_poll


@pytest.mark.parametrize("code", [UNKNOWN, "1001"])
def test_refused_twice_is_failed_whatever_the_code(world: World, code: str) -> None:
    after = world.submit(REFUSED, query=ProviderRefusedError("vexora", "no", code=code))
    assert after.status == "FAILED"
    assert world.polled() == []


@pytest.mark.parametrize("unavailable", [*UNCLEAR, NOT_SENT], ids=lambda error: type(error).__name__)
def test_a_refused_application_is_not_failed_while_vexora_cannot_be_asked(world: World, unavailable: Exception) -> None:
    after = world.submit(REFUSED, query=unavailable)
    assert after.status == "SUBMITTING"
    assert world.polled() == [after.submission_id]

    world.read("2", cause="poll")
    assert world.status.status == "APPROVED"


def test_what_was_refused_is_failed_once_vexora_says_that_it_knows_nobody(world: World) -> None:
    world.submit(REFUSED, query=DOWN)
    world.read(ProviderRefusedError("vexora", "?", code="9999"), cause="poll")
    assert world.status.status == "FAILED"
    assert world.polled() == []


def test_what_was_refused_while_vexora_was_down_may_be_submitted_again_once_it_answers(world: World) -> None:
    world.submit(REFUSED, query=DOWN)
    with pytest.raises(ConflictError):
        world.submit(query=DOWN)
    after = world.submit(query=ProviderRefusedError("vexora", "?", code="9999"))
    assert after.status == "PENDING"


@pytest.mark.parametrize("code", [UNKNOWN, "1001"])
def test_a_rejection_stands_though_another_application_and_the_question_are_refused(world: World, code: str) -> None:
    rejected(world)
    world.read("0")  # a replica that lags
    after = world.submit(REFUSED, query=ProviderRefusedError("vexora", "wrong sign", code=code))
    assert (after.status, after.provider_status, after.reason) == ("REJECTED", "3", "the picture is blurred")
    assert world.polled() == []
    assert world.submit().status == "PENDING"


@pytest.mark.parametrize("asked_by", ["poll", "submission"])
def test_a_rejection_stands_when_the_question_is_refused_only_later(world: World, asked_by: str) -> None:
    rejected(world)
    assert world.submit(REFUSED, query=DOWN).status == "SUBMITTING"
    refused = ProviderRefusedError("vexora", "wrong sign", code="1001")
    if asked_by == "poll":
        world.read(refused, cause="poll")
    else:
        world.submit(NOT_SENT, query=refused)
    assert (world.status.status, world.polled()) == ("REJECTED", [])
    assert "FAILED" not in repr(world.bus.entries)


def test_a_refusal_over_an_unclear_submission_stays_unclear(world: World) -> None:
    world.submit(NO_ANSWER)
    world.clock.advance(seconds=660)
    after = world.submit(REFUSED, query=ProviderRefusedError("vexora", "unknown", code=UNKNOWN))
    assert (after.status, world.submission.outcome) == ("SUBMITTING", "unclear")
    assert world.polled() == [after.submission_id]


# --- an answer about the user is not an answer about this submission ---


@pytest.mark.parametrize("error", UNCLEAR, ids=lambda error: type(error).__name__)
def test_the_earlier_rejection_leads_to_no_third_application(world: World, error: Exception) -> None:
    rejected(world)
    world.submit(error)

    for _ in range(3):
        world.clock.advance(seconds=100)
        with pytest.raises(ConflictError) as conflict:
            world.submit(query="3")
        assert conflict.value.state == "SUBMITTING"

    assert len(world.vexora.applied) == 2
    assert world.polled() == [world.status.submission_id]


@pytest.mark.parametrize("error", UNCLEAR, ids=lambda error: type(error).__name__)
def test_a_late_callback_of_the_old_submission_takes_the_new_one_off_no_poll(world: World, error: Exception) -> None:
    old = rejected(world)
    new = world.submit(error)

    world.read("3", submission_id=old.submission_id)

    assert (world.status.status, world.status.submission_id) == ("SUBMITTING", new.submission_id)
    assert world.status.reason is None
    assert world.polled() == [new.submission_id]
    world.clock.advance(seconds=601)
    assert world.poll() == 1
    world.read("0", cause="poll")
    assert world.status.status == "PENDING"


def test_while_the_application_is_being_sent_a_rejection_waits(world: World) -> None:
    old = rejected(world)
    seen: list[str] = []

    def apply(**_fields: str) -> Reading:
        with pytest.raises(EventNotReadyError):
            world.read("3", submission_id=old.submission_id)
        seen.append(world.status.status)
        return Reading("0")

    world.vexora.apply = apply  # type: ignore[method-assign]
    world.submissions.submit(USER, "テスト")

    assert (seen, world.status.status) == (["SUBMITTING"], "PENDING")


def test_from_the_first_poll_on_a_rejection_counts(world: World) -> None:
    rejected(world)
    world.submit(NO_ANSWER)
    world.clock.advance(seconds=601)
    assert world.poll() == 1

    world.read(Reading("3", "again blurred"), cause="poll")

    assert (world.status.status, world.view["reason"]) == ("REJECTED", "again blurred")
    assert world.polled() == []
    assert world.submit().status == "PENDING"
    assert len(world.vexora.applied) == 3


@pytest.mark.parametrize(("says", "status"), [("0", "PENDING"), ("1", "UNDER_REVIEW"), ("2", "APPROVED")])
def test_what_the_earlier_application_cannot_have_become_counts_at_once(world: World, says: str, status: str) -> None:
    old = rejected(world)
    world.submit(NO_ANSWER)
    world.read(says, submission_id=old.submission_id)
    assert world.status.status == status


# --- whatever is open is on the poll ---


@pytest.mark.parametrize(("says", "status"), [("0", "PENDING"), ("1", "UNDER_REVIEW")])
@pytest.mark.parametrize("first", [NOT_SENT, REFUSED])
def test_failed_and_then_an_open_reading_is_open_again_and_on_the_poll(
    world: World, says: str, status: str, first: Exception
) -> None:
    failed = world.submit(first)
    assert (failed.status, world.polled()) == ("FAILED", [])

    world.read(says)

    assert world.status.status == status
    assert world.polled() == [failed.submission_id]
    assert world.poll() == 1
    assert world.poll() == 0, "then at the times of the schedule"
    assert world.polled() == [failed.submission_id]


def test_after_30_days_it_is_polled_weekly_without_end(world: World) -> None:
    world.submit()
    world.clock.advance(days=40)
    assert world.poll() == 1
    for _ in range(60):
        assert world.poll() == 0
        world.clock.advance(days=7)
        assert world.poll() == 1
    assert world.view["stale"] is True


@pytest.mark.parametrize("open_as", ["0", "1", "unclear"])
def test_a_submission_over_a_stale_one_asks_first(world: World, open_as: str) -> None:
    first = world.submit(NO_ANSWER if open_as == "unclear" else open_as)
    world.clock.advance(days=32)
    with pytest.raises(ConflictError) as conflict:
        world.submit(query="0")
    assert str(first.submitted_at) in str(conflict.value)
    assert len(world.vexora.applied) == 1

    assert world.submit(query="3").status == "PENDING"
    assert len(world.vexora.applied) == 2
    assert world.status.submission_id != first.submission_id


@pytest.mark.parametrize("says", ["2", NO_ANSWER, NOT_SENT, ProviderRefusedError("vexora", "no", code="1")])
def test_over_a_stale_one_nothing_but_a_decision_allows_another(world: World, says: str | Exception) -> None:
    world.submit()
    world.clock.advance(days=32)
    with pytest.raises(ConflictError):
        world.submit(query=says)
    assert world.status.status == ("APPROVED" if says == "2" else "PENDING")
    assert len(world.vexora.applied) == 1


def test_before_it_is_stale_nobody_is_asked(world: World) -> None:
    world.submit()
    world.clock.advance(days=30)
    with pytest.raises(ConflictError):
        world.submit(query="3")
    assert world.vexora.queried == []


# --- the reason of a rejection ---


def test_the_reason_is_on_the_entry_and_on_the_user_and_in_no_event(world: World) -> None:
    rejected(world)
    assert world.view["reason"] == "the picture is blurred"
    [entry], _ = world.store.users.timeline(USER, 1)
    assert entry.detail["reason"] == "the picture is blurred"
    assert "blurred" not in repr(world.bus.entries)
    assert "blurred" not in repr(world.status)


@pytest.mark.parametrize("says", ["2", "0", "1"])
def test_the_reason_goes_with_the_rejection(world: World, says: str) -> None:
    rejected(world)
    world.read(says)
    # A decision is not undone by an open state, so the rejection keeps its reason.
    assert world.view["reason"] == (None if says == "2" else "the picture is blurred")


def test_a_later_rejection_without_a_reason_keeps_the_known_one_and_tells_it_once(world: World) -> None:
    rejected(world)
    world.read("3")
    assert world.view["reason"] == "the picture is blurred"
    [entry], _ = world.store.users.timeline(USER, 1)
    assert "reason" not in entry.detail


def test_a_new_submission_has_no_reason(world: World) -> None:
    rejected(world)
    assert world.submit().reason is None
    assert world.view["reason"] is None


def test_the_reason_of_an_application_that_is_rejected_at_once(world: World) -> None:
    world.vexora.apply = lambda **_: Reading("3", "under age")  # type: ignore[method-assign]
    world.submissions.submit(USER, "テスト")
    assert (world.status.status, world.view["reason"]) == ("REJECTED", "under age")

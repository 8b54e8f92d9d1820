"""Committing what was decided: races won and lost, deadlines, repeats, and a bus that is down."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from chaos.dynamodb import MemoryDynamoDB
from honnin import commit
from honnin.commit import CALLER_WAITS, Commits
from honnin.errors import ConcurrentUpdateError, HonninError
from honnin.publish import Publisher
from honnin.store import AlreadyAppliedError, Announcement, Dropped, Effect, Store, Unattached, UserStatus
from tests.fakes import FakeBus, FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USER = UserStatus("user-1", "paypay", "LINKED", 1, read_at="2026-04-01T02:00:00.000Z")
SECOND = timedelta(seconds=1)


class Desk:
    """One user in a table in memory, a bus, and others who move the user while a decision is made."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store("table", cast("DynamoDBClient", MemoryDynamoDB()), now=self.clock)
        self.bus = FakeBus()
        self.commits = Commits(self.store, Publisher("bus", self.store, self.bus.client).announce_or_leave, self.clock)
        self.decisions = 0
        self.store.events.apply(Effect("first", "linked", "api", "2026-04-01T02:00:00.000Z", None, USER, {}))

    def user(self) -> UserStatus:
        """The user as in the table."""
        found = self.store.users.status("user-1", "paypay")
        assert found is not None
        return found

    def effect(self, before: UserStatus, status: str = "VERIFIED", event_id: str = "event-1") -> Effect:
        """The user gets that status."""
        after = replace(before, status=status)
        return commit.effect(event_id, "kyc_read", before, after, {"product": "kyc_info"}, at=self.clock())

    def overtake(self, status: str = "NOT_COMPLETED") -> None:
        """Another worker moves the user."""
        self.store.events.apply(self.effect(self.user(), status, f"other-{self.user().version}"))

    def decide(self, races: int, *, takes: timedelta = SECOND) -> Callable[[], Effect]:
        """A decision that so many times is overtaken while it is made."""

        def decide() -> Effect:
            self.decisions += 1
            before = self.user()
            self.clock.now += takes
            if self.decisions <= races:
                self.overtake()
            return self.effect(before)

        return decide

    def entries(self) -> list[tuple[str, str | None, str]]:
        """The timeline: event, from, to."""
        return [
            (each.event_id, each.from_status, each.to_status) for each in self.store.users.timeline("user-1", 100)[0]
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# The one way to build an effect


def test_an_effect_has_the_next_version_and_no_empty_details(desk: Desk) -> None:
    made = commit.effect("e", "kyc_read", USER, USER, {"a": "1", "b": ""}, at=desk.clock(), cause="poll")

    assert made == Effect(
        "e", "kyc_read", "poll", "2026-04-01T03:00:00.000Z", USER, replace(USER, version=2), {"a": "1"}
    )


def test_the_effect_on_a_new_user_makes_version_1(desk: Desk) -> None:
    made = commit.effect("e", "linked", None, replace(USER, version=0), {}, at=desk.clock())

    assert (made.before, made.after.version, made.cause) == (None, 1, "api")


# Races


def test_what_was_decided_is_applied_and_published(desk: Desk) -> None:
    done = desk.commits.run(desk.decide(0))

    assert desk.user() == done.after
    assert (desk.user().status, desk.user().version) == ("VERIFIED", 2)
    assert len(desk.bus.entries) == 1
    record = desk.store.events.get("event-1")
    assert record is not None
    assert record.published


@pytest.mark.parametrize("races", [1, 4])
def test_a_lost_race_is_decided_again_from_what_the_winner_left(desk: Desk, races: int) -> None:
    done = desk.commits.run(desk.decide(races), until=desk.clock() + 5 * SECOND)

    assert desk.decisions == races + 1
    assert done.before is not None
    assert (done.before.status, done.after.version) == ("NOT_COMPLETED", 2 + races)
    assert ("event-1", "NOT_COMPLETED", "VERIFIED") in desk.entries()
    assert len(desk.bus.entries) == 1


@pytest.mark.parametrize(("seconds", "decisions"), [(0, 1), (1, 2), (5, 6)])
def test_the_last_race_is_the_one_that_is_lost_after_the_deadline(desk: Desk, seconds: int, decisions: int) -> None:
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(99), until=desk.clock() + seconds * SECOND)

    assert desk.decisions == decisions
    assert desk.user().status == "NOT_COMPLETED"
    assert "event-1" not in {event_id for event_id, _, _ in desk.entries()}
    assert list(desk.bus.entries) == []


def test_without_a_deadline_it_is_decided_until_it_wins(desk: Desk) -> None:
    desk.commits.run(desk.decide(30))

    assert desk.user().status == "VERIFIED"


def test_a_race_inside_of_the_decision_is_the_callers(desk: Desk) -> None:
    def decide() -> Effect:
        desk.decisions += 1
        raise ConcurrentUpdateError("another transaction has the item")

    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(decide)
    assert desk.decisions == 1


# Too late


def test_who_is_too_late_keeps_what_was_read_and_leaves_the_status_to_the_winner(desk: Desk) -> None:
    done = desk.commits.run(desk.decide(5), until=desk.clock() + CALLER_WAITS, late=desk.commits.unmoved)

    assert desk.decisions == 5
    assert (desk.user().status, done.after.status) == ("NOT_COMPLETED", "NOT_COMPLETED")
    assert ("event-1", "NOT_COMPLETED", "NOT_COMPLETED") in desk.entries()
    assert done.detail == {"product": "kyc_info"}
    assert list(desk.bus.entries) == []


def test_what_is_kept_too_late_may_lose_races_of_its_own(desk: Desk) -> None:
    late = iter([desk.overtake, desk.overtake, lambda: None])

    def unmoved(decided: Effect) -> Effect:
        kept = desk.commits.unmoved(decided)
        next(late)()
        return kept

    desk.commits.run(desk.decide(1), until=desk.clock(), late=unmoved)

    assert next(late, None) is None
    assert ("event-1", "NOT_COMPLETED", "NOT_COMPLETED") in desk.entries()


def test_what_is_kept_too_late_has_a_deadline_of_its_own(desk: Desk) -> None:
    def unmoved(decided: Effect) -> Effect:
        kept = desk.commits.unmoved(decided)
        desk.clock.now += SECOND
        desk.overtake()
        return kept

    begun = desk.clock()
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(1), until=begun, late=unmoved)
    assert desk.clock() - begun == SECOND + CALLER_WAITS + SECOND


def test_who_was_erased_meanwhile_gets_no_entry(desk: Desk) -> None:
    gone = desk.effect(replace(USER, user_id="erased"))

    with pytest.raises(ConcurrentUpdateError):
        desk.commits.unmoved(gone)


# Repeats


def test_an_event_that_was_applied_before_is_an_error_and_changes_nothing(desk: Desk) -> None:
    desk.commits.run(desk.decide(0))
    before = desk.entries(), len(desk.bus.entries)

    with pytest.raises(AlreadyAppliedError):
        desk.commits.run(desk.decide(0))
    with pytest.raises(AlreadyAppliedError):
        desk.commits.once(desk.effect(desk.user()))
    assert (desk.entries(), len(desk.bus.entries)) == before


def test_a_caller_may_take_a_repeat_for_a_lost_race(desk: Desk) -> None:
    desk.commits.once(desk.effect(desk.user(), event_id="event-1"))
    ids = iter(["event-1", "event-2"])
    lost: tuple[type[HonninError], ...] = (ConcurrentUpdateError, AlreadyAppliedError)

    done = desk.commits.run(lambda: desk.effect(desk.user(), "RISK_FLAGGED", next(ids)), lost=lost)

    assert (done.event_id, desk.user().status) == ("event-2", "RISK_FLAGGED")


# Publishing


def test_a_bus_that_is_down_leaves_the_change_to_the_poll(desk: Desk) -> None:
    desk.bus.failures.append("ThrottlingException")

    desk.commits.run(desk.decide(0))

    assert list(desk.bus.entries) == []
    later = (desk.clock() + timedelta(minutes=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [each.event_id for each in desk.store.events.unpublished(later) if each.event_id != "first"] == ["event-1"]


def test_an_error_of_publishing_is_no_lost_race(desk: Desk) -> None:
    def publish(_: Effect) -> None:
        raise ConcurrentUpdateError("the record is taken")

    with pytest.raises(ConcurrentUpdateError):
        Commits(desk.store, publish, desk.clock).run(desk.decide(0))
    assert (desk.decisions, desk.user().status) == (1, "VERIFIED")


# What is no effect


@pytest.mark.parametrize("decision", [None, Dropped("event-1", "erased"), USER])
def test_anything_else_than_a_decision_ends_the_loop_and_writes_nothing(desk: Desk, decision: object) -> None:
    assert desk.commits.run(lambda: decision) is decision

    assert [each for each, _, _ in desk.entries()] == ["first"]
    assert desk.store.events.get("event-1") is None


def test_an_event_of_an_unknown_user_waits(desk: Desk) -> None:
    waiting = Unattached("event-1", "paypay", "unknown_user", "webhook", "2026-04-01T03:00:00.000Z", "auth-1", {})

    assert desk.commits.run(lambda: waiting) is waiting

    assert [each.event_id for each in desk.store.links.waiting("auth-1")] == ["event-1"]
    assert list(desk.bus.entries) == []


def test_a_recon_file_is_announced(desk: Desk) -> None:
    at = "2026-04-01T03:00:00.000Z"
    file = Announcement("event-1", "kyc_passport_sync_recon", "a.csv", "2026-03-31", "https://x/a.csv", at, at, at, at)

    desk.commits.run(lambda: file)

    found = desk.store.recon.file("kyc_passport_sync_recon", "2026-03-31", "a.csv")
    assert found is not None
    assert found.state == "ANNOUNCED"
